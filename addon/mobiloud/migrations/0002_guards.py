"""A guard in the database itself: a revision stays as it was saved."""

from django.db import migrations

REVISIONS = """
CREATE FUNCTION mobiloud_guard_revision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a revision never changes' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER mobiloud_guard_revision BEFORE UPDATE ON mobiloud_revision
    FOR EACH ROW EXECUTE FUNCTION mobiloud_guard_revision();
"""

REVISIONS_BACK = """
DROP TRIGGER mobiloud_guard_revision ON mobiloud_revision;
DROP FUNCTION mobiloud_guard_revision();
"""


class Migration(migrations.Migration):
    """Triggers."""

    dependencies = [("mobiloud", "0001_sites_and_revisions")]
    operations = [migrations.RunSQL(REVISIONS, REVISIONS_BACK)]
