"""Who a scope means."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from addon.inference.models import UsageTotal
from addon.mobiloud.models import Site, Submission
from advisories.scope import BadScope, describe, read_scope, resources_in
from provisioning.models import Credential, Resource
from tests.support.partner import Partner

pytestmark = pytest.mark.django_db

Means = Callable[..., set[str]]


def means(**given: Any) -> set[str]:
    """The uuids of the resources that a scope means."""
    return {str(one.uuid) for one in resources_in(read_scope(given))}


@pytest.fixture
def three(plans: None) -> dict[str, Resource]:
    """A resource of inference here, one abroad, and one of MobiLoud."""
    return {
        "us": Partner("inference").provisioned(),
        "eu": Partner("inference").provisioned(region="amazon-web-services::eu-west-1"),
        "app": Partner("mobiloud").provisioned(),
    }


def test_an_empty_scope_means_nobody(three: dict[str, Resource]) -> None:
    assert means() == set()
    assert means(include_removed=True) == set()


def test_services_plans_regions_and_lists_narrow_each_other(three: dict[str, Resource]) -> None:
    us, eu, app = (str(three[name].uuid) for name in ("us", "eu", "app"))
    assert means(services=["inference"]) == {us, eu}
    assert means(services=["inference"], regions=[three["eu"].region]) == {eu}
    plan = three["app"].plan
    assert plan
    assert means(plans=[f"mobiloud:{plan.slug}"]) == {app}
    assert means(plans=[f"inference:{plan.slug}"]) == set()
    assert means(uuids=f"{us}\n{app}, ", services=["mobiloud"]) == {app}


def test_times_of_creation_and_use_are_half_open(three: dict[str, Resource]) -> None:
    us, now = three["us"], timezone.now()
    Resource.objects.filter(pk=us.pk).update(created_at=now - timedelta(days=10))
    day = timedelta(days=1)
    assert means(created_until=(now - 9 * day).isoformat()) == {str(us.uuid)}
    assert str(us.uuid) not in means(created_from=(now - 10 * day + timedelta(seconds=1)).isoformat())
    assert means(used_until=(now - 5 * day).isoformat()) == {str(us.uuid)}
    assert len(means(used_from=(now - 5 * day).isoformat())) == 3


def test_a_plan_counts_when_it_was_used_within_the_period(three: dict[str, Resource]) -> None:
    us, now = three["us"], timezone.now()
    former = us.plan
    assert former
    period = us.plan_periods.get()
    period.starts_at, period.ends_at = now - timedelta(days=20), now - timedelta(days=10)
    period.save()
    Resource.objects.filter(pk=us.pk).update(created_at=period.starts_at)
    name = f"inference:{former.slug}"
    before = (now - timedelta(days=15)).isoformat()
    assert str(us.uuid) in means(plans=[name], used_until=before)
    assert str(us.uuid) not in means(plans=[name], used_from=(now - timedelta(days=5)).isoformat())


def test_removed_resources_are_meant_only_when_asked_for(three: dict[str, Resource]) -> None:
    us = three["us"]
    assert Partner("inference").delete(us.uuid).status_code == 204
    assert str(us.uuid) not in means(services=["inference"])
    assert str(us.uuid) in means(services=["inference"], include_removed=True)


def test_credentials_are_named_by_public_id_or_by_time(three: dict[str, Resource]) -> None:
    us = three["us"]
    key = Credential.objects.get(resource=us)
    assert means(credentials=[key.public_id]) == {str(us.uuid)}
    Credential.objects.filter(pk=key.pk).update(created_at=timezone.now() - timedelta(days=3))
    until = (timezone.now() - timedelta(days=2)).isoformat()
    assert means(credentials_until=until) == {str(us.uuid)}


def test_kafka_s_own_filter_names_its_clusters(plans: None) -> None:
    from advisories.scope import service_filters

    assert "kafka_cluster" in [one.name for one in service_filters()]
    assert means(kafka_cluster=["no-such-cluster"]) == set()


def asked(resource: Resource, model: str, day: datetime) -> None:
    """Let a resource have used a model on a day."""
    names = [
        field.name for field in UsageTotal._meta.fields if field.get_internal_type().startswith("Positive")
    ]
    counts = dict.fromkeys(names, 0)
    UsageTotal.objects.create(
        resource=resource, period="day", start=day, model=model, durations=[], first_bytes=[], **counts
    )


def test_features_are_told_by_the_services_and_within_the_times_of_use_where_they_keep_them(
    three: dict[str, Resource],
) -> None:
    us, eu, app = (str(three[name].uuid) for name in ("us", "eu", "app"))
    Resource.objects.update(created_at=datetime(2026, 1, 1, tzinfo=UTC))
    asked(three["us"], "nova-pro", datetime(2026, 11, 3, tzinfo=UTC))
    asked(three["eu"], "nova-pro", datetime(2026, 11, 9, tzinfo=UTC))
    asked(three["eu"], "nova-lite", datetime(2026, 11, 3, tzinfo=UTC))
    Submission.objects.create(
        site=Site.objects.get_or_create(resource=three["app"])[0],
        state="submitted", submitted_at=timezone.now(), plan="starter",
    )  # fmt: skip
    pro = ["inference:model:nova-pro"]
    assert means(features=pro) == {us, eu}
    assert means(features=pro, used_from="2026-11-03T18:00", used_until="2026-11-09T00:00") == {us}
    assert means(features=pro, used_from="2026-11-09T18:00") == {eu}
    assert means(features=[*pro, "mobiloud:submission"]) == {us, eu, app}
    assert means(features=[*pro, "mobiloud:submission"], services=["mobiloud"]) == {app}
    assert (
        means(features=["kafkacluster:topics", "kafkacluster:consumer-groups", "mobiloud:published"]) == set()
    )
    assert dict(describe({"features": pro}))["Feature"] == "Inference: model nova-pro"


def test_a_saved_feature_that_no_service_knows_any_more_neither_widens_a_scope_nor_forgets_anybody() -> None:
    with pytest.raises(BadScope):
        read_scope({"features": ["inference:model:gone"]})
    with pytest.raises(BadScope):
        resources_in({"features": ["inference:model:gone"]})


@pytest.mark.parametrize("given", [{"uuids": "not-a-uuid"}, {"created_from": "yesterday"}])
def test_what_cannot_be_read_is_refused_in_words(given: dict[str, Any]) -> None:
    with pytest.raises(BadScope):
        read_scope(given)


def test_a_scope_is_told_to_people() -> None:
    told = dict(describe(read_scope({"services": ["inference"], "used_from": "2026-11-01T00:00"})))
    assert told == {"Service": "inference", "In use from": "2026-11-01 00:00 UTC"}
