"""Streams under way, and how one ends whose process died."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

OUTCOMES = [
    ("complete", "Complete"),
    ("hung_up", "The client hung up"),
    ("failed", "The model failed after the answer had begun"),
    ("interrupted", "Our process ended after the answer had begun"),
]


class Migration(migrations.Migration):
    """A table, and a fourth outcome."""

    dependencies = [("inference", "0004_cut_answers"), ("provisioning", "0002_guards")]
    operations = [
        migrations.CreateModel(
            name="OpenStream",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        editable=False, help_text="The request's id.", primary_key=True, serialize=False
                    ),
                ),
                ("at", models.DateTimeField(help_text="When the request was admitted.")),
                ("model", models.SlugField(db_index=False, max_length=60)),
                ("region", models.CharField(max_length=40)),
                ("input_tokens", models.PositiveIntegerField(help_text="Estimated.")),
                (
                    "output_tokens",
                    models.PositiveIntegerField(help_text="Produced so far, as far as can be counted."),
                ),
                (
                    "first_milliseconds",
                    models.PositiveIntegerField(help_text="Until the first byte of the answer."),
                ),
                (
                    "seen_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        editable=False,
                        help_text="When its process last wrote this row, by Postgres's clock.",
                    ),
                ),
                (
                    "resource",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="provisioning.resource",
                    ),
                ),
            ],
        ),
        # Written before a first byte: no log to wait for.
        migrations.RunSQL(
            "ALTER TABLE inference_openstream SET UNLOGGED", "ALTER TABLE inference_openstream SET LOGGED"
        ),
        migrations.RemoveConstraint(model_name="usageevent", name="usage_outcome_known"),
        migrations.AlterField(
            model_name="usageevent",
            name="outcome",
            field=models.CharField(choices=OUTCOMES, max_length=12),
        ),
        migrations.AddConstraint(
            model_name="usageevent",
            constraint=models.CheckConstraint(
                condition=models.Q(("outcome__in", [name for name, _ in OUTCOMES])),
                name="usage_outcome_known",
            ),
        ),
    ]
