"""Security notices that reach exactly the affected customers, and their questions about vulnerabilities."""
