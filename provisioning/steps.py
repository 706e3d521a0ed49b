"""The steps that the core adds to those of the services."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.utils import timezone

from provisioning import access, credentials, platform_api
from provisioning.models import Operation, Resource
from provisioning.services import Step, Unrecoverable, Wait, service_of
from provisioning.states import AccessState, OperationKind

HEROKU_CATCHES_UP_IN = timedelta(minutes=10)
"""How long a resource that Heroku does not know yet may be one whose answer it has not worked on.

Heroku's API refuses calls about a resource until it has processed our answer to its provision request.
"""


LOST_ACCESS_PAUSE_SECONDS = 60.0


@contextmanager
def _asking_heroku(operation: Operation) -> Iterator[None]:
    """What it means for an operation that Heroku does not know its resource, or lets us ask no more.

    A provision waits: for Heroku to catch up with our answer, or for a new grant, which a repeat of the request may
    bring. To end it would help nobody, since without access Heroku cannot be told. Other operations end.
    """
    provisioning = operation.kind == OperationKind.PROVISION
    try:
        yield
    except platform_api.ResourceGone as error:
        if provisioning and timezone.now() - operation.created_at < HEROKU_CATCHES_UP_IN:
            raise Wait("Heroku does not know the resource yet", seconds=1.0) from error
        raise Unrecoverable(f"Heroku no longer knows the resource: {error}") from error
    except access.AccessLost as error:
        if provisioning:
            raise Wait(
                f"a new grant of Heroku's is needed: {error}", seconds=LOST_ACCESS_PAUSE_SECONDS
            ) from error
        raise


def _await_access(operation: Operation) -> None:
    with _asking_heroku(operation):
        access.usable_token(operation.resource)


def _issue_credential(operation: Operation) -> None:
    credentials.issue_credential(operation)


def _push_config_vars(operation: Operation) -> None:
    """Send the complete set in one call, and only when Heroku has another one: each call restarts the apps."""
    resource = operation.resource
    wanted = service_of(resource).config_vars(resource)
    with _asking_heroku(operation):
        if platform_api.read_config(resource) != wanted:
            platform_api.write_config(resource, wanted)


def _complete_provision(operation: Operation) -> None:
    """Tell Heroku that the resource is ready, unless it knows already: the former run may have died right after."""
    resource = operation.resource
    with _asking_heroku(operation):
        if platform_api.read_addon(resource).get("state") != "provisioned":
            platform_api.mark_provisioned(resource)


def _retire_replaced(operation: Operation) -> None:
    # Asked for anew: somebody may have learned of a leak since this run began.
    at_once = Operation.objects.get(pk=operation.pk).parameters.get("revoke_now")
    credentials.retire_replaced(operation.resource, at=timezone.now() if at_once else None)


def _revoke_replaced(operation: Operation) -> None:
    credentials.revoke(operation.resource, operation=operation)


def _revoke_due(operation: Operation) -> None:
    credentials.revoke(operation.resource, only_due=True, operation=operation)


def _report_failure(operation: Operation) -> None:
    """Tell Heroku that a provision failed, so that it removes the add-on and charges nobody.

    Only for a clean-up after a failure, and only while Heroku has not asked for the removal itself. Without access
    nothing can be told: Heroku then ends the resource by its own limit of twelve hours.
    """
    if not Operation.objects.get(pk=operation.pk).parameters.get("report"):
        return
    resource = Resource.objects.get(pk=operation.resource_id)
    if access.state_of(resource) not in (AccessState.GRANTED, AccessState.WAITING):
        return
    try:
        if platform_api.read_addon(resource).get("state") != "deprovisioned":
            platform_api.mark_deprovisioned(resource)
    except (platform_api.ResourceGone, access.AccessLost):
        return


def _destroy_secrets(operation: Operation) -> None:
    credentials.revoke_all(operation.resource, operation=operation)


ISSUE_CREDENTIAL = Step("issue credential", _issue_credential)
AWAIT_ACCESS = Step("await access to Heroku", _await_access)
PUSH_CONFIG_VARS = Step("push config vars", _push_config_vars)
COMPLETE_PROVISION = Step("complete provision", _complete_provision)
RETIRE_REPLACED = Step("retire replaced credentials", _retire_replaced)
REVOKE_REPLACED = Step("revoke replaced credentials", _revoke_replaced)
REVOKE_DUE = Step("revoke due credentials", _revoke_due)
REPORT_FAILURE = Step("report failure to Heroku", _report_failure)
DESTROY_SECRETS = Step("destroy secrets", _destroy_secrets)
