"""A stand-in Heroku for development: Platform API, OAuth and the Partner API's calling side on one machine.

It runs as a process of its own (``python -m sandbox serve``), keeps its own state, and knows nothing of the
provider behind it except what Heroku would know: a manifest, a base URL and an OAuth client secret.
"""
