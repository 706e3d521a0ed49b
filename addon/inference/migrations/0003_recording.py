"""A usage row that is changed is rolled up again: whoever changes it, the database says when."""

from django.db import migrations

RECORD = """
CREATE FUNCTION inference_record_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.recorded_at = statement_timestamp();
    RETURN NEW;
END $$;
CREATE TRIGGER inference_record_change BEFORE UPDATE ON inference_usageevent
    FOR EACH ROW EXECUTE FUNCTION inference_record_change();
"""
RECORD_BACK = """
DROP TRIGGER inference_record_change ON inference_usageevent;
DROP FUNCTION inference_record_change();
"""


class Migration(migrations.Migration):
    """One trigger."""

    dependencies = [("inference", "0002_totals")]
    operations = [migrations.RunSQL(RECORD, RECORD_BACK)]
