"""The operator's door: accounts, roles, second factor, the one admin site, and the audit of what operators do."""
