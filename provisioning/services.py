"""What an add-on service fulfils, and the registry of those this provider sells.

The core asks; the service answers. Whatever differs from service to service stands in the service's own folder behind
this contract, so a further service is one more folder and one line in `ADDON_SERVICES`.
"""

import inspect
import json
import tomllib
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from functools import cache, cached_property
from pathlib import Path
from typing import Any, ClassVar

from django.conf import settings
from django.utils.module_loading import import_string

from provisioning.models import Operation, Plan, Resource


class Refusal(Exception):
    """What was asked cannot be done, and the customer is told why. Leaves nothing behind.

    The message is shown to people word for word: a sentence that says what to do, never an exception's text.
    """

    def __init__(self, message: str, *, code: str = "refused") -> None:
        """`code` is a stable machine-readable word for the same thing."""
        super().__init__(message)
        self.message = message
        self.code = code


class Fault(Exception):
    """A step did not work out this time; the engine tries it again later. The text is for the operator."""

    def __init__(self, error: str, *, retry_after: float | None = None) -> None:
        """`retry_after`: seconds that the other side asked us to wait at least."""
        super().__init__(error)
        self.retry_after = retry_after


class Unrecoverable(Exception):
    """A step can never work out. `message` is for the customer, the exception's text for the operator."""

    def __init__(self, error: str, *, message: str = "") -> None:
        """End the operation with `error` in its row."""
        super().__init__(error)
        self.message = message


class Wait(Exception):
    """A step waits for something outside; no fault. Run it again after `seconds`."""

    def __init__(self, reason: str, *, seconds: float) -> None:
        """`reason` is what the operator reads meanwhile."""
        super().__init__(reason)
        self.seconds = seconds


@dataclass(frozen=True)
class Step:
    """One idempotent piece of an operation.

    `run` takes only the operation, reads the state anew, checks, then acts. It may run again at any time, also after it
    was killed half-way, and raises Fault, Wait or Unrecoverable.
    """

    name: str
    run: Callable[[Operation], None]


class Provisions(Enum):
    """When a service's resource is ready: with the answer to Heroku, or after it."""

    IN_REQUEST = "in request"
    AFTERWARDS = "afterwards"


@dataclass(frozen=True)
class PlanSpec:
    """A plan as the service's `plans.toml` writes it; see `Plan` for the meaning of each field."""

    slug: str
    name: str
    price_cents: int
    limits: Mapping[str, Any]
    description: str = ""
    metered: Mapping[str, int] = field(default_factory=dict)
    regions: tuple[str, ...] = ()
    default: bool = False


@dataclass(frozen=True)
class GeneratedSecret:
    """A new credential before it is stored: its public part (in the open), the whole secret, and its kind."""

    public_id: str
    secret: str
    kind: str = ""


@dataclass(frozen=True)
class Page:
    """One page of a service's dashboard in the navigation: `url_name` takes the resource's uuid."""

    label: str
    icon: str
    url_name: str


@dataclass(frozen=True)
class Meter:
    """How much of one limit a resource uses: both numbers in `unit`; `used` is None where it is not measured."""

    label: str
    limit: int | None
    unit: str
    used: int | None = None
    help_text: str = ""
    key: str = ""
    """The limit's name in the plan's `limits`, where it is one of these."""


@dataclass(frozen=True)
class UsageUnit:
    """Something a service counts: its stable name, the label people read, and the unit a quantity is shown in."""

    name: str
    label: str
    unit: str


@dataclass(frozen=True, slots=True)
class UsageReading:
    """What one event used of one unit: its whole `quantity`, at the time and under the id that stay with it."""

    event: uuid.UUID
    resource_id: int
    at: datetime
    unit: str
    quantity: int


@dataclass(frozen=True)
class UsageBatch:
    """Some readings, the mark from which to read on, and whether there is more to read at once."""

    readings: Sequence[UsageReading]
    mark: str
    more: bool = False


