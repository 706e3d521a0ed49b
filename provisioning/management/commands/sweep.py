"""`manage.py sweep`."""

import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand

from provisioning import wakeups
from provisioning.sweep import sweep


class Command(BaseCommand):
    """One pass of the sweeper, by hand."""

    help = "Wake every operation and grant that nobody works on, as the schedule does. Safe to repeat."

    def handle(self, *args: Any, **options: Any) -> None:
        """Sweep once and say what was touched."""
        self.stdout.write(json.dumps(asdict(sweep())))
        wakeups.flush()
