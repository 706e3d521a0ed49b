"""`manage.py manifest SLUG`."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from provisioning.manifests import pushable_manifest
from provisioning.services import all_services


class Command(BaseCommand):
    """Prints a manifest that Heroku's tools can push."""

    help = (
        "Print the add-on manifest of a service, as JSON, with this deployment's addresses. Changes nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The options."""
        parser.add_argument("slug", choices=sorted(all_services()))
        parser.add_argument(
            "--with-secrets", action="store_true", help="Include password and sso_salt; never commit that."
        )

        # Every command of this project knows these two; this one prints JSON and changes nothing in any case.
        parser.add_argument("--json", action="store_true", help="As without it: the output is JSON.")
        parser.add_argument("--dry-run", action="store_true", help="As without it: nothing is changed.")

    def handle(self, *args: Any, slug: str, with_secrets: bool, **options: Any) -> None:
        """Print it."""
        manifest = pushable_manifest(all_services()[slug], with_secrets=with_secrets)
        self.stdout.write(json.dumps(manifest, indent=2))
