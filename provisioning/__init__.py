"""Heroku in and out: catalogue, resources, operations, the Partner API and the Platform API."""
