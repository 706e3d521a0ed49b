"""The Django project, and the add-on services it sells."""

from addon.celery import app as celery_app

__all__ = ["celery_app"]
