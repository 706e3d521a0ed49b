"""`manage.py registration`."""

import json
from typing import Any

from django.core.management.base import BaseCommand

from provisioning.manifests import registration
from provisioning.services import all_services


class Command(BaseCommand):
    """Prints what a Heroku, real or stand-in, is told about every service."""

    help = (
        "Print, as JSON and with secrets, all that Heroku's Partner Portal is told about the services: manifests, "
        "OAuth client secrets, plans and prices. The sandbox reads this form."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Print it."""
        services = [registration(service) for service in all_services().values()]
        self.stdout.write(json.dumps({"services": services}, indent=2))
