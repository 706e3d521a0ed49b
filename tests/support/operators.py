"""An operator for tests: an account with roles, and a browser that has shown password and second factor."""

import base64

from django.contrib.auth.models import User
from django.test import Client

from operators import second_factor
from operators.accounts import set_roles
from operators.models import Account
from operators.roles import Role

PASSWORD = "a long enough invented passphrase"


def make_operator(*roles: Role, username: str = "olga", superuser: bool = False) -> User:
    """An account with these roles and a confirmed second factor."""
    user = User.objects.create_user(
        username, f"{username}@example.com", is_staff=True, is_superuser=superuser
    )
    # A digest that is quick to make: PBKDF2 would take a second of every test.
    user.password = "md5$salt$" + __import__("hashlib").md5(f"salt{PASSWORD}".encode()).hexdigest()
    user.save()
    set_roles(user, roles)
    account = Account.objects.create(user=user)
    secret = second_factor.pending_secret(account)
    confirmed = second_factor.confirm(account, second_factor.current_code(secret))
    assert confirmed
    # The code of this moment is good again, or no test could use it.
    Account.objects.filter(pk=account.pk).update(last_step=0)
    return user


def code_of(user: User) -> str:
    """What the operator's device shows now."""
    account = Account.objects.get(user=user)
    secret = account.get_sealed("totp_secret")
    assert secret
    return second_factor.current_code(base64.b32decode(secret))


def sign_in(user: User) -> Client:
    """A browser that is signed in: through the pages' own doors but for the password's slow digest."""
    client = Client()
    client.force_login(user)
    answer = client.post("/admin/second-factor/", {"code": code_of(user)})
    assert answer.status_code == 302, answer.content.decode()[:500]
    Account.objects.filter(user=user).update(last_step=0)
    return client


def operator_client(*roles: Role, username: str = "olga", superuser: bool = False) -> Client:
    """`make_operator` and `sign_in` in one."""
    return sign_in(make_operator(*roles, username=username, superuser=superuser))
