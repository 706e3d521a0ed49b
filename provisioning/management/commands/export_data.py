"""`manage.py export_data UUID`."""

import json as encoder
import uuid
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

from provisioning import customer_data
from provisioning.management.resource_command import ACTOR, ResourceCommand


class Command(ResourceCommand):
    """Prints what we hold about one add-on."""

    help = (
        "Print every row that belongs to a customer's add-on, one JSON object a line, without secrets; the audit tells "
        "of it. Exit code 1 when there is no such resource."
    )
    dry_run_help = "Only count the rows of each table."
    json_help = "With --dry-run: print the counts as JSON."

    def handle(self, *args: Any, uuid: uuid.UUID, dry_run: bool, json: bool, **options: Any) -> None:
        """Export row by row, which may be many, or count."""
        resource = self.resource(uuid)
        if not dry_run:
            customer_data.note_export(resource, actor=ACTOR)
            for row in customer_data.export(resource):
                line = {"table": row.table, "row": row.values}
                self.stdout.write(encoder.dumps(line, cls=DjangoJSONEncoder))
            return
        counts = customer_data.count(resource)
        if json:
            self.stdout.write(encoder.dumps({"rows": counts, "dry_run": True}))
        for table, number in () if json else sorted(counts.items()):
            self.stdout.write(f"{number:>9,} {table}")