class AddonService(ABC):
    """An add-on service: the plans it sells and what is done when a resource is made, changed and removed."""

    slug: ClassVar[str]
    """Heroku's id of the service, and the user of its Basic-auth pair."""
    name: ClassVar[str]
    config_prefix: ClassVar[str]
    config_var_names: ClassVar[tuple[str, ...]]
    """Every config var that may ever be set, with the prefix."""
    secret_config_vars: ClassVar[tuple[str, ...]]
    """Those of `config_var_names` whose value a dashboard shows only when somebody asks for it."""
    provisions: ClassVar[Provisions]
    issues_credentials: ClassVar[bool] = True
    """Whether customers hold a key or password that can be rotated."""
    provisioned_message: ClassVar[str]
    provisioning_message: ClassVar[str] = ""
    removed_note: ClassVar[str] = ""
    """What the page of a removed resource tells beside what holds for every service."""
    suspended_note: ClassVar[str] = "Nothing is lost: all of it works again when the suspension ends."
    """What a suspension means for the customer, told beside the operator's reason."""
    support_email: ClassVar[str] = ""
    icon: ClassVar[str] = "box"
    """What stands for the service on its dashboard: a name from `frontend/src/icons.json`."""
    pages: ClassVar[tuple[Page, ...]] = ()
    usage_units: ClassVar[tuple[UsageUnit, ...]] = ()
    """What `read_usage` tells; empty for a service that counts nothing."""
    own_notices: ClassVar[frozenset[str]] = frozenset()
    """Limits (their names in a plan's `limits`) whose notices on the dashboard the service gives itself."""

    # --- catalogue ------------------------------------------------------------------------------------------
    @cached_property
    def folder(self) -> Path:
        """The service's folder, where `plans.toml` and `addon-manifest.json` stand."""
        return Path(inspect.getfile(type(self))).parent

    @cached_property
    def plans(self) -> tuple[PlanSpec, ...]:
        """The plans of `plans.toml`, in its order; ValueError names what does not fit."""
        with (self.folder / "plans.toml").open("rb") as file:
            document = tomllib.load(file)
        common_regions = tuple(document.get("regions", ()))
        specs = []
        for entry in document["plans"]:
            entry = {"regions": common_regions, **entry}
            entry["regions"] = tuple(entry["regions"])
            spec = PlanSpec(**entry)
            try:
                self.validate_limits(spec.limits)
            except ValueError as error:
                raise ValueError(f"{self.slug}:{spec.slug}: {error}") from None
            specs.append(spec)
        if sum(spec.default for spec in specs) != 1:
            raise ValueError(f"{self.slug} needs exactly one default plan")
        return tuple(specs)

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """`addon-manifest.json` of the folder, which holds no secret."""
        content: dict[str, Any] = json.loads((self.folder / "addon-manifest.json").read_text())
        return content

    @abstractmethod
    def validate_limits(self, limits: Mapping[str, Any]) -> None:
        """Raise ValueError when a plan's limits lack a key, hold an unknown one, or a value is out of range."""

    def sync_settings(self) -> None:
        """Bring rows of the service's own that follow from the environment in line with it, at each release.

        Called after the plans were synchronised, in the same transaction; safe to repeat.
        """
        return

    # --- provision ------------------------------------------------------------------------------------------
    def accept_options(self, options: Mapping[str, str]) -> dict[str, Any]:
        """The options of `addons:create` this service keeps; unknown ones are ignored, a bad value is a Refusal."""
        return {}

    @abstractmethod
    def provision_steps(self) -> Sequence[Step]:
        """What makes a resource. A service that provisions in the request touches Postgres only."""

    @abstractmethod
    def config_vars(self, resource: Resource) -> dict[str, str]:
        """The complete set of config vars of a resource that is made, under their full names."""

    # --- plan change ----------------------------------------------------------------------------------------
    def check_plan_change(self, resource: Resource, plan: Plan) -> None:
        """Raise Refusal with the customer's message when the resource cannot move to `plan`. Called in the request."""
        return

    def change_plan_steps(self) -> Sequence[Step]:
        """What brings the outside in line with the resource's new plan, once the change is acknowledged."""
        return ()

    # --- credentials ----------------------------------------------------------------------------------------
    def generate_secret(self, resource: Resource) -> GeneratedSecret:
        """A fresh credential for `resource`, not stored anywhere yet."""
        raise TypeError(f"{self.slug} issues no credentials")

    def install_credential_steps(self) -> Sequence[Step]:
        """What lets a newly issued credential in outside of Postgres."""
        return ()

    def remove_credential_steps(self) -> Sequence[Step]:
        """What shuts revoked credentials out outside of Postgres."""
        return ()

    # --- deprovision ----------------------------------------------------------------------------------------
    @abstractmethod
    def deprovision_steps(self) -> Sequence[Step]:
        """What removes everything the service made outside of the core's rows. Runs also for half-made resources."""

    def erase_data(self, resource: Resource) -> Mapping[str, int]:
        """Delete what the customer of a removed resource had entered; how many rows of which table. Safe to repeat."""
        return {}

    # --- operators ------------------------------------------------------------------------------------------
    def limits_changed(self, resource: Resource) -> None:
        """Bring what stands outside of the core's rows in line with `provisioning.limits.limits_of(resource)`.

        Called in the transaction that changed an override, with the resource locked: write rows and wake a worker.
        """
        return

    def suspension_changed(self, resource: Resource) -> None:
        """Let the outside follow `resource.suspended_at`; called as `limits_changed` is."""
        return

    # --- dashboard ------------------------------------------------------------------------------------------
    @abstractmethod
    def dashboard_url(self, resource: Resource) -> str:
        """Absolute path of the resource's first dashboard page."""

    @abstractmethod
    def usage_summary(self, resource: Resource) -> list[Meter]:
        """The plan's limits in the customer's words, with what is used of them where that is measured."""

    def limit_rows(self, plan: Plan) -> list[tuple[str, str]]:
        """The plan's limits as (label, text) for people."""
        return [(key.replace("_", " ").capitalize(), str(value)) for key, value in plan.limits.items()]

    # --- usage ----------------------------------------------------------------------------------------------
    def read_usage(self, *, since: str, most: int) -> UsageBatch:
        """What was used since a mark of an earlier batch (empty: from the beginning), about `most` readings of it.

        Events may be told again, with the same id, time and resource. One that was told with another quantity is
        corrected. What is not committed yet must not be passed over by the mark.
        """
        return UsageBatch((), since)

    def usage_peaks(self, resource: Resource, *, since: datetime) -> list[Meter]:
        """The plan's rates with the highest use of each since a moment: what `usage_summary` tells of now only."""
        return []


@cache
def all_services() -> Mapping[str, AddonService]:
    """Every service of `ADDON_SERVICES` by slug. Whole for every thread: it is never seen half-filled."""
    services: list[AddonService] = [import_string(path)() for path in settings.ADDON_SERVICES]
    return {service.slug: service for service in services}


def service_of(resource: Resource) -> AddonService:
    """The service that `resource` belongs to."""
    return all_services()[resource.service]
