"""What every add-on service has to fulfil, asked of each one in `ADDON_SERVICES`.

A new service gets these tests by its line in the settings, without a line here: its plans and manifest are checked,
and resources of it are made, changed, rotated and removed against a scripted Heroku. Each operation is also cut off
after every prefix of its steps, with each step of the prefix run once or twice, and then run by the engine from its
first step: the end has to be the same as without the cut. What a service keeps in tables of its own is part of the
comparison (row counts), so a step that makes a second row, or none, is noticed.

What the kit cannot know is tested in the service's own folder of tests: values of config vars, refusals of plan
changes by usage, and external systems. A service whose steps reach one gets its local stand-in from its settings.
"""

import re
import uuid
from collections.abc import Callable
from itertools import product
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.urls import resolve

from provisioning import access, lifecycle, operations, resources
from provisioning.catalogue import REGIONS
from provisioning.checks import check_services
from provisioning.models import Credential, Operation, Plan, PlanPeriod, Resource
from provisioning.rotation import rotate_credentials
from provisioning.sealing import sealed_columns
from provisioning.services import AddonService, Meter, Provisions, Refusal, Step, all_services
from provisioning.states import ACTIVE_OPERATION_STATES, LIVE_STATES
from tests.support.heroku import FakeHeroku
from tests.support.partner import Partner, provision_body, row_counts, run_operations

SERVICES = list(all_services().values())
IN_REQUEST = [service for service in SERVICES if service.provisions is Provisions.IN_REQUEST]
AFTERWARDS = [service for service in SERVICES if service.provisions is Provisions.AFTERWARDS]
WITH_CREDENTIALS = [service for service in SERVICES if service.issues_credentials]
CONFIG_LARGEST_BYTES = 32_768


def of(services: list[AddonService]) -> pytest.MarkDecorator:
    """Run the test for each of the services."""
    return pytest.mark.parametrize("service", services, ids=[service.slug for service in services])


# --- what is written down -----------------------------------------------------------------------------------


@of(SERVICES)
def test_its_plans_are_valid(service: AddonService) -> None:
    slugs = [plan.slug for plan in service.plans]
    assert len(set(slugs)) == len(slugs)
    assert sum(plan.default for plan in service.plans) == 1
    for plan in service.plans:
        assert re.fullmatch(r"[a-z0-9][a-z0-9-]*", plan.slug)
        assert plan.name
        assert isinstance(plan.price_cents, int)
        assert plan.price_cents >= 0
        assert all(type(cents) is int and cents > 0 for cents in plan.metered.values())
        assert plan.regions
        assert set(plan.regions) <= set(REGIONS.values())
        service.validate_limits(plan.limits)


@of(SERVICES)
def test_its_default_plan_costs_no_monthly_price(service: AddonService) -> None:
    """Review apps and CI runs get it without being asked."""
    assert next(plan for plan in service.plans if plan.default).price_cents == 0


@of(SERVICES)
def test_limits_that_do_not_fit_are_refused(service: AddonService) -> None:
    for plan in service.plans:
        broken: list[dict[str, Any]] = [{**plan.limits, "no_such_limit": 1}, {}]
        broken += [
            {name: value for name, value in plan.limits.items() if name != left_out}
            for left_out in plan.limits
        ]
        broken += [{**plan.limits, name: "plenty"} for name in plan.limits]
        for limits in broken:
            with pytest.raises(ValueError):
                service.validate_limits(limits)


@of(SERVICES)
def test_its_names_are_heroku_s(service: AddonService) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9-]*", service.slug)
    assert re.fullmatch(r"[A-Z][A-Z0-9_]*", service.config_prefix)
    assert len(set(service.config_var_names)) == len(service.config_var_names) > 0
    for name in service.config_var_names:
        assert re.fullmatch(r"[A-Z][0-9A-Z_]+", name)
        assert name.startswith(f"{service.config_prefix}_")
        assert not name.startswith("HEROKU_")


