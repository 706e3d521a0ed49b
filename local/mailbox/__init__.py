"""A stand-in mail provider for one machine: an SMTP server that keeps what it gets, a page that shows it, and the
events of each mail in Mailgun's form. `python -m local.mailbox` runs it; it can be told to misbehave.
"""
