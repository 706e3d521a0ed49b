"""Consumer groups on a cluster."""

from kafka import errors
from kafka.admin import MemberToRemove

from addon.kafkacluster.calls import Calls
from provisioning.services import Fault


class GroupCalls(Calls):
    """The calls about consumer groups."""

    def groups(self, prefix: str = "") -> list[str]:
        """The ids of every group, of whatever type, that begins with `prefix`, in order."""
        found = self._with_coordinator(self._client.list_groups)
        return sorted(group["group_id"] for group in found if group["group_id"].startswith(prefix))

    def delete_groups(self, ids: list[str]) -> None:
        """Put the members of these groups out and delete the groups; those that are gone are no error."""
        for group, described in self._with_coordinator(self._client.describe_groups, ids).items():
            members = [
                MemberToRemove(member_id=member["member_id"]) for member in described.get("members") or ()
            ]
            if members:
                self._with_coordinator(self._client.remove_group_members, group, members)
        for group, outcome in self._with_coordinator(self._client.delete_groups, ids).items():
            if outcome not in ("OK", errors.GroupIdNotFoundError.__name__):
                raise Fault(f"Kafka: group {group} could not be deleted: {outcome}")
