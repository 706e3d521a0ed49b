"""Statements, corrections and shares; triggers keep what is closed as it was."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

FREEZE = """
CREATE FUNCTION billing_refuse_in_closed_month() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM billing_monthclose WHERE month = NEW.month AND closed_at IS NOT NULL) THEN
        RAISE EXCEPTION '% is closed', to_char(NEW.month, 'YYYY-MM') USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE FUNCTION billing_keep_closed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.closed_at IS NOT NULL THEN
        RAISE EXCEPTION '% is closed', to_char(OLD.month, 'YYYY-MM') USING ERRCODE = 'check_violation';
    END IF;
    RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER billing_closed_month_stays BEFORE UPDATE OR DELETE ON billing_monthclose
    FOR EACH ROW EXECUTE FUNCTION billing_keep_closed();
CREATE TRIGGER billing_statement_in_open_month BEFORE INSERT ON billing_statement
    FOR EACH ROW EXECUTE FUNCTION billing_refuse_in_closed_month();
CREATE TRIGGER billing_correction_in_open_month BEFORE INSERT ON billing_correction
    FOR EACH ROW EXECUTE FUNCTION billing_refuse_in_closed_month();
CREATE TRIGGER billing_statement_is_frozen BEFORE UPDATE OR DELETE ON billing_statement
    FOR EACH ROW EXECUTE FUNCTION billing_refuse_change();
CREATE TRIGGER billing_statementline_is_frozen BEFORE UPDATE OR DELETE ON billing_statementline
    FOR EACH ROW EXECUTE FUNCTION billing_refuse_change();
CREATE TRIGGER billing_correction_is_frozen BEFORE UPDATE OR DELETE ON billing_correction
    FOR EACH ROW EXECUTE FUNCTION billing_refuse_change();
