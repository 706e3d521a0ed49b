"""Heroku's payouts: their formats, files and rows, and what operators said about differences."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

FREEZE = """
CREATE TRIGGER billing_payoutrow_is_frozen BEFORE UPDATE OR DELETE ON billing_payoutrow
    FOR EACH ROW EXECUTE FUNCTION billing_refuse_change();
"""
FREEZE_BACK = "DROP TRIGGER billing_payoutrow_is_frozen ON billing_payoutrow;"


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0002_statements"),
        ("provisioning", "0003_period_metered"),
    ]

    operations = [
        migrations.CreateModel(
            name="PayoutFormat",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=80, unique=True)),
                ("mapping", models.JSONField(help_text="See billing.payouts.Mapping.")),
                ("set_by", models.CharField(max_length=200)),
                ("set_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="PayoutFile",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "digest",
                    models.CharField(help_text="SHA-256 of its bytes, in hex.", max_length=64, unique=True),
                ),
                ("name", models.CharField(max_length=200)),
                ("rows", models.PositiveIntegerField(help_text="Rows in it.")),
                (
                    "new_rows",
                    models.PositiveIntegerField(help_text="Of these, such that no earlier file had."),
                ),
                ("imported_by", models.CharField(max_length=200)),
                ("imported_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "format",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="billing.payoutformat",
                    ),
                ),
            ],
            options={
                "ordering": ["-pk"],
            },
        ),
        migrations.CreateModel(
            name="Resolution",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("month", models.DateField()),
                ("service", models.CharField(max_length=60)),
                (
                    "reference",
                    models.CharField(
                        help_text="The resource's uuid, or what the file called it.", max_length=200
                    ),
                ),
                ("expected_cents", models.BigIntegerField(null=True)),
                ("paid_cents", models.BigIntegerField(null=True)),
                ("note", models.TextField()),
                ("resolved_by", models.CharField(max_length=200)),
                ("resolved_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "ordering": ["-pk"],
                "indexes": [models.Index(fields=["month", "reference"], name="billing_res_month_f0bd67_idx")],
            },
        ),
        migrations.CreateModel(
            name="PayoutRow",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "key",
                    models.CharField(
                        help_text="What makes the same row of two files one.", max_length=64, unique=True
                    ),
                ),
                ("line", models.PositiveIntegerField(help_text="In the file, the first being 1.")),
                ("month", models.DateField()),
                (
                    "reference",
                    models.CharField(help_text="The resource as the file names it.", max_length=200),
                ),
                (
                    "service",
                    models.CharField(
                        help_text="Of the resource, else as the file names it, or empty.", max_length=60
                    ),
                ),
                ("cents", models.BigIntegerField()),
                ("raw", models.JSONField(help_text="The row as it was.")),
                (
                    "file",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="payouts",
                        to="billing.payoutfile",
                    ),
                ),
                (
                    "resource",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="payouts",
                        to="provisioning.resource",
                    ),
                ),
            ],
            options={
                "ordering": ["pk"],
                "indexes": [
                    models.Index(fields=["month", "service"], name="billing_pay_month_172ec5_idx"),
                    models.Index(fields=["resource", "month"], name="billing_pay_resourc_13f501_idx"),
                ],
            },
        ),
        migrations.RunSQL(FREEZE, FREEZE_BACK),
    ]
