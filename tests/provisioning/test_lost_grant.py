"""A provision whose grant was lost: nobody is told anything wrong, and a new grant heals it."""

import uuid
from typing import Any

from django.utils import timezone

from provisioning import access, operations
from provisioning.models import Operation, PlatformAccess, Resource
from provisioning.resources import ProvisionRequest, provision
from provisioning.services import all_services
from provisioning.states import AccessState, OperationState, ResourceState
from tests.provisioning.conftest import RecordedWakeups
from tests.support.heroku import FakeHeroku


def request(identity: uuid.UUID, *, grant_code: str | None) -> ProvisionRequest:
    """A provision request for kafkacluster."""
    return ProvisionRequest(
        uuid=identity,
        plan="free",
        name="kafkacluster-acute-1",
        region=None,
        options={},
        grant_code=grant_code,
        grant_expires_at=None,
        log_input_url=None,
        stored={},
    )


def test_it_waits_and_goes_on_with_the_grant_of_a_repeated_request(
    plans: None,
    heroku: FakeHeroku,
    woken: RecordedWakeups,
    django_capture_on_commit_callbacks: Any,
) -> None:
    service, identity = all_services()["kafkacluster"], uuid.uuid4()
    provision(service, request(identity, grant_code=None))
    resource = Resource.objects.get(uuid=identity)
    operation = Operation.objects.get(resource=resource)

    operations.run(operation.pk)
    operation.refresh_from_db()
    assert operation.state == OperationState.PENDING
    assert "a new grant of Heroku's is needed" in operation.last_error
    assert operation.attempt == 0
    assert operation.next_attempt_at > timezone.now()

    heroku.know(identity, plan="kafkacluster:free", state="provisioning")
    provision(service, request(identity, grant_code=str(uuid.uuid4())))
    row = PlatformAccess.objects.get(resource=resource)
    assert row.state == AccessState.WAITING
    with django_capture_on_commit_callbacks(execute=True):
        access.exchange_grant(row.pk)
    assert operation.pk in woken.rows("provisioning.run_operation")

    operations.run(operation.pk)
    resource.refresh_from_db()
    assert resource.state == ResourceState.PROVISIONED
    assert heroku.addons[str(identity)]["state"] == "provisioned"