"""
FREEZE_BACK = """
DROP TRIGGER billing_correction_is_frozen ON billing_correction;
DROP TRIGGER billing_statementline_is_frozen ON billing_statementline;
DROP TRIGGER billing_statement_is_frozen ON billing_statement;
DROP TRIGGER billing_correction_in_open_month ON billing_correction;
DROP TRIGGER billing_statement_in_open_month ON billing_statement;
DROP TRIGGER billing_closed_month_stays ON billing_monthclose;
DROP FUNCTION billing_keep_closed();
DROP FUNCTION billing_refuse_in_closed_month();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0001_ledger"),
        ("provisioning", "0003_period_metered"),
    ]

    operations = [
        migrations.CreateModel(
            name="MonthClose",
            fields=[
                (
                    "month",
                    models.DateField(help_text="The month's first day.", primary_key=True, serialize=False),
                ),
                ("requested_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("requested_by", models.CharField(max_length=200)),
                ("closed_at", models.DateTimeField(null=True)),
                ("statements", models.PositiveIntegerField(default=0)),
                (
                    "last_error",
                    models.TextField(blank=True, help_text="Why it is not closed yet, for the operator."),
                ),
            ],
            options={
                "ordering": ["-month"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("month__day", 1)), name="close_is_of_a_whole_month"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="RevenueShare",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("service", models.SlugField(max_length=60)),
                ("since", models.DateField(help_text="The first day of the first month it holds for.")),
                ("percent", models.DecimalField(decimal_places=2, max_digits=5)),
                ("set_by", models.CharField(max_length=200)),
                ("set_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "ordering": ["service", "-since"],
                "constraints": [
                    models.UniqueConstraint(fields=("service", "since"), name="one_share_from_a_month_on"),
                    models.CheckConstraint(
                        condition=models.Q(("percent__gte", 0), ("percent__lte", 100)), name="share_is_a_part"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("since__day", 1)), name="share_begins_with_a_month"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Statement",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("month", models.DateField(help_text="The month's first day.")),
                ("service", models.SlugField(max_length=60)),
                (
                    "fee_cents",
                    models.PositiveBigIntegerField(help_text="Plan fees, rounded once and capped."),
                ),
                (
                    "fee_exact",
                    models.CharField(help_text="As a fraction of a cent: 12345/67.", max_length=100),
                ),
                ("usage_cents", models.PositiveBigIntegerField(help_text="Metered use, rounded once.")),
                ("usage_exact", models.CharField(max_length=100)),
                (
                    "share_percent",
                    models.DecimalField(decimal_places=2, help_text="Ours, at the time.", max_digits=5),
                ),
                ("net_cents", models.PositiveBigIntegerField(help_text="Our share of both, rounded once.")),
                (
                    "resource",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="statements",
                        to="provisioning.resource",
                    ),
                ),
            ],
            options={
                "ordering": ["month", "resource_id"],
            },
        ),
        migrations.CreateModel(
            name="Correction",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("service", models.SlugField(max_length=60)),
                ("month", models.DateField(help_text="The month it is booked in.")),
                ("concerns", models.DateField(help_text="The closed month it corrects.")),
                (
                    "kind",
                    models.CharField(
                        choices=[("found", "Found by counting again"), ("operator", "Booked by an operator")],
                        max_length=10,
                    ),
                ),
                ("fee_cents", models.BigIntegerField()),
                ("usage_cents", models.BigIntegerField(default=0)),
                ("net_cents", models.BigIntegerField()),
                ("reason", models.TextField()),
                ("made_by", models.CharField(max_length=200)),
                ("made_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "resource",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="billing_corrections",
                        to="provisioning.resource",
                    ),
                ),
                (
                    "statement",
                    models.ForeignKey(
                        help_text="That it corrects; empty where the resource had none in that month.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="corrections",
                        to="billing.statement",
                    ),
                ),
            ],
            options={
                "ordering": ["pk"],
            },
        ),
        migrations.CreateModel(
            name="StatementLine",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("position", models.PositiveSmallIntegerField()),
                ("plan", models.CharField(help_text="The plan's name then.", max_length=80)),
                ("price_cents", models.PositiveBigIntegerField(help_text="Of a month, or of `per` units.")),
                ("starts_at", models.DateTimeField()),
                ("ends_at", models.DateTimeField()),
                ("unit", models.CharField(blank=True, max_length=40)),
                ("quantity", models.BigIntegerField(default=0)),
                ("per", models.PositiveBigIntegerField(default=1)),
                ("exact", models.CharField(max_length=100)),
                (
                    "cents",
                    models.BigIntegerField(
                        help_text="What it adds to the rounded sum of the lines before it."
                    ),
                ),
                (
                    "statement",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="lines",
                        to="billing.statement",
                    ),
                ),
            ],
            options={
                "ordering": ["statement_id", "position"],
            },
        ),
        migrations.AddIndex(
            model_name="statement",
            index=models.Index(fields=["month", "service"], name="billing_sta_month_ca16e0_idx"),
        ),
        migrations.AddConstraint(
            model_name="statement",
            constraint=models.UniqueConstraint(
                fields=("resource", "month"), name="one_statement_for_a_month"
            ),
        ),
        migrations.AddIndex(
            model_name="correction",
            index=models.Index(fields=["month", "service"], name="billing_cor_month_42d8b7_idx"),
        ),
        migrations.AddIndex(
            model_name="correction",
            index=models.Index(fields=["concerns", "resource"], name="billing_cor_concern_844929_idx"),
        ),
        migrations.AddConstraint(
            model_name="correction",
            constraint=models.CheckConstraint(
                condition=models.Q(("month__gt", models.F("concerns"))), name="correction_is_later"
            ),
        ),
        migrations.AddConstraint(
            model_name="correction",
            constraint=models.CheckConstraint(
                condition=models.Q(("fee_cents", 0), ("usage_cents", 0), _negated=True),
                name="correction_is_something",
            ),
        ),
        migrations.AddConstraint(
            model_name="correction",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["found", "operator"])), name="correction_kind_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="statementline",
            constraint=models.UniqueConstraint(fields=("statement", "position"), name="statement_line_once"),
        ),
        migrations.RunSQL(FREEZE, FREEZE_BACK),
    ]