@of(SERVICES)
def test_its_manifest_is_in_step_with_its_code(service: AddonService) -> None:
    assert not [problem for problem in check_services() if problem.msg.startswith(f"{service.slug}:")]
    sold = {region for plan in service.plans for region in plan.regions}
    assert sold <= set(service.manifest["api"]["regions"])


@of(SERVICES)
def test_it_tells_customers_something(service: AddonService) -> None:
    assert service.name
    assert service.provisioned_message
    assert service.provisioning_message or service.provisions is Provisions.IN_REQUEST


@of(SERVICES)
def test_the_names_of_its_steps_are_unique(service: AddonService) -> None:
    resource = Resource(service=service.slug)
    for kind, revoke_now in product(
        ["provision", "plan_change", "rotation", "revocation", "deprovision"], [0, 1]
    ):
        operation = Operation(resource=resource, kind=kind, parameters={"revoke_now": bool(revoke_now)})
        names = [step.name for step in lifecycle.steps_of(operation)]
        assert len(set(names)) == len(names)
        assert max(map(len, names), default=0) <= 60


# --- a resource of it ---------------------------------------------------------------------------------------


@of(SERVICES)
def test_config_vars_are_exactly_those_declared(
    service: AddonService, ready: Any, heroku: FakeHeroku
) -> None:
    for plan in service.plans:
        resource = ready(service.slug, plan=plan.slug, region=plan.regions[-1])
        config = service.config_vars(resource)
        assert set(config) == set(service.config_var_names)
        assert all(type(value) is str and value for value in config.values())
        for name in config:
            if name.endswith("_URL"):
                parts = urlsplit(config[name])
                assert parts.scheme
                assert parts.hostname
        assert sum(len(name) + len(value) for name, value in config.items()) < CONFIG_LARGEST_BYTES
        assert service.config_vars(resource) == config
        assert heroku.config[str(resource.uuid)] == config


@of(SERVICES)
def test_its_dashboard_has_an_address_and_its_limits_have_words(service: AddonService, ready: Any) -> None:
    for spec in service.plans:
        resource = ready(service.slug, plan=spec.slug, region=spec.regions[0])
        path = service.dashboard_url(resource)
        assert path.startswith("/")
        assert resolve(path).kwargs == {"uuid": resource.uuid}
        assert all(isinstance(meter, Meter) for meter in service.usage_summary(resource))
        assert resource.plan
        rows = service.limit_rows(resource.plan)
        assert rows
        assert all(label and text and isinstance(text, str) for label, text in rows)
    for page in service.pages:
        assert page.label
        assert page.icon


@of(SERVICES)
def test_a_refusal_leaves_no_trace(service: AddonService, ready: Any) -> None:
    partner = Partner(service.slug)
    resource = ready(service.slug)
    told: list[str] = []
    before = row_counts()
    for fields in ({"plan": "no-such-plan"}, {"region": "amazon-web-services::mars-1"}, {"uuid": "no-uuid"}):
        assert partner.post(provision_body(service.slug, **fields)).status_code == 422
    assert partner.put(resource.uuid, "no-such-plan").status_code == 422
    for plan in Plan.objects.filter(service=service.slug):
        try:
            service.check_plan_change(resource, plan)
        except Refusal as refusal:
            told.append(refusal.message)
            assert partner.put(resource.uuid, plan.slug).status_code == 422
    assert all(message.endswith((".", "!")) for message in told)
    assert row_counts() == before


@of(IN_REQUEST)
def test_a_service_that_provisions_in_the_request_opens_no_socket(
    service: AddonService, plans: None, outside: list[object]
) -> None:
    partner = Partner(service.slug)
    resource = partner.provisioned()
    for plan in service.plans:
        assert partner.put(resource.uuid, plan.slug).status_code in (200, 422)
    assert partner.delete(resource.uuid).status_code == 204
    run_operations(resource)
    assert not outside


@of(AFTERWARDS)
def test_a_service_that_provisions_afterwards_does_nothing_in_the_request(
    service: AddonService, plans: None, outside: list[object]
) -> None:
    partner = Partner(service.slug)
    before = row_counts()
    resource = partner.provisioned()
    after = row_counts()
    made = {label: after[label] - before[label] for label in after if after[label] != before[label]}
    assert set(made) == {
        f"provisioning.{name}"
        for name in ("Resource", "Operation", "PlanPeriod", "PlatformAccess", "AuditEvent")
    }
    assert partner.delete(resource.uuid).status_code == 204
    assert not outside


