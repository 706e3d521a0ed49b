"""Security notices and vulnerability reports."""
