"""`manage.py reseal`."""

from typing import Any

from django.core.management.base import BaseCommand

from provisioning.sealing import reseal_all


class Command(BaseCommand):
    """Moves every sealed value to the current key."""

    help = (
        "Seal every stored secret anew under the first key of SEALING_KEYS. Afterwards the former keys can be dropped. "
        "Safe to repeat, and to run while the service does."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Reseal and say how many values moved."""
        self.stdout.write(f"{reseal_all()} values moved to the current key")
