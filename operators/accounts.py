"""Making and ending operators' accounts."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from django.contrib.auth.models import Group, User
from django.contrib.sessions.models import Session
from django.db import transaction
from django.utils import timezone

from operators import audit, second_factor
from operators.models import Account
from operators.roles import Role


@dataclass(frozen=True)
class NewOperator:
    """An account with the password that opens it once; the password is stored as a digest only."""

    user: User
    password: str


def temporary_password() -> str:
    """A password for one sign-in: 100 bits."""
    return "-".join(secrets.token_hex(4) for _ in range(3)) + f"-{secrets.randbelow(10_000):04d}"


@transaction.atomic
def create_operator(
    username: str, *, email: str, roles: Iterable[Role], by: "User | str", superuser: bool = False
) -> NewOperator:
    """Make an account with these roles and a temporary password. ValueError when the name is taken."""
    if User.objects.filter(username=username).exists():
        raise ValueError(f"there is an account {username} already")
    user = User(username=username, email=email, is_staff=True, is_superuser=superuser)
    password = temporary_password()
    user.set_password(password)
    user.full_clean(exclude=["password"])
    user.save()
    Account.objects.create(user=user, password_is_temporary=True)
    set_roles(user, roles)
    audit.record(
        "operator.created",
        operator=by,
        obj=user,
        after={"username": username, "roles": sorted(roles), "superuser": superuser},
    )
    return NewOperator(user, password)


def set_roles(user: User, roles: Iterable[Role]) -> None:
    """Give an account exactly these roles."""
    user.groups.set([Group.objects.get_or_create(name=role.value)[0] for role in roles])


@transaction.atomic
def reset_password(user: User, *, by: "User | str") -> str:
    """Set a temporary password and return it; open sessions end, for Django binds them to the password."""
    password = temporary_password()
    user.set_password(password)
    user.save(update_fields=["password"])
    Account.objects.update_or_create(user=user, defaults={"password_is_temporary": True})
    audit.record("operator.password_reset", operator=by, obj=user)
    return password


@transaction.atomic
def reset_second_factor(user: User, *, by: "User | str", reason: str = "") -> None:
    """Let an operator who has lost the device set up a new one."""
    second_factor.reset(second_factor.account_of(user))
    audit.record("operator.second_factor_reset", operator=by, obj=user, reason=reason)


def purge_sessions() -> int:
    """Delete sessions that have run out; how many there were."""
    return Session.objects.filter(expire_date__lt=timezone.now()).delete()[0]
