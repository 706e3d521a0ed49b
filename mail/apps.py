"""Django's registration of this app."""

from django.apps import AppConfig


class MailConfig(AppConfig):
    """The outbox and the contacts."""

    name = "mail"
    verbose_name = "Mail"

    def ready(self) -> None:
        """Register the system checks, the page of every dashboard, and the words of our events."""
        from mail import checks  # noqa: F401 - importing registers them
        from mail.events import TOLD
        from mail.retention import purge
        from operators import navigation
        from operators.roles import Role, restrict_view
        from provisioning import retention
        from provisioning.services import Page
        from sso.events import tell
        from sso.frame import add_page

        add_page(Page("Contacts", "users-group", "mail:contacts"))
        tell(TOLD)
        retention.register("mails and their events", lambda: sum(purge().values()))
        readers = (Role.SUPPORT, Role.SECURITY)
        restrict_view("mail.mail", *readers)
        navigation.register(
            "Records", "Mails", icon="send", url_name="admin:mail_mail_changelist", roles=readers
        )
