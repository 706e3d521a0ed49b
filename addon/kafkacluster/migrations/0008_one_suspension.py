from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import OuterRef, Subquery


def suspend_resources(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    """A tenant that was suspended before suspension was the resource's stays so, and can be resumed."""
    tenant, resource = apps.get_model("kafkacluster", "Tenant"), apps.get_model("provisioning", "Resource")
    suspended = tenant.objects.filter(resource=OuterRef("pk"), removed_at=None, suspended_at__isnull=False)
    resource.objects.filter(
        suspended_at=None,
        pk__in=tenant.objects.filter(suspended_at__isnull=False, removed_at=None).values("resource"),
    ).update(
        suspended_at=Subquery(suspended.values("suspended_at")),
        suspension_reason=Subquery(suspended.values("suspension_reason")),
    )


class Migration(migrations.Migration):
    dependencies = [
        ("provisioning", "0006_suspension_and_limits"),
        ("kafkacluster", "0007_topic_rates"),
    ]

    operations = [
        migrations.RunPython(suspend_resources, migrations.RunPython.noop, elidable=True),
        migrations.RemoveField(model_name="tenant", name="suspended_at"),
        migrations.RemoveField(model_name="tenant", name="suspension_reason"),
    ]
