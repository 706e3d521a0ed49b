"""A key-value namespace on Postgres: the example of `docs/add-a-service.md`."""
