"""A record as people look at it: what its bytes are, in text where they are text."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Message

SHOWN_BYTES = 16_384
"""How much of one value a page shows."""


@dataclass(frozen=True)
class Blob:
    """Some bytes of a record, or none at all."""

    raw: bytes | None

    @property
    def size(self) -> int:
        """How many bytes."""
        return len(self.raw or b"")

    @property
    def cut(self) -> bool:
        """Whether `text` shows the beginning only."""
        return self.size > SHOWN_BYTES

    @property
    def kind(self) -> str:
        """`none`, `empty`, `JSON`, `text` or `binary`."""
        if self.raw is None:
            return "none"
        if not self.raw:
            return "empty"
        if self._decoded() is None:
            return "binary"
        return "text" if self._parsed() is None else "JSON"

    @property
    def text(self) -> str:
        """JSON indented, text as it is, anything else in hexadecimal."""
        if not self.raw:
            return ""
        decoded = self._decoded()
        if decoded is None:
            return self.raw[: SHOWN_BYTES // 4].hex(" ", 4)
        parsed = None if self.cut else self._parsed()
        if parsed is None:
            return decoded[:SHOWN_BYTES]
        return json.dumps(parsed[0], indent=2, ensure_ascii=False)

    @property
    def preview(self) -> str:
        """One line of it."""
        decoded = self._decoded() if self.raw else ""
        return " ".join((self.text if decoded is None else decoded)[:300].split())

    def _decoded(self) -> str | None:
        try:
            text = (self.raw or b"").decode()
        except UnicodeDecodeError:
            return None
        return None if "\x00" in text else text

    def _parsed(self) -> tuple[Any] | None:
        """The JSON document in a tuple, for it may be null; None when it is none, or plain like a number."""
        text = (self._decoded() or "").strip()
        if not text.startswith(("{", "[")):
            return None
        try:
            return (json.loads(text),)
        except (ValueError, RecursionError):
            return None


@dataclass(frozen=True)
class Record:
    """One record with everything Kafka keeps of it."""

    partition: int
    offset: int
    at: datetime | None
    key: Blob
    value: Blob
    headers: tuple[tuple[str, Blob], ...]

    @classmethod
    def of(cls, message: Message) -> Self:
        """From confluent-kafka's message, which holds a record and no error."""
        kind, ms = message.timestamp()
        headers = message.headers() or ()
        pairs = headers.items() if isinstance(headers, dict) else headers
        return cls(
            partition=message.partition() or 0,
            offset=message.offset() or 0,
            at=None if kind == TIMESTAMP_NOT_AVAILABLE else _moment(ms),
            key=Blob(_bytes(message.key())),
            value=Blob(_bytes(message.value())),
            headers=tuple((name, Blob(_bytes(value))) for name, value in pairs),
        )

    @property
    def size(self) -> int:
        """Bytes of key, value and headers."""
        return self.key.size + self.value.size + sum(len(name) + blob.size for name, blob in self.headers)


def _moment(ms: int) -> datetime | None:
    """A producer may have stamped anything at all."""
    try:
        return datetime.fromtimestamp(ms / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
