"""The four roles as groups, and an audit that can only grow."""

from typing import Any

from django.db import migrations

ROLES = ("support", "operator", "security", "finance")

AUDIT = """
CREATE FUNCTION operators_guard_audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit is append-only' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER operators_guard_audit BEFORE UPDATE OR DELETE ON operators_event
    FOR EACH ROW EXECUTE FUNCTION operators_guard_audit();
CREATE TRIGGER operators_guard_audit_truncate BEFORE TRUNCATE ON operators_event
    FOR EACH STATEMENT EXECUTE FUNCTION operators_guard_audit();
"""

AUDIT_BACK = """
DROP TRIGGER operators_guard_audit ON operators_event;
DROP TRIGGER operators_guard_audit_truncate ON operators_event;
DROP FUNCTION operators_guard_audit();
"""


def make_roles(apps: Any, schema_editor: Any) -> None:
    """Groups that are there already keep their members."""
    group = apps.get_model("auth", "Group")
    for name in ROLES:
        group.objects.get_or_create(name=name)


class Migration(migrations.Migration):
    """Groups and triggers."""

    dependencies = [("operators", "0001_initial"), ("auth", "0012_alter_user_first_name_max_length")]
    operations = [
        migrations.RunPython(make_roles, migrations.RunPython.noop),
        migrations.RunSQL(AUDIT, AUDIT_BACK),
    ]
