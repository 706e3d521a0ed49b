"""The customer's door: login, sessions, and the dashboards' own requests."""
