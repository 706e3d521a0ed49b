"""Which plan may do what: the one table that pages, API and operators consult."""

from collections.abc import Mapping
from enum import StrEnum

from provisioning.models import Plan, Resource
from provisioning.services import Refusal


class Capability(StrEnum):
    """Something a plan includes or not. The value is its name in `plans.toml`'s terms and in exports."""

    CONFIGURE = "configure"
    PREVIEW = "preview"
    SUBMIT = "submit"
    LIVE_APP = "live_app"


WORDS: Mapping[Capability, str] = {
    Capability.CONFIGURE: "Configuration dashboard",
    Capability.PREVIEW: "Live iOS preview",
    Capability.SUBMIT: "App submission",
    Capability.LIVE_APP: "Live mobile apps",
}
_EVERY_PLAN = frozenset({Capability.CONFIGURE, Capability.PREVIEW})
_TABLE: Mapping[bool, frozenset[Capability]] = {
    False: _EVERY_PLAN,
    True: _EVERY_PLAN | {Capability.SUBMIT, Capability.LIVE_APP},
}
"""By the plan's one limit, `publishing`."""


def capabilities_of(plan: Plan | None) -> frozenset[Capability]:
    """What the plan includes; a resource without a plan has nothing."""
    return frozenset() if plan is None else _TABLE[bool(plan.limits.get("publishing"))]


def can(resource: Resource, capability: Capability) -> bool:
    """Whether the resource's present plan includes it."""
    return capability in capabilities_of(resource.plan)


def require(resource: Resource, capability: Capability) -> None:
    """Raise Refusal, in the customer's words, unless the present plan includes it."""
    if not can(resource, capability):
        raise Refusal(
            f"{WORDS[capability]} needs a paid plan. Upgrade with heroku addons:upgrade, "
            "or on your app's Resources tab at Heroku. What you have entered is kept.",
            code="plan_does_not_include",
        )
