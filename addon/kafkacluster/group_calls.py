"""Consumer groups on a cluster: listed, described, moved, deleted."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kafka import TopicPartition, errors
from kafka.admin import MemberToRemove
from kafka.structs import OffsetAndMetadata

from addon.kafkacluster.calls import Calls
from provisioning.services import Fault

_IN_USE = (
    errors.UnknownMemberIdError,
    errors.IllegalGenerationError,
    errors.RebalanceInProgressError,
    errors.FencedInstanceIdError,
    errors.GroupSubscribedToTopicError,
    errors.NonEmptyGroupError,
)
_IN_USE_NAMES = {error.__name__ for error in _IN_USE}


class GroupInUseError(Exception):
    """The group has members, so Kafka does not let its offsets be changed from outside."""


@dataclass(frozen=True)
class Member:
    """A consumer that belongs to a group now, and what it was given to read."""

    client_id: str
    host: str
    partitions: tuple[TopicPartition, ...]


@dataclass(frozen=True)
class GroupState:
    """A group as its coordinator describes it; `state` is Kafka's word, `Dead` when it does not know the group."""

    state: str
    members: tuple[Member, ...]


class GroupCalls(Calls):
    """The calls about consumer groups."""

    def groups(self, prefix: str = "") -> list[str]:
        """The ids of every group, of whatever type, that begins with `prefix`, in order."""
        return sorted(self.group_states(prefix))

    def group_states(self, prefix: str = "") -> dict[str, str]:
        """Kafka's word for the state of every group, of whatever type, that begins with `prefix`, by id."""
        found = self._with_coordinator(self._client.list_groups)
        return {
            group["group_id"]: group.get("group_state", "")
            for group in found
            if group["group_id"].startswith(prefix)
        }

    def describe_group(self, group: str) -> GroupState:
        """The state and the members of one group."""
        found = self._with_coordinator(self._client.describe_groups, [group])[group]
        members = []
        for member in found["members"] or ():
            assignment = member["member_assignment"] or {}
            # Clients of another protocol than the consumers' have an assignment that only they can read.
            assigned = assignment.get("assigned_partitions", ()) if isinstance(assignment, dict) else ()
            partitions = sorted(
                TopicPartition(topic["topic"], index) for topic in assigned for index in topic["partitions"]
            )
            members.append(
                Member(member["client_id"], member["client_host"].removeprefix("/"), tuple(partitions))
            )
        return GroupState(found["group_state"], tuple(members))

    def committed(self, groups: Iterable[str]) -> dict[str, dict[TopicPartition, int]]:
        """The committed offsets of these groups; an empty dict for one that has none."""
        if not (wanted := dict.fromkeys(groups)):
            return {}
        answer = self._with_coordinator(self._client.list_group_offsets, wanted)
        return {
            group: {partition: found.offset for partition, found in offsets.items() if found.offset >= 0}
            for group, offsets in answer.items()
        }

    def commit(self, group: str, offsets: Mapping[TopicPartition, int]) -> None:
        """Set committed offsets of a group without members; one that Kafka does not know comes to be.

        Raises GroupInUseError. Kafka does not check the range of an offset: that is the caller's.
        """
        values = {partition: OffsetAndMetadata(offset, "", -1) for partition, offset in offsets.items()}
        outcome = self._with_coordinator(self._client.alter_group_offsets, group, values)
        self._check_offsets(group, outcome)

    def forget_offsets(self, group: str, partitions: Iterable[TopicPartition]) -> None:
        """Delete a group's committed offsets of these partitions; no error when there are none.

        Raises GroupInUseError while a member of the group is subscribed to the topic.
        """
        try:
            outcome = self._client.delete_group_offsets(group, list(partitions))
        except errors.GroupIdNotFoundError:
            return
        except errors.NonEmptyGroupError as error:
            raise GroupInUseError(group) from error
        except errors.KafkaError as error:
            raise Fault(f"Kafka: group {group}: {type(error).__name__}: {error}") from error
        self._check_offsets(group, outcome)

    def delete_unused_group(self, group: str) -> None:
        """Delete a group without members; no error when it is gone. Raises GroupInUseError."""
        outcome = self._with_coordinator(self._client.delete_groups, [group])[group]
        if outcome in _IN_USE_NAMES:
            raise GroupInUseError(group)
        self._check_deleted(group, outcome)

    def delete_groups(self, ids: list[str]) -> None:
        """Put the members of these groups out and delete the groups; those that are gone are no error."""
        for group, described in self._with_coordinator(self._client.describe_groups, ids).items():
            members = [
                MemberToRemove(member_id=member["member_id"]) for member in described.get("members") or ()
            ]
            if members:
                self._with_coordinator(self._client.remove_group_members, group, members)
        for group, outcome in self._with_coordinator(self._client.delete_groups, ids).items():
            self._check_deleted(group, outcome)

    def _check_deleted(self, group: str, outcome: str) -> None:
        if outcome not in ("OK", errors.GroupIdNotFoundError.__name__):
            raise Fault(f"Kafka: group {group} could not be deleted: {outcome}")

    def _check_offsets(self, group: str, outcome: Mapping[TopicPartition, type[Exception]]) -> None:
        for partition, error in outcome.items():
            if issubclass(error, _IN_USE):
                raise GroupInUseError(group)
            if error is not errors.NoError:
                raise Fault(f"Kafka: group {group}, {partition}: {error.__name__}")
