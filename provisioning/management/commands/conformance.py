"""`manage.py conformance SLUG`."""

import argparse
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from conformance.command import main
from provisioning.manifests import pushable_manifest
from provisioning.partner_secrets import partner_secrets
from provisioning.services import AddonService, Provisions, all_services


class Command(BaseCommand):
    """Runs the conformance suite against one of our services, at the address of these settings."""

    help = (
        "Check a service against Heroku's Add-on Partner API v3, at BASE_URL of these settings. Every option of "
        "`python -m conformance` can follow the slug and comes before what the settings say. For the checks that need "
        "the suite's Platform API, give --listen and start the provider with HEROKU_API_URL and HEROKU_ID_URL there."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The options."""
        parser.add_argument("slug", choices=sorted(all_services()))
        parser.add_argument(
            "options", nargs=argparse.REMAINDER, help="passed on, see `python -m conformance --help`"
        )

    def handle(self, *args: Any, slug: str, **options: Any) -> None:
        """Run it, and exit with its code."""
        service = all_services()[slug]
        sys.exit(
            main(
                [*known_arguments(service), *options["options"]],
                program=f"manage.py conformance {slug}",
                manifest=pushable_manifest(service, with_secrets=True),
            )
        )


def known_arguments(service: AddonService) -> list[str]:
    """What the catalogue and the settings say about a service, as options of the suite; the manifest says the rest.

    A secret stands in one word with its option: it may begin with a hyphen.
    """
    default = next(plan.slug for plan in service.plans if plan.default)
    arguments = [
        "--plan",
        default,
        f"--client-secret={partner_secrets(service.slug).oauth_client_secrets[0]}",
    ]
    if len(service.plans) > 1:
        arguments += ["--other-plan", next(plan.slug for plan in service.plans if plan.slug != default)]
    other = next((slug for slug in all_services() if slug != service.slug), None)
    if other:
        secrets = partner_secrets(other)
        arguments += [
            f"--other-service={secrets.manifest_id}",
            f"--other-service-password={secrets.passwords[0]}",
        ]
    if service.provisions is Provisions.AFTERWARDS:
        arguments.append("--async")
    return arguments
