"""Indexes for looking after mails by their age."""

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    """For what waits, and for what is old."""

    dependencies = [("mail", "0001_initial")]

    operations = [
        migrations.AddIndex(
            model_name="mail",
            index=models.Index(
                condition=Q(state__in=["queued", "sending"]), fields=["created_at"], name="mail_waiting"
            ),
        ),
        migrations.AddIndex(model_name="mail", index=models.Index(fields=["created_at"], name="mail_by_age")),
    ]
