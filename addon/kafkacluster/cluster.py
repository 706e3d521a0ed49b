"""The one door to a Kafka cluster's control plane: quotas, ACLs, SCRAM users, topics, groups, sizes.

Over kafka-python's admin client, whose results are plain values here and whose errors are the engine's: Fault for what
may work later (no broker answers, a coordinator is on the move), Unrecoverable for what the cluster will never accept.
An admin client is not safe to share between threads, and a fresh one costs some milliseconds: make one per job.
"""

import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from kafka import errors
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    KafkaAdminClient,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)
from kafka.protocol.admin.client_quotas import AlterClientQuotasRequest, DescribeClientQuotasRequest

from addon.kafkacluster.calls import translated
from addon.kafkacluster.group_calls import GroupCalls
from addon.kafkacluster.topic_calls import TopicCalls
from provisioning.services import Fault

CONNECT_SECONDS = 3.0
REQUEST_SECONDS = 4.0
"""Shorter than an operation's lease, so that no call outlives the right to make it."""

PRODUCE_QUOTA, CONSUME_QUOTA = "producer_byte_rate", "consumer_byte_rate"
_EXACT, _ANY_NAME = 0, 2


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a cluster is, and how we log in there; brokers are `host:port`, comma separated."""

    name: str
    brokers: str
    """What tenants connect to."""
    security_protocol: str
    admin_brokers: str
    """The listener for us, whose logins are super users and no SCRAM users."""
    admin_security_protocol: str
    admin_mechanism: str
    admin_username: str
    admin_password: str = field(repr=False)
    ca_file: str | None = None
    """PEM file of those who signed the brokers' certificates; the system's without it."""


@dataclass(frozen=True, order=True)
class Grant:
    """One ACL of a principal: what it may do, from any host, with everything whose name begins with `prefix`."""

    resource: str
    prefix: str
    operation: str


class Cluster(TopicCalls, GroupCalls):
    """An open connection to one cluster; see `connect`."""

    # --- quotas -----------------------------------------------------------------------------------------------
    def set_quotas(self, user: str, quotas: Mapping[str, int | None]) -> None:
        """Set each quota of `user` in bytes per second on every broker; None removes it. Repeatable."""
        entity = AlterClientQuotasRequest.EntryData.EntityData(entity_type="user", entity_name=user)
        ops = [
            AlterClientQuotasRequest.EntryData.OpData(key=key, value=float(value or 0), remove=value is None)
            for key, value in quotas.items()
        ]
        entry = AlterClientQuotasRequest.EntryData(entity=[entity], ops=ops)
        response = self._send(AlterClientQuotasRequest(entries=[entry], validate_only=False))
        for result in response.entries:
            self._check(result.error_code, result.error_message, f"quotas of {user}")

    def quotas(self, user: str | None = None) -> dict[str, dict[str, int]]:
        """The quotas of one user, or of every named user: bytes per second by key, by user."""
        component = DescribeClientQuotasRequest.ComponentData(
            entity_type="user", match_type=_ANY_NAME if user is None else _EXACT, match=user
        )
        response = self._send(DescribeClientQuotasRequest(components=[component], strict=True))
        self._check(response.error_code, response.error_message, "quotas")
        return {
            entry.entity[0].entity_name: {value.key: int(value.value) for value in entry.values}
            for entry in response.entries or ()
        }

    def _send(self, request: Any) -> Any:
        """Send a request that the client has no method for, by its inner connection manager.

        The manager is private to kafka-python: the version is pinned, and a test fails when it has moved.
        """
        manager = self._client._manager  # noqa: SLF001
        return self._call(manager.run, manager.send, request)

    # --- ACLs -------------------------------------------------------------------------------------------------
    def grant(self, user: str, grants: Iterable[Grant]) -> None:
        """Give `user` these rights; those it has already are left as they are."""
        acls = [
            ACL(
                principal=f"User:{user}",
                host="*",
                operation=ACLOperation[grant.operation],
                permission_type=ACLPermissionType.ALLOW,
                resource_pattern=ResourcePattern(
                    ResourceType[grant.resource], grant.prefix, ACLResourcePatternType.PREFIXED
                ),
            )
            for grant in grants
        ]
        failed = self._call(self._client.create_acls, acls)["failed"]
        if failed:
            raise translated(failed[0]("ACLs could not be made"))

    def grants(self, user: str | None = None) -> dict[str, set[Grant]]:
        """The rights of one user, or of all, by user. Rights of another shape count under their own words."""
        found: dict[str, set[Grant]] = {}
        for acl in self._call(self._client.describe_acls, _acl_filter(user))[0]:
            pattern, name = acl.resource_pattern, acl.principal.removeprefix("User:")
            usual = (
                pattern.pattern_type == ACLResourcePatternType.PREFIXED
                and acl.permission_type == ACLPermissionType.ALLOW
                and acl.host == "*"
            )
            shape = "" if usual else f" ({pattern.pattern_type.name} {acl.permission_type.name} {acl.host})"
            grant = Grant(pattern.resource_type.name, pattern.resource_name, acl.operation.name + shape)
            found.setdefault(name, set()).add(grant)
        return found

    def set_grants(self, user: str, wanted: set[Grant]) -> None:
        """Give `user` exactly these rights: the missing ones first, so that what stays is never interrupted."""
        present = self.grants(user).get(user, set())
        if missing := sorted(wanted - present):
            self.grant(user, missing)
        surplus = present - wanted
        if not surplus:
            return
        filters = [
            ACLFilter(
                principal=f"User:{user}",
                host=None,
                operation=ACLOperation[grant.operation.partition(" ")[0]],
                permission_type=ACLPermissionType.ANY,
                resource_pattern=ResourcePatternFilter(
                    ResourceType[grant.resource], grant.prefix, ACLResourcePatternType.ANY
                ),
            )
            for grant in surplus
        ]
        self._delete_acls(filters, user)
        # A right of another shape shares its filter with a wanted one.
        if any(" " in grant.operation for grant in surplus) and wanted:
            self.grant(user, sorted(wanted))

    def revoke_grants(self, user: str) -> None:
        """Take every right from `user`; open connections lose them at once."""
        self._delete_acls([_acl_filter(user)], user)

    def _delete_acls(self, filters: list[ACLFilter], user: str) -> None:
        for _, _, error in self._call(self._client.delete_acls, filters):
            if error is not errors.NoError:
                raise translated(error(f"ACLs of {user} could not be removed"))

    # --- SCRAM users ------------------------------------------------------------------------------------------
    def set_password(self, user: str, mechanism: str, password: str) -> None:
        """Let `user` log in with `password` on `mechanism` (such as `SCRAM-SHA-512`). Only its hash is sent."""
        self._alter_scram(UserScramCredentialUpsertion(user, mechanism, password))

    def remove_password(self, user: str, mechanism: str) -> None:
        """End the user's login on `mechanism`; no error when there was none. Open connections stay."""
        if mechanism in self.mechanisms(user).get(user, ()):
            self._alter_scram(UserScramCredentialDeletion(user, mechanism))

    def mechanisms(self, user: str | None = None) -> dict[str, set[str]]:
        """On which mechanisms one user, or every user, can log in; users without one are left out."""
        described = self._call(self._client.describe_user_scram_credentials, None if user is None else [user])
        return {
            name: {_mechanism_name(info["mechanism"]) for info in found["credential_infos"]}
            for name, found in described.items()
            if found["credential_infos"]
        }

    def _alter_scram(self, alteration: Any) -> None:
        for user, error in self._call(self._client.alter_user_scram_credentials, [alteration]).items():
            if error:
                raise Fault(f"the password of {user} could not be changed: {error}")


