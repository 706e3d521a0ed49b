"""Tests of what is made of the gateway's rows: totals, reports, pages."""
