"""The audit refuses TRUNCATE as it refuses UPDATE and DELETE."""

from django.db import migrations

TRUNCATE = """
CREATE TRIGGER provisioning_guard_audit_truncate BEFORE TRUNCATE ON provisioning_auditevent
    FOR EACH STATEMENT EXECUTE FUNCTION provisioning_guard_audit();
"""


class Migration(migrations.Migration):
    """A trigger."""

    dependencies = [("provisioning", "0003_period_metered")]
    operations = [
        migrations.RunSQL(
            TRUNCATE, "DROP TRIGGER provisioning_guard_audit_truncate ON provisioning_auditevent;"
        )
    ]
