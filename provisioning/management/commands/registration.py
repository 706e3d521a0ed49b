"""`manage.py registration`."""

from argparse import ArgumentParser
from json import dumps
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

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Those that every command has."""
        parser.add_argument("--json", action="store_true", help="As without it: the output is JSON.")
        parser.add_argument("--dry-run", action="store_true", help="As without it: nothing is changed.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print it."""
        services = [registration(service) for service in all_services().values()]
        self.stdout.write(dumps({"services": services}, indent=2))
