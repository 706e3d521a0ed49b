"""One machine's launcher: embedded PostgreSQL and Redis, and one supervisor for every process.

Production does not use this package. It imports nothing of the project's other packages, so that it
can start them whatever state they are in.
"""
