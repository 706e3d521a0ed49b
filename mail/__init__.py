"""Every mail that leaves: one outbox for all floors above, and whom to write to about a resource."""
