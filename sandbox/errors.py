"""The one error type of the Platform API side, with Heroku's body shape."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class ApiError(Exception):
    """A refusal with Heroku's error body ``{id, message}`` (Platform API Reference, "Errors").

    ``status`` is the HTTP status, ``id`` a machine-readable code, ``message`` a sentence for people,
    ``resource`` the kind of thing that was not found (the CLI looks at it to try another way).
    """

    status: int
    id: str
    message: str
    headers: dict[str, str] = field(default_factory=dict)
    resource: str | None = None

    def __str__(self) -> str:
        return self.message


def not_found(what: str) -> ApiError:
    """Heroku's 404 for a thing the caller cannot see."""
    return ApiError(
        404, "not_found", f"Couldn't find that {what}.", resource=what.replace("add-on", "add_on")
    )


def invalid(message: str) -> ApiError:
    """Heroku's 422 for parameters it does not accept."""
    return ApiError(422, "invalid_params", message)


def unauthorized(message: str = "Invalid credentials provided.") -> ApiError:
    """Heroku's 401 for missing, expired or revoked credentials."""
    return ApiError(401, "unauthorized", message)
