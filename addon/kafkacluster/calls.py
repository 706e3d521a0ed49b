"""What every call to a Kafka cluster shares: a client that is logged in, and Kafka's errors as the engine's."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from kafka import errors
from kafka.admin import KafkaAdminClient

from provisioning.services import Fault, Unrecoverable

_COORDINATOR_TRIES = 30
_COORDINATOR_PAUSE_SECONDS = 0.1
_NEVER = (
    errors.InvalidRequestError,
    errors.InvalidConfigurationError,
    errors.InvalidTopicError,
    errors.InvalidPartitionsError,
    errors.InvalidReplicationFactorError,
    errors.PolicyViolationError,
    errors.UnsupportedVersionError,
    errors.UnsupportedSaslMechanismError,
    errors.SecurityDisabledError,
)
_COORDINATOR_ERRORS = (
    errors.CoordinatorNotAvailableError,
    errors.CoordinatorLoadInProgressError,
    errors.NotCoordinatorError,
)
T = TypeVar("T")


class Calls:
    """A logged-in admin client, and how it is called."""

    def __init__(self, client: KafkaAdminClient) -> None:
        """Wrap a client that is logged in."""
        self._client = client

    def broker_ids(self) -> list[int]:
        """The brokers that are up."""
        return sorted(broker["broker_id"] for broker in self._call(self._client.describe_cluster)["brokers"])

    def _with_coordinator(self, function: Callable[..., T], *args: Any) -> T:
        """Call again while the groups' coordinator comes up, as it does on a new cluster's first group call."""
        for _ in range(_COORDINATOR_TRIES):
            try:
                return function(*args)
            except _COORDINATOR_ERRORS:
                time.sleep(_COORDINATOR_PAUSE_SECONDS)
            except errors.KafkaError as error:
                raise translated(error) from error
        raise Fault("the coordinator of the consumer groups is not available yet")

    def _call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except errors.KafkaError as error:
            raise translated(error) from error

    def _check(self, code: int, message: str | None, what: str) -> None:
        if code:
            raise translated(errors.for_code(code)(f"{what}: {message or 'no reason given'}"))


def translated(error: Exception) -> Fault | Unrecoverable:
    """Kafka's error as the engine's: Unrecoverable for what the cluster will never accept."""
    text = f"Kafka: {type(error).__name__}: {error}"
    return Unrecoverable(text) if isinstance(error, _NEVER) else Fault(text)