# --- every step twice, and every cut ------------------------------------------------------------------------


def state_of_things(resource: Resource, heroku: FakeHeroku, *, since: dict[str, int]) -> dict[str, Any]:
    """What has to be the same however an operation came to its end. Audit events may differ in number."""
    resource = Resource.objects.get(pk=resource.pk)
    counts = {label: number - since[label] for label, number in row_counts().items()}
    counts.pop("provisioning.AuditEvent")
    states = Credential.objects.filter(resource=resource).values_list("state", flat=True)
    operations_ = Operation.objects.filter(resource=resource).order_by("pk").values_list("kind", "state")
    config = None
    if resource.state == "provisioned":
        config = all_services()[resource.service].config_vars(resource) == heroku.config[str(resource.uuid)]
    return {
        "state": resource.state,
        "plan": resource.plan and resource.plan.slug,
        "credentials": sorted(states),
        "open periods": PlanPeriod.objects.filter(resource=resource, ends_at=None).count(),
        "void periods": PlanPeriod.objects.exclude(voided_at=None).filter(resource=resource).count(),
        "operations": list(operations_),
        "rows": counts,
        "at Heroku": heroku.addons[str(resource.uuid)]["state"],
        "config is Heroku's": config,
        "access": access.state_of(resource),
    }


Begin = Callable[[], tuple[Resource, Operation]]


def check_every_cut(begin: Begin, heroku: FakeHeroku) -> list[dict[str, Any]]:
    """Run the operation that `begin` makes without a cut and with every cut; every end has to be the same."""
    ends = []
    steps: tuple[Step, ...] = ()
    number, times = 0, 1
    cuts = [(0, 1)]
    while cuts:
        number, times = cuts.pop(0)
        since = row_counts()
        resource, operation = begin()
        if not steps:
            steps = lifecycle.steps_of(operation)
            cuts += [(n, t) for n in range(1, len(steps) + 1) for t in (1, 2)]
        for step in steps[:number]:
            for _ in range(times):
                step.run(Operation.objects.select_related("resource", "target_plan").get(pk=operation.pk))
        run_operations(resource)
        operation.refresh_from_db()
        assert operation.state == "succeeded"
        ends.append(state_of_things(resource, heroku, since=since))
        assert ends[-1] == ends[0], f"after {number} of {[step.name for step in steps]}, each {times} times"
    return ends


def provisioning(service: AddonService, heroku: FakeHeroku) -> tuple[Resource, Operation]:
    """A resource that Heroku has just asked for, with its grant exchanged, and its provision operation."""
    resource = Partner(service.slug).provisioned()
    assert resource.plan
    heroku.know(resource.uuid, plan=f"{service.slug}:{resource.plan.slug}", state="provisioning")
    if service.provisions is Provisions.IN_REQUEST:
        heroku.know(
            resource.uuid, plan=f"{service.slug}:{resource.plan.slug}", config=service.config_vars(resource)
        )
    access.exchange_grant(resource.access.pk)
    return resource, resource.operations.get(kind="provision")


def other_plan(service: AddonService, resource: Resource) -> Plan:
    """A plan that the resource may move to."""
    for plan in Plan.objects.filter(service=service.slug):
        if plan.pk == resource.plan_id:
            continue
        try:
            service.check_plan_change(resource, plan)
        except Refusal:
            continue
        if resource.region in plan.regions:
            return plan
    raise AssertionError(f"{service.slug} has no plan to change to")


@of(SERVICES)
def test_a_provision_ends_the_same_after_every_cut(
    service: AddonService, plans: None, heroku: FakeHeroku
) -> None:
    ends = check_every_cut(lambda: provisioning(service, heroku), heroku)
    assert ends[0]["state"] == "provisioned"
    assert ends[0]["at Heroku"] == "provisioned"
    assert ends[0]["config is Heroku's"] is True
    assert ends[0]["credentials"] == (["active"] if service.issues_credentials else [])


