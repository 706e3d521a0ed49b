"""Worked examples: services that show how one is added, and that the tests of every service are run with."""
