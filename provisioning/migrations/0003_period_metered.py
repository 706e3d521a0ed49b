"""A plan period keeps the metered prices it began with, as it keeps the monthly one."""

from django.db import migrations, models

FILL = """
UPDATE provisioning_planperiod AS period SET metered = plan.metered
  FROM provisioning_plan AS plan WHERE plan.id = period.plan_id AND plan.metered <> '{}'
"""


class Migration(migrations.Migration):
    """One column, with the prices of now for the periods there are. An older release's new rows have none."""

    dependencies = [("provisioning", "0002_guards")]
    operations = [
        migrations.AddField(
            model_name="planperiod",
            name="metered",
            field=models.JSONField(
                default=dict, db_default={}, help_text="The plan's prices by unit when the period began."
            ),
        ),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
    ]
