"""Guards in the database itself: states move only along the table, and the audit is append-only."""

from django.db import migrations

STATES = """
CREATE FUNCTION provisioning_guard_resource_state() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN (
        ('provisioning', 'provisioned'), ('provisioning', 'failed'), ('provisioning', 'deprovisioning'),
        ('provisioned', 'deprovisioning'),
        ('failed', 'deprovisioning'), ('failed', 'deprovisioned'),
        ('deprovisioning', 'deprovisioned'))
    THEN
        RAISE EXCEPTION 'a resource cannot go from % to %', OLD.state, NEW.state USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.uuid <> OLD.uuid OR NEW.service <> OLD.service THEN
        RAISE EXCEPTION 'a resource keeps its uuid and its service' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER provisioning_guard_resource_state BEFORE UPDATE ON provisioning_resource
    FOR EACH ROW EXECUTE FUNCTION provisioning_guard_resource_state();

CREATE FUNCTION provisioning_guard_operation_state() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state IN ('succeeded', 'failed', 'cancelled') AND NEW.state <> OLD.state THEN
        RAISE EXCEPTION 'an operation that has ended stays %', OLD.state USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER provisioning_guard_operation_state BEFORE UPDATE OF state ON provisioning_operation
    FOR EACH ROW EXECUTE FUNCTION provisioning_guard_operation_state();
"""

STATES_BACK = """
DROP TRIGGER provisioning_guard_resource_state ON provisioning_resource;
DROP FUNCTION provisioning_guard_resource_state();
DROP TRIGGER provisioning_guard_operation_state ON provisioning_operation;
DROP FUNCTION provisioning_guard_operation_state();
"""

AUDIT = """
CREATE FUNCTION provisioning_guard_audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit is append-only' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER provisioning_guard_audit BEFORE UPDATE OR DELETE ON provisioning_auditevent
    FOR EACH ROW EXECUTE FUNCTION provisioning_guard_audit();
"""

AUDIT_BACK = """
DROP TRIGGER provisioning_guard_audit ON provisioning_auditevent;
DROP FUNCTION provisioning_guard_audit();
"""


class Migration(migrations.Migration):
    """Triggers."""

    dependencies = [("provisioning", "0001_initial")]
    operations = [
        migrations.RunSQL(STATES, STATES_BACK),
        migrations.RunSQL(AUDIT, AUDIT_BACK),
    ]
