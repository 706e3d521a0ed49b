"""Django's backend for PostgreSQL, which asks a kept connection how it is only when it has something to say."""
