"""The MobiLoud add-on behind the service contract."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.urls import reverse

from addon.mobiloud import retention
from addon.mobiloud.capabilities import WORDS, capabilities_of
from provisioning.models import Plan, Resource
from provisioning.services import AddonService, Meter, Page, Provisions, Refusal, Step

_URL_LONGEST = 500


class MobiLoud(AddonService):
    """A configuration dashboard; the customer's secrets are Heroku's SSO, so no credential is issued."""

    slug = "mobiloud"
    name = "MobiLoud"
    config_prefix = "MOBILOUD"
    config_var_names = ("MOBILOUD_URL",)
    secret_config_vars = ()
    provisions = Provisions.IN_REQUEST
    issues_credentials = False
    provisioned_message = "Open the dashboard from your app's Resources tab to configure your mobile app."
    support_email = "support@mobiloud.com"
    icon = "device-mobile"
    removed_note = (
        "The apps show that the service is no longer active. Their binaries are in your own Apple and Google developer "
        "accounts and are not touched. What you had entered here is deleted after the retention period."
    )
    pages = (
        Page("Overview", "home", "mobiloud:overview"),
        Page("Configure", "adjustments", "mobiloud:configure"),
        Page("History", "history", "mobiloud:history"),
    )

    def validate_limits(self, limits: Mapping[str, Any]) -> None:
        """`publishing` only: whether the plan may submit an app."""
        if set(limits) != {"publishing"} or not isinstance(limits["publishing"], bool):
            raise ValueError("the one limit is publishing, true or false")

    def accept_options(self, options: Mapping[str, str]) -> dict[str, Any]:
        """`--website https://…` names the website at once; the dashboard asks for it otherwise."""
        website = options.get("website")
        if website is None:
            return {}
        try:
            parts = urlsplit(website)
            _ = parts.port
        except ValueError:
            parts = urlsplit("")
        if (
            parts.scheme not in ("http", "https")
            or not parts.hostname
            or parts.username
            or len(website) > _URL_LONGEST
        ):
            raise Refusal(
                "The option 'website' has to be the public address of your site, such as https://www.example.com.",
                code="options_unsupported",
            )
        return {"website": website}

    def provision_steps(self) -> Sequence[Step]:
        """Nothing has to be made."""
        return ()

    def config_vars(self, resource: Resource) -> dict[str, str]:
        """The dashboard's address."""
        return {"MOBILOUD_URL": f"{settings.BASE_URL}{self.dashboard_url(resource)}"}

    def deprovision_steps(self) -> Sequence[Step]:
        """The site ends and its secrets are destroyed; what else it holds is purged after the retention period."""
        return (Step("end site", retention.end_site),)

    def erase_data(self, resource: Resource) -> Mapping[str, int]:
        """The site's address, its revisions and submissions."""
        return retention.erase(resource)

    def dashboard_url(self, resource: Resource) -> str:
        """The overview."""
        return reverse("mobiloud:overview", args=[resource.uuid])

    def usage_summary(self, resource: Resource) -> list[Meter]:
        """Nothing is counted."""
        return []

    def limit_rows(self, plan: Plan) -> list[tuple[str, str]]:
        """What the plan includes."""
        included = capabilities_of(plan)
        return [
            (words, "Included" if capability in included else "On every paid plan")
            for capability, words in WORDS.items()
        ]
