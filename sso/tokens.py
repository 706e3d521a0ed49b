"""Heroku's login tokens: salted hashes of parts joined by colons (Dev Center, "Add-on Single Sign-on")."""

import hashlib
import hmac
import re
import uuid as uuids
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_TIMESTAMP = re.compile(r"[0-9]{1,12}", re.ASCII)
_APP_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,58}", re.ASCII)


def resource_token(*, resource_id: str, salt: str, timestamp: str) -> str:
    """SHA-1 hex digest that covers the resource and the time only."""
    return hashlib.sha1(f"{resource_id}:{salt}:{timestamp}".encode()).hexdigest()  # noqa: S324 - Heroku's formula


def user_scoped_resource_token(
    *, resource_id: str, salt: str, timestamp: str, user_id: str, email: str
) -> str:
    """SHA-256 hex digest that also covers the person."""
    return hashlib.sha256(f"{resource_id}:{salt}:{timestamp}:{user_id}:{email}".encode()).hexdigest()


@dataclass(frozen=True)
class LoginForm:
    """The form that Heroku has the customer's browser post. Absent fields are empty; unknown ones ignored.

    Nothing of it is a fact before the tokens are verified, and `app_hint` not even then: no token covers it.
    """

    resource_id: str
    timestamp: str
    user_scoped_token: str
    resource_token: str
    user_id: str
    email: str
    app_hint: str
    nav_data: str

    @classmethod
    def read(cls, fields: Mapping[str, str], *, accept_legacy: bool) -> "LoginForm":
        """Read the fields. With `accept_legacy`, `id` and `token` of v1 stand in for absent newer ones."""
        given = {
            name: fields.get(name) or ""
            for name in (
                "resource_id",
                "timestamp",
                "user_scoped_resource_token",
                "resource_token",
                "user_id",
                "email",
            )
        }
        app = fields.get("context_app") or fields.get("app") or ""
        if accept_legacy and not given["user_scoped_resource_token"] and not given["resource_token"]:
            # We give Heroku's uuid back as our own id, so both versions hash the same parts.
            given["resource_id"] = given["resource_id"] or fields.get("id") or ""
            given["resource_token"] = fields.get("token") or ""
        return cls(
            resource_id=given["resource_id"],
            timestamp=given["timestamp"],
            user_scoped_token=given["user_scoped_resource_token"],
            resource_token=given["resource_token"],
            user_id=given["user_id"],
            email=given["email"],
            app_hint=app if _APP_NAME.fullmatch(app) else "",
            nav_data=(fields.get("nav-data") or "") if accept_legacy else "",
        )

    @property
    def uuid(self) -> uuids.UUID | None:
        """The resource's uuid, None when the field is not one."""
        try:
            return uuids.UUID(self.resource_id)
        except ValueError:
            return None

    @property
    def seconds(self) -> int | None:
        """The timestamp in Unix seconds, None when it is not a whole number."""
        return int(self.timestamp) if _TIMESTAMP.fullmatch(self.timestamp) else None

    @property
    def names_one_person(self) -> bool:
        """Whether user id and e-mail are there and cannot be read as another pair.

        The hashed parts are joined by colons, so a colon in the user id would move the border to the e-mail.
        """
        return (
            bool(self.user_id and self.email)
            and ":" not in self.user_id
            and "\0" not in self.user_id + self.email
        )


def matching_salt(form: LoginForm, salts: Sequence[str]) -> str | None:
    """The salt under which every token that is present is right; None when there is none, or no token at all.

    Every token is compared under every salt, in constant time, so that the time taken says nothing.
    """
    found = None
    for salt in salts:
        shared = {"resource_id": form.resource_id, "salt": salt, "timestamp": form.timestamp}
        scoped = user_scoped_resource_token(**shared, user_id=form.user_id, email=form.email)
        scoped_right = hmac.compare_digest(scoped.encode(), form.user_scoped_token.encode())
        plain_right = hmac.compare_digest(resource_token(**shared).encode(), form.resource_token.encode())
        right = (scoped_right or not form.user_scoped_token) and (plain_right or not form.resource_token)
        if right and (form.user_scoped_token or form.resource_token):
            found = salt
    return found


def stored_digest(token: str) -> str:
    """How a token is remembered: SHA-256 in hex, so that a copy of the table opens nothing."""
    return hashlib.sha256(token.encode()).hexdigest()
