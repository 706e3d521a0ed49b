"""How far an operation is, in words for the customer."""

from dataclasses import dataclass
from typing import Any

from provisioning import lifecycle
from provisioning.models import Operation, Resource
from provisioning.states import ACTIVE_OPERATION_STATES, OperationKind, OperationState

_STEP_WORDS = {
    "issue credential": "Create new credentials",
    "await access to Heroku": "Connect to your app at Heroku",
    "push config vars": "Set your app's config vars",
    "complete provision": "Tell Heroku that it is ready",
    "retire replaced credentials": "Start the overlap of the former credentials",
    "revoke replaced credentials": "End the former credentials",
    "revoke due credentials": "End the former credentials",
}


@dataclass(frozen=True)
class StepView:
    """One step; `state` is done, current, waiting or failed."""

    label: str
    state: str


@dataclass(frozen=True)
class OperationView:
    """An operation as its progress is shown."""

    id: int
    kind: str
    state: str
    finished: bool
    steps: tuple[StepView, ...]
    message: str

    def as_json(self) -> dict[str, Any]:
        """For the page's script."""
        return {
            "id": self.id,
            "kind": self.kind,
            "state": self.state,
            "finished": self.finished,
            "message": self.message,
            "steps": [{"label": step.label, "state": step.state} for step in self.steps],
        }


def latest_operation(resource: Resource, kind: OperationKind, *, active: bool = False) -> Operation | None:
    """The newest operation of this kind, or the one that is under way."""
    found = resource.operations.select_related("target_plan", "resource").filter(kind=kind)
    return (found.filter(state__in=ACTIVE_OPERATION_STATES) if active else found).order_by("-pk").first()


def operation_view(operation: Operation) -> OperationView:
    """The steps of `operation` and where it is among them."""
    names = [step.name for step in lifecycle.steps_of(operation)]
    at = names.index(operation.step) if operation.step in names else 0
    active = operation.state in ACTIVE_OPERATION_STATES
    return OperationView(
        id=operation.pk,
        kind=operation.kind,
        state=operation.state,
        finished=not active,
        steps=tuple(
            StepView(_label(name), _step_state(operation, position, at))
            for position, name in enumerate(names)
        ),
        message=_message(operation),
    )


def _label(step: str) -> str:
    return _STEP_WORDS.get(step) or step[:1].upper() + step[1:]


def _step_state(operation: Operation, position: int, at: int) -> str:
    if operation.state == OperationState.SUCCEEDED or position < at:
        return "done"
    if position > at or operation.state == OperationState.CANCELLED:
        return "waiting"
    return "failed" if operation.state == OperationState.FAILED else "current"


def _failure(operation: Operation) -> str:
    if operation.parameters.get("revoke_now"):
        return "This did not work out. The former credentials may have ended: please try again at once."
    return "This did not work out. Nothing has changed; please try again."


def _message(operation: Operation) -> str:
    match operation.state:
        case OperationState.SUCCEEDED:
            return "Done."
        case OperationState.CANCELLED:
            return "This was cancelled."
        case OperationState.FAILED:
            return operation.message or _failure(operation)
    if operation.attempt:
        return "This takes longer than usual. We keep trying, you need not do anything."
    return ""
