"""`manage.py create_operator NAME`."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from operators import audit
from operators.accounts import create_operator
from operators.roles import Role


class Command(BaseCommand):
    """Makes an operator's account, the first one above all."""

    help = (
        "Make an operator's account and print the password for its first sign-in at /admin/, where the operator sets "
        "up the second factor and a password of their own. Exit code 1 when the name is taken."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The options."""
        parser.add_argument("username")
        parser.add_argument("--email", default="", help="Where the operator can be reached.")
        parser.add_argument(
            "--role",
            action="append",
            choices=[role.value for role in Role],
            dest="roles",
            help="May be given several times; without it, all four roles.",
        )
        parser.add_argument("--superuser", action="store_true", help="May everything, whatever the roles.")
        parser.add_argument("--dry-run", action="store_true", help="Check everything, make nothing.")
        parser.add_argument("--json", action="store_true", help="Print the account as JSON.")

    def handle(
        self,
        *args: Any,
        username: str,
        email: str,
        roles: list[str] | None,
        superuser: bool,
        dry_run: bool,
        json: bool,
        **options: Any,
    ) -> None:
        """Make the account, print how to sign in."""
        chosen = [Role(name) for name in roles or [role.value for role in Role]]
        try:
            with transaction.atomic():
                made = create_operator(
                    username, email=email, roles=chosen, by=audit.COMMAND, superuser=superuser
                )
                if dry_run:
                    transaction.set_rollback(True)
        except (ValueError, ValidationError) as error:
            text = "; ".join(error.messages) if isinstance(error, ValidationError) else str(error)
            raise CommandError(text) from None
        password = "" if dry_run else made.password
        if json:
            self.stdout.write(_as_json(username, chosen, password, dry_run))
        elif dry_run:
            self.stdout.write(f"{username} would be made with the roles {', '.join(chosen)}")
        else:
            self.stdout.write(
                f"{username} ({', '.join(chosen)}) signs in at /admin/ with the password\n\n  {made.password}\n\n"
                "It is shown this once and has to be changed at the first sign-in."
            )


def _as_json(username: str, roles: list[Role], password: str, dry_run: bool) -> str:
    return json.dumps(
        {"username": username, "roles": roles, "password": password or None, "dry_run": dry_run}
    )
