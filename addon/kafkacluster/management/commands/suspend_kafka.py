"""`manage.py suspend_kafka`."""

import uuid
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from addon.kafkacluster import rights
from addon.kafkacluster.models import Tenant
from provisioning import wakeups
from provisioning.services import Fault, Refusal

ACTOR = "operator (command)"


class Command(BaseCommand):
    """Keeps a tenant's clients out, or lets them in again."""

    help = (
        "Refuse the clients of a Kafka tenant until --resume. Topics, groups, passwords and config vars stay."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The options."""
        parser.add_argument("uuid", type=uuid.UUID, help="Heroku's uuid of the add-on.")
        parser.add_argument("--reason", default="", help="What the customer reads on the dashboard. Needed.")
        parser.add_argument("--resume", action="store_true", help="End the suspension.")

    def handle(self, *args: Any, uuid: uuid.UUID, reason: str, resume: bool, **options: Any) -> None:
        """Change the row, then tell the cluster at once."""
        tenant = Tenant.objects.filter(resource__uuid=uuid).first()
        if tenant is None:
            raise CommandError(f"there is no Kafka tenant {uuid}")
        try:
            if resume:
                rights.resume(tenant.resource_id, actor=ACTOR)
            else:
                rights.suspend(tenant.resource_id, reason=reason, actor=ACTOR)
            rights.apply_rights(tenant.pk)
        except Refusal as refusal:
            raise CommandError(refusal.message) from None
        except Fault as error:
            raise CommandError(f"kept, and done as soon as the cluster answers: {error}") from None
        finally:
            wakeups.flush()
        self.stdout.write(f"{tenant.username}: {'clients are let in' if resume else 'clients are refused'}")
