"""One body for every error, which the OpenAI and Cohere clients and Heroku's command line all understand.

OpenAI's clients read the object under `error`, Cohere's and Heroku's the `message` beside it, Heroku's also `id`.
"""

from typing import Any


class ApiError(Exception):
    """An answer other than 200. `message` is for the customer; `code` is a static slug; `param` names the field."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str,
        param: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.param = status, message, code, param
        self.headers = headers or {}

    @property
    def body(self) -> dict[str, Any]:
        """What is sent as JSON."""
        kind = _TYPES.get(self.status, "invalid_request_error" if self.status < 500 else "server_error")
        error = {"message": self.message, "type": kind, "param": self.param, "code": self.code}
        return {"error": error, "id": self.code, "message": self.message}


_TYPES = {401: "authentication_error", 403: "authorization_error", 429: "rate_limit_error"}


def invalid(message: str, *, param: str | None = None, code: str = "invalid_request") -> ApiError:
    """400: what was sent cannot be answered as it is."""
    return ApiError(400, message, code=code, param=param)


def unauthenticated() -> ApiError:
    """401: says the same for every reason."""
    return ApiError(
        401,
        "Invalid API key provided. Send the add-on's INFERENCE_KEY as `Authorization: Bearer <key>`.",
        code="invalid_api_key",
    )


def suspended(reason: str) -> ApiError:
    """403: an operator keeps the customer out, for a reason that the customer may read."""
    return ApiError(
        403,
        f"This add-on is suspended: {reason} Nothing is lost, and the key works again when the suspension ends. "
        "Please contact support.",
        code="addon_suspended",
    )


def unavailable(message: str, *, retry_after: int = 5) -> ApiError:
    """503: nothing is wrong with the request, and later it will work."""
    return ApiError(503, message, code="unavailable", headers={"retry-after": str(retry_after)})


def failed(message: str = "The model failed to answer. Please try again.") -> ApiError:
    """500: the upstream failed."""
    return ApiError(500, message, code="upstream_error")
