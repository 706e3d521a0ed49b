"""The outbox and the contacts."""
