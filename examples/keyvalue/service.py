"""The service behind the contract of `provisioning/services.py`."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from django.urls import reverse

from examples.keyvalue.models import Entry
from provisioning import credentials
from provisioning.models import Operation, Plan, Resource, new_public_id
from provisioning.services import AddonService, GeneratedSecret, Meter, Page, Provisions, Refusal, Step
from provisioning.steps import ISSUE_CREDENTIAL

KEY_PREFIX = "kv-"


class KeyValue(AddonService):
    """Everything is a row of ours, so a resource is ready with the answer to Heroku."""

    slug = "keyvalue"
    name = "KeyValue"
    config_prefix = "KEYVALUE"
    config_var_names = ("KEYVALUE_URL", "KEYVALUE_KEY")
    secret_config_vars = ("KEYVALUE_KEY",)
    provisions = Provisions.IN_REQUEST
    provisioned_message = "Put and get values below KEYVALUE_URL with the key in KEYVALUE_KEY."
    pages = (Page("Overview", "home", "keyvalue:overview"),)

    def validate_limits(self, limits: Mapping[str, Any]) -> None:
        """`entries`, and `value_bytes` of each."""
        known = set(limits) == {"entries", "value_bytes"}
        if not known or any(type(value) is not int or value <= 0 for value in limits.values()):
            raise ValueError("the limits are entries and value_bytes, whole numbers above zero")

    def provision_steps(self) -> Sequence[Step]:
        """A key; the namespace is the resource itself."""
        return (ISSUE_CREDENTIAL,)

    def config_vars(self, resource: Resource) -> dict[str, str]:
        """Where the entries are, and the key."""
        credential = credentials.active_credential(resource)
        key = credential.get_sealed("secret") if credential else None
        return {"KEYVALUE_URL": f"{settings.BASE_URL}/keyvalue/v1/", "KEYVALUE_KEY": key or ""}

    def check_plan_change(self, resource: Resource, plan: Plan) -> None:
        """Down only to a plan that what is stored fits into."""
        used, allowed = self.usage_summary(resource)[0].used or 0, plan.limits["entries"]
        if used > allowed:
            raise Refusal(
                f"You store {used:,} entries and '{plan.slug}' allows {allowed:,}. Delete some first."
            )

    def generate_secret(self, resource: Resource) -> GeneratedSecret:
        """A key `kv-…` with a public part and a checksum."""
        public = new_public_id()
        return GeneratedSecret(public, credentials.new_key(prefix=KEY_PREFIX, public_id=public))

    def deprovision_steps(self) -> Sequence[Step]:
        """The entries go; the core destroys the key."""
        return (Step("delete entries", _delete_entries),)

    def dashboard_url(self, resource: Resource) -> str:
        """The overview."""
        return reverse("keyvalue:overview", args=[resource.uuid])

    def usage_summary(self, resource: Resource) -> list[Meter]:
        """How many entries there are."""
        limit = resource.plan.limits["entries"] if resource.plan else None
        used = Entry.objects.filter(resource=resource).count()
        return [Meter("Entries", limit, "entries", used, key="entries")]


def _delete_entries(operation: Operation) -> None:
    Entry.objects.filter(resource_id=operation.resource_id).delete()
