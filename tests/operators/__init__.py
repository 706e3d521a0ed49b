"""The operator's door: signing in, roles, the admin's pages, and the audit of what operators do."""