@of(SERVICES)
def test_a_plan_change_ends_the_same_after_every_cut(
    service: AddonService, ready: Any, heroku: FakeHeroku
) -> None:
    def begin() -> tuple[Resource, Operation]:
        resource = ready(service.slug)
        resources.change_plan(service, resource.uuid, other_plan(service, resource).slug)
        # The answer to Heroku carries the config vars where they are known at once.
        heroku.config[str(resource.uuid)] = service.config_vars(Resource.objects.get(pk=resource.pk))
        return resource, resource.operations.get(kind="plan_change")

    ends = check_every_cut(begin, heroku)
    assert ends[0]["open periods"] == 1
    assert ends[0]["config is Heroku's"] is True


@of(WITH_CREDENTIALS)
@pytest.mark.parametrize("revoke_now", [False, True])
def test_a_rotation_ends_the_same_after_every_cut(
    service: AddonService, ready: Any, heroku: FakeHeroku, revoke_now: bool
) -> None:
    def begin() -> tuple[Resource, Operation]:
        resource = ready(service.slug)
        return resource, rotate_credentials(resource.pk, requested_by="test", revoke_now=revoke_now)

    ends = check_every_cut(begin, heroku)
    assert ends[0]["credentials"] == ["active", "revoked" if revoke_now else "retiring"]
    assert ends[0]["config is Heroku's"] is True


@of(SERVICES)
def test_a_deprovision_ends_the_same_after_every_cut(
    service: AddonService, ready: Any, heroku: FakeHeroku
) -> None:
    def begin() -> tuple[Resource, Operation]:
        resource = ready(service.slug)
        resources.deprovision(service, resource.uuid)
        return resource, resource.operations.get(kind="deprovision")

    ends = check_every_cut(begin, heroku)
    assert ends[0]["state"] == "deprovisioned"
    assert set(ends[0]["credentials"]) <= {"revoked"}


def check_nothing_left(resource: Resource) -> None:
    """No live credential, no secret in any table, no open period, nothing under way."""
    resource.refresh_from_db()
    assert resource.state == "deprovisioned"
    assert not Credential.objects.exclude(state="revoked").exists()
    for model, columns in sealed_columns().items():
        for row in model._default_manager.all():
            assert [getattr(row, column) for column in columns] == [None] * len(columns), model
    assert not PlanPeriod.objects.filter(ends_at=None).exists()
    assert not Operation.objects.filter(state__in=ACTIVE_OPERATION_STATES).exists()


@of(SERVICES)
def test_a_deprovision_leaves_no_credential_and_no_secret(service: AddonService, ready: Any) -> None:
    resource = ready(service.slug)
    if service.issues_credentials:
        rotate_credentials(resource.pk, requested_by="test")
        run_operations(resource)
    assert Partner(service.slug).delete(resource.uuid).status_code == 204
    run_operations(resource)
    check_nothing_left(resource)


@of(SERVICES)
def test_a_deprovision_after_any_part_of_a_provision_leaves_nothing(
    service: AddonService, plans: None, heroku: FakeHeroku
) -> None:
    number = 0
    while True:
        resource, operation = provisioning(service, heroku)
        steps = lifecycle.steps_of(operation)
        for step in steps[:number]:
            step.run(operation)
        assert Partner(service.slug).delete(resource.uuid).status_code == 204
        operations.run(operation.pk)
        run_operations(resource)
        check_nothing_left(resource)
        if number >= len(steps):
            break
        number += 1


@of(SERVICES)
def test_a_second_resource_is_untouched_by_the_removal_of_the_first(
    service: AddonService, ready: Any
) -> None:
    first, second = ready(service.slug), ready(service.slug)
    before = service.config_vars(second)
    assert first.uuid != second.uuid
    resources.deprovision(service, first.uuid)
    run_operations(first)
    second.refresh_from_db()
    assert second.state in LIVE_STATES
    assert service.config_vars(second) == before
    assert Partner(service.slug).delete(uuid.uuid4()).status_code == 410