def _acl_filter(user: str | None) -> ACLFilter:
    return ACLFilter(
        principal=None if user is None else f"User:{user}",
        host=None,
        operation=ACLOperation.ANY,
        permission_type=ACLPermissionType.ANY,
        resource_pattern=ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY),
    )


def _mechanism_name(mechanism: ScramMechanism) -> str:
    name: str = mechanism.name
    return name.replace("_", "-")


class _Login:
    """A login that was tried: whatever becomes of it, `close` ends the client's thread and sockets."""

    def __init__(self, brokers: str, **settings: Any) -> None:
        reachable(brokers)
        # Made in two moves: when the second fails, as it does for a wrong password, the client's thread is running.
        self.client = KafkaAdminClient.__new__(KafkaAdminClient)
        try:
            self.client.__init__(
                bootstrap_servers=brokers.split(","),
                bootstrap_timeout_ms=int(CONNECT_SECONDS * 1000),
                request_timeout_ms=int(REQUEST_SECONDS * 1000),
                client_id="addonworks",
                **settings,
            )
        except errors.KafkaError as error:
            self.close()
            raise Fault(f"no login to Kafka at {brokers}: {type(error).__name__}") from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self.client._closed = False  # noqa: SLF001 - unset by a constructor that failed, and `close` asks it
        self.client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def reachable(brokers: str) -> None:
    """Raise Fault at once when none of `brokers` takes a connection; the client itself would try for seconds."""
    problems = []
    for address in brokers.split(","):
        host, _, port = address.strip().rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
            return
        except (OSError, ValueError) as error:
            problems.append(f"{address}: {error}")
    raise Fault(f"no Kafka broker answers ({'; '.join(problems)}): is the cluster running?")


@contextmanager
def connect(address: Address) -> Iterator[Cluster]:
    """A connection to the cluster's admin listener, closed at the end; Fault when there is none."""
    with _Login(
        address.admin_brokers,
        security_protocol=address.admin_security_protocol,
        ssl_cafile=address.ca_file,
        sasl_mechanism=address.admin_mechanism,
        sasl_plain_username=address.admin_username,
        sasl_plain_password=address.admin_password,
    ) as login:
        yield Cluster(login.client)


@contextmanager
def connect_as(address: Address, *, username: str, mechanism: str, password: str) -> Iterator[Cluster]:
    """A connection to the tenants' listener with a tenant's login and rights; Fault when there is none."""
    with _Login(
        address.brokers,
        security_protocol=address.security_protocol,
        ssl_cafile=address.ca_file,
        sasl_mechanism=mechanism,
        sasl_plain_username=username,
        sasl_plain_password=password,
    ) as login:
        yield Cluster(login.client)


def log_in_as_tenant(address: Address, *, username: str, mechanism: str, password: str) -> None:
    """Log in at the tenants' listener as a customer's client does; Fault when that is refused or not answered."""
    with connect_as(address, username=username, mechanism=mechanism, password=password):
        pass
