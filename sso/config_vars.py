"""The config vars on a dashboard: open ones in plain sight, secret ones only when a member asks."""

from dataclasses import dataclass

from django.core.exceptions import ObjectDoesNotExist
from django.db import transaction

from provisioning import audit
from provisioning.locks import lock_resource
from provisioning.models import Resource
from provisioning.services import Refusal, service_of
from provisioning.states import ResourceState


@dataclass(frozen=True)
class ConfigVar:
    """One config var; `value` is None for a secret one, whose value is no part of the page."""

    name: str
    value: str | None

    @property
    def secret(self) -> bool:
        """Whether the value is shown on request only."""
        return self.value is None


def config_var_rows(resource: Resource) -> list[ConfigVar]:
    """The config vars of a provisioned resource, without the secret values."""
    service = service_of(resource)
    values = _values(resource)
    return [
        ConfigVar(name, None if name in service.secret_config_vars else value)
        for name, value in values.items()
    ]


def reveal_config_var(resource_id: int, *, name: str, actor: str) -> str:
    """The value of one secret config var, for `actor`; the audit keeps who saw it.

    Refusal when there is no such secret, or the resource is not provisioned (any more). The resource is
    locked, so that a deprovision comes wholly before or after.
    """
    with transaction.atomic():
        resource = lock_resource(resource_id)
        if resource.state != ResourceState.PROVISIONED:
            raise Refusal("This add-on was removed; its credentials no longer work.", code="resource_ended")
        if name not in service_of(resource).secret_config_vars:
            raise Refusal("There is no such secret config var.", code="config_var_unknown")
        value = service_of(resource).config_vars(resource).get(name)
        if value is None:
            raise Refusal(f"{name} is not set.", code="config_var_unknown")
        audit.record("config_vars.revealed", resource=resource, actor=actor, names=[name])
        return value


def _values(resource: Resource) -> dict[str, str]:
    try:
        return service_of(resource).config_vars(resource)
    except (ValueError, ObjectDoesNotExist):
        # Removed since it was read: its secrets are gone, and the next page says so. Anything else is a
        # fault.
        if Resource.objects.values_list("state", flat=True).get(pk=resource.pk) == ResourceState.PROVISIONED:
            raise
        return {}
