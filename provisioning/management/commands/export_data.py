"""`manage.py export_data UUID`."""

import json as encoder
import uuid
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.core.serializers.json import DjangoJSONEncoder

from provisioning import customer_data
from provisioning.models import Resource


class Command(BaseCommand):
    """Prints what we hold about one add-on."""

    help = (
        "Print every row that belongs to a customer's add-on, one JSON object a line, without secrets; the audit tells "
        "of it. Exit code 1 when there is no such resource."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The options."""
        parser.add_argument("uuid", type=uuid.UUID, help="Heroku's uuid of the add-on.")
        parser.add_argument("--dry-run", action="store_true", help="Only count the rows of each table.")
        parser.add_argument("--json", action="store_true", help="With --dry-run: print the counts as JSON.")

    def handle(self, *args: Any, uuid: uuid.UUID, dry_run: bool, json: bool, **options: Any) -> None:
        """Export, or count."""
        resource = Resource.objects.filter(uuid=uuid).first()
        if resource is None:
            raise CommandError(f"there is no resource {uuid}")
        if not dry_run:
            customer_data.note_export(resource, actor="operator (command)")
            for row in customer_data.export(resource):
                line = {"table": row.table, "row": row.values}
                self.stdout.write(encoder.dumps(line, cls=DjangoJSONEncoder))
            return
        counts = customer_data.count(resource)
        if json:
            self.stdout.write(encoder.dumps({"rows": counts, "dry_run": True}))
        for table, number in () if json else sorted(counts.items()):
            self.stdout.write(f"{number:>9,} {table}")
