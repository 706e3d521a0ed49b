"""The usage ledger. Its table is partitioned, which Django cannot say: it is written as SQL, and told to Django as state."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

TABLE = """
CREATE TABLE billing_usagerecord (
    event_id uuid NOT NULL,
    unit varchar(40) NOT NULL,
    revision smallint NOT NULL CONSTRAINT usage_record_revision CHECK (revision >= 0),
    at timestamptz NOT NULL,
    resource_id bigint NOT NULL,
    source varchar(60) NOT NULL,
    quantity bigint NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT statement_timestamp(),
    CONSTRAINT usage_record_is_something CHECK (revision > 0 OR quantity > 0),
    PRIMARY KEY (event_id, unit, revision, at)
) PARTITION BY RANGE (at);
CREATE INDEX usage_record_by_resource ON billing_usagerecord (resource_id, at) INCLUDE (unit, quantity);
CREATE FUNCTION billing_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER usage_record_is_append_only BEFORE UPDATE OR DELETE ON billing_usagerecord
    FOR EACH ROW EXECUTE FUNCTION billing_refuse_change();
"""
TABLE_BACK = """
DROP TABLE billing_usagerecord;
DROP FUNCTION billing_refuse_change();
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("provisioning", "0003_period_metered"),
    ]

    operations = [
        migrations.CreateModel(
            name="UsageFeed",
            fields=[
                ("source", models.SlugField(max_length=60, primary_key=True, serialize=False)),
                (
                    "mark",
                    models.CharField(
                        blank=True, help_text="The service's own; empty at the beginning.", max_length=200
                    ),
                ),
                ("read_at", models.DateTimeField(null=True)),
                ("records", models.PositiveBigIntegerField(default=0, help_text="Records written so far.")),
            ],
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(TABLE, TABLE_BACK)],
            state_operations=[
                migrations.CreateModel(
                    name="UsageRecord",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "event_id",
                                "unit",
                                "revision",
                                "at",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        (
                            "event_id",
                            models.UUIDField(
                                help_text="The service's id of the event; the same whenever it is told again."
                            ),
                        ),
                        (
                            "unit",
                            models.SlugField(
                                db_index=False, help_text="Such as input_tokens or bytes_in.", max_length=40
                            ),
                        ),
                        ("revision", models.PositiveSmallIntegerField(default=0)),
                        ("at", models.DateTimeField(help_text="When it was used.")),
                        (
                            "source",
                            models.SlugField(
                                db_index=False, help_text="The service that told it.", max_length=60
                            ),
                        ),
                        (
                            "quantity",
                            models.BigIntegerField(
                                help_text="Above zero, but for revisions: these are differences."
                            ),
                        ),
                        (
                            "recorded_at",
                            models.DateTimeField(
                                db_default=django.db.models.functions.datetime.Now(), editable=False
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
                    options={
                        "ordering": ["at"],
                        "indexes": [
                            models.Index(
                                fields=["resource", "at"],
                                include=("unit", "quantity"),
                                name="usage_record_by_resource",
                            )
                        ],
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(("quantity__gt", 0), ("revision", 0)),
                                    ("revision__gt", 0),
                                    _connector="OR",
                                ),
                                name="usage_record_is_something",
                            )
                        ],
                    },
                ),
            ],
        ),
        migrations.CreateModel(
            name="UsageTotal",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("period", models.CharField(choices=[("hour", "Hour"), ("day", "Day")], max_length=4)),
                ("start", models.DateTimeField()),
                ("unit", models.SlugField(db_index=False, max_length=40)),
                ("quantity", models.BigIntegerField()),
                ("records", models.PositiveBigIntegerField(help_text="How many records it is the sum of.")),
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
            options={
                "ordering": ["start"],
                "indexes": [models.Index(fields=["period", "start"], name="usage_ledger_total_by_age")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("resource", "period", "start", "unit"), name="usage_ledger_total_once"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("period__in", ["hour", "day"])), name="usage_ledger_period_known"
                    ),
                ],
            },
        ),
    ]
