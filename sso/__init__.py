"""The customer's door: single sign-on, session, and the frame of every dashboard."""
