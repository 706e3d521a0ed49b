"""Customers' budgets, and what was told about limits."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0003_payouts"),
        ("provisioning", "0004_audit_is_never_emptied"),
    ]

    operations = [
        migrations.CreateModel(
            name="Budget",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("cents", models.PositiveBigIntegerField()),
                ("set_by", models.CharField(max_length=200)),
                ("set_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "resource",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="billing_budget",
                        to="provisioning.resource",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("cents__gt", 0)), name="budget_is_something")
                ],
            },
        ),
        migrations.CreateModel(
            name="LimitNotice",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("month", models.DateField()),
                (
                    "gauge",
                    models.SlugField(db_index=False, help_text="The limit's name, or budget.", max_length=60),
                ),
                (
                    "threshold",
                    models.SlugField(
                        db_index=False, help_text="50, 80, 95, 100 per cent, or pace.", max_length=10
                    ),
                ),
                ("label", models.CharField(max_length=80)),
                ("unit", models.CharField(max_length=40)),
                ("used", models.BigIntegerField()),
                ("limit", models.BigIntegerField()),
                ("advice", models.TextField(blank=True, help_text="What plan would fit, in words.")),
                ("silent", models.BooleanField(default=False)),
                ("made_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "plan",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="provisioning.plan"
                    ),
                ),
                (
                    "resource",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="limit_notices",
                        to="provisioning.resource",
                    ),
                ),
            ],
            options={
                "ordering": ["-pk"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("resource", "month", "plan", "gauge", "threshold"),
                        name="one_notice_for_a_threshold",
                    )
                ],
            },
        ),
    ]
