"""One request with its answer, as the checks judge it and the report shows it."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_SHOWN_REQUEST_HEADERS = ("Accept", "Authorization", "Content-Type")
_SHOWN_HEADERS = ("Content-Type", "WWW-Authenticate", "Allow", "Location", "Set-Cookie", "Retry-After")
_LONGEST_SHOWN = 2_000
_SECRET_FIELD = re.compile(
    r"((?:user_scoped_resource_token|resource_token|token|access_token|refresh_token|client_secret|code)"
    r"(?:=|\"\s*:\s*\"))[^&\"\s]+"
)
_COOKIE_VALUE = re.compile(r"(^|, )([^=;, ]+)=[^;,]*")
HIDDEN = "•••"


@dataclass(frozen=True)
class Exchange:
    """A request and its answer; `status` is None when nothing was answered, and `error` then says why."""

    method: str
    url: str
    request_headers: Mapping[str, str]
    request_body: str
    status: int | None
    headers: Mapping[str, str]
    body: str
    seconds: float
    error: str = ""
    partner: bool = True
    """Whether this was a call to the Partner API, rather than a browser's."""
    burst: bool = False
    """Whether it was one of many at once, which says nothing about how long an answer usually takes."""

    @property
    def ok(self) -> bool:
        """Whether the answer is a success."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def refused(self) -> bool:
        """Whether the answer is a refusal: 4xx."""
        return self.status is not None and 400 <= self.status < 500

    @property
    def object(self) -> dict[str, Any]:
        """The answer's JSON object; empty when the body is anything else."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def answered(self) -> str:
        """The outcome in a few words."""
        return f"answered {self.status}" if self.status is not None else f"not answered: {self.error}"


class Masker:
    """Takes secrets out of what is shown: known values wherever they stand, and fields that are secret by name."""

    def __init__(self, secrets: Iterable[str]) -> None:
        """`secrets` are the values to hide; short ones are kept, they would hide ordinary text."""
        self.secrets = {value for value in secrets if len(value) >= 4}

    def text(self, text: str) -> str:
        """The text without secrets, shortened."""
        text = _without_config(text)
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, HIDDEN)
        text = _SECRET_FIELD.sub(rf"\g<1>{HIDDEN}", text)
        return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}… ({len(text)} characters)"

    def show(self, exchange: Exchange) -> dict[str, Any]:
        """The exchange as plain data for a report."""
        request = _chosen(exchange.request_headers, _SHOWN_REQUEST_HEADERS)
        if "Authorization" in request:
            request["Authorization"] = f"{request['Authorization'].partition(' ')[0]} {HIDDEN}"
        answer = _chosen(exchange.headers, _SHOWN_HEADERS)
        if "Set-Cookie" in answer:
            answer["Set-Cookie"] = _COOKIE_VALUE.sub(rf"\1\2={HIDDEN}", answer["Set-Cookie"])
        return {
            "request": {
                "method": exchange.method,
                "url": self.text(exchange.url),
                "headers": {name: self.text(value) for name, value in request.items()},
                "body": self.text(exchange.request_body),
            },
            "answer": {
                "status": exchange.status,
                "error": exchange.error,
                "headers": {name: self.text(value) for name, value in answer.items()},
                "body": self.text(exchange.body),
                "seconds": round(exchange.seconds, 3),
            },
        }


def _chosen(headers: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    return {name: headers[name] for name in names if name in headers}


def _without_config(text: str) -> str:
    """A JSON body with the values of its config vars hidden: they are the customer's credentials."""
    if '"config"' not in text:
        return text
    try:
        body = json.loads(text)
        config = body["config"]
    except (ValueError, RecursionError, TypeError, KeyError):
        return text
    match config:
        case dict():
            body["config"] = {name: _hidden(value) for name, value in config.items()}
        case list():
            body["config"] = [
                {**pair, "value": _hidden(pair.get("value"))} if isinstance(pair, dict) else pair
                for pair in config
            ]
    return json.dumps(body, ensure_ascii=False)


def _hidden(value: Any) -> Any:
    # Only a text can be a secret; that something else stands here may be what is wrong.
    return HIDDEN if isinstance(value, str) and value else value
