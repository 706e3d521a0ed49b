"""Importing Heroku's payout files: what a column means is data, and a file or a row that was imported is not again."""

import csv
import hashlib
import io
import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Literal

from django.db import connection, transaction
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from billing.models import PayoutFile, PayoutFormat, PayoutRow
from billing.months import Month
from billing.revenue import is_uuid
from provisioning import audit
from provisioning.models import Resource
from provisioning.services import Refusal

LARGEST_BYTES = 20_000_000
_LOCK = 7_301_104
_PROBLEMS_SHOWN = 10
_CENTS_MOST = 10**12


class Mapping(BaseModel):
    """Which column of a payout file holds what. `month_format` is strptime's; a whole date means its month."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    resource: str = Field(
        min_length=1, description="Column of the resource: its uuid, or its name at Heroku."
    )
    month: str = Field(min_length=1, description="Column of the month that was billed.")
    month_format: str = Field(default="%Y-%m", min_length=2)
    amount: str = Field(min_length=1, description="Column of the amount that is paid to us.")
    amount_in: Literal["dollars", "cents"] = "dollars"
    service: str = Field(default="", description="Column of the add-on service, where there is one.")
    row_id: str = Field(default="", description="Column of Heroku's own id of the row, where there is one.")
    delimiter: str = Field(default=",", min_length=1, max_length=1)

    @property
    def columns(self) -> list[str]:
        """The columns a file must have."""
        return [each for each in (self.resource, self.month, self.amount, self.service, self.row_id) if each]


@dataclass(frozen=True)
class Import:
    """What an import did: the file's row, and whether it had been imported before."""

    file: PayoutFile
    repeated: bool


@dataclass(frozen=True)
class _Read:
    line: int
    key: str
    month: Month
    reference: str
    service: str
    cents: int
    raw: dict[str, str]


def save_format(*, name: str, mapping: dict[str, str], actor: str) -> PayoutFormat:
    """Keep a format under its name, in the place of an earlier one. Refusal when the mapping is not complete."""
    if not name.strip():
        raise Refusal("Give the format a name.", code="name_needed")
    try:
        read = Mapping.model_validate({key: value for key, value in mapping.items() if value})
    except ValidationError as error:
        fields = ", ".join(str(each["loc"][0]) for each in error.errors())
        raise Refusal(f"The mapping is not complete: {fields}.", code="mapping_invalid") from None
    with transaction.atomic():
        row, _ = PayoutFormat.objects.update_or_create(
            name=name.strip()[:80], defaults={"mapping": read.model_dump(), "set_by": actor}
        )
        audit.record("billing.payout_format_saved", actor=actor, format=row.name, mapping=row.mapping)
    return row


def import_payouts(content: bytes, *, name: str, payout_format: PayoutFormat, actor: str) -> Import:
    """Import a file whole or not at all. Refusal names the lines that cannot be read.

    A file that was imported before is not imported again, and of one that overlaps an earlier one only the new rows
    are. Rows are the same when Heroku's row id is, or else when all of their text is; a row that stands several times
    in one file counts as often.
    """
    digest = hashlib.sha256(content).hexdigest()
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        if known := PayoutFile.objects.filter(digest=digest).first():
            return Import(known, repeated=True)
        rows = _read(content, Mapping.model_validate(payout_format.mapping))
        earlier = dict(
            PayoutRow.objects.filter(key__in=[row.key for row in rows]).values_list("key", "cents")
        )
        if changed := [row for row in rows if row.key in earlier and earlier[row.key] != row.cents]:
            lines = ", ".join(str(row.line) for row in changed[:_PROBLEMS_SHOWN])
            raise Refusal(
                f"Lines {lines} were imported before with another amount under the same row id. "
                "Heroku's correction has to come as a row of its own.",
                code="rows_changed",
            )
        fresh = [row for row in rows if row.key not in earlier]
        file = PayoutFile.objects.create(
            digest=digest,
            name=name[:200] or "payouts.csv",
            format=payout_format,
            rows=len(rows),
            new_rows=len(fresh),
            imported_by=actor,
        )
        _store(file, fresh)
        audit.record(
            "billing.payouts_imported", actor=actor, file=file.name, rows=len(rows), new_rows=len(fresh)
        )
    return Import(file, repeated=False)


def _store(file: PayoutFile, rows: list[_Read]) -> None:
    resources = _resources({row.reference for row in rows})
    PayoutRow.objects.bulk_create(
        (
            PayoutRow(
                key=row.key,
                file=file,
                line=row.line,
                month=row.month.first_day,
                reference=row.reference,
                resource=(resource := resources.get(row.reference.lower())),
                service=resource.service if resource else row.service,
                cents=row.cents,
                raw=row.raw,
            )
            for row in rows
        ),
        batch_size=1000,
    )


def _resources(references: set[str]) -> dict[str, Resource]:
    """The resources that a file means, by uuid or else by a name that only one has; keys in lower case."""
    uuids = {each for each in references if is_uuid(each)}
    found: dict[str, Resource] = {}
    by_uuid = {row.uuid.hex: row for row in Resource.objects.filter(uuid__in=uuids)}
    for each in uuids:
        if row := by_uuid.get(each.replace("-", "").lower()):
            found[each.lower()] = row
    names = {each for each in references - uuids if each}
    rows = list(Resource.objects.filter(name__in=names))
    counts = Counter(row.name for row in rows)
    found.update({row.name.lower(): row for row in rows if counts[row.name] == 1})
    return found


def _read(content: bytes, mapping: Mapping) -> list[_Read]:
    if len(content) > LARGEST_BYTES:
        raise Refusal("The file is larger than 20 MB. Split it by month.", code="file_too_large")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Refusal("The file is not UTF-8 text. Export it as CSV (UTF-8).", code="not_text") from None
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=mapping.delimiter, strict=True)
    rows, problems = [], []
    try:
        missing = [column for column in mapping.columns if column not in (reader.fieldnames or [])]
        if missing:
            have = ", ".join(reader.fieldnames or []) or "none"
            raise Refusal(
                f"The file has no column {', '.join(missing)}. It has: {have}.", code="columns_missing"
            )
        seen: Counter[str] = Counter()
        for raw in reader:
            if not any((value or "").strip() for value in raw.values() if isinstance(value, str)):
                continue
            try:
                rows.append(_read_row(raw, mapping, seen, line=reader.line_num))
            except ValueError as error:
                problems.append(f"line {reader.line_num}: {error}")
    except csv.Error as error:
        raise Refusal(f"The file is not CSV near line {reader.line_num}: {error}.", code="not_csv") from None
    if problems:
        more = f" And {len(problems) - _PROBLEMS_SHOWN} more." if len(problems) > _PROBLEMS_SHOWN else ""
        raise Refusal(
            f"Nothing was imported. {'; '.join(problems[:_PROBLEMS_SHOWN])}.{more}", code="rows_invalid"
        )
    if not rows:
        raise Refusal("The file has no rows.", code="file_empty")
    return rows


def _read_row(raw: dict[str | None, str | None], mapping: Mapping, seen: Counter[str], *, line: int) -> _Read:
    if None in raw or None in raw.values():
        raise ValueError("it has more or fewer fields than the header")
    plain = {str(key): str(value).strip() for key, value in raw.items()}
    reference = plain[mapping.resource]
    if not reference or len(reference) > 200:
        raise ValueError("the resource is missing or too long")
    try:
        month = Month.of(datetime.strptime(plain[mapping.month], mapping.month_format).date())  # noqa: DTZ007
    except ValueError:
        raise ValueError(f"{plain[mapping.month]!r} is not a month as {mapping.month_format}") from None
    cents = read_amount(plain[mapping.amount], amount_in=mapping.amount_in)
    if mapping.row_id:
        if not plain[mapping.row_id]:
            raise ValueError("the row id is missing")
        key = f"id:{plain[mapping.row_id]}"
        if key in seen:
            raise ValueError("the row id stands twice in the file")
    else:
        key = f"text:{json.dumps(plain, sort_keys=True)}"
    seen[key] += 1
    digest = hashlib.sha256(f"{key}:{seen[key]}".encode()).hexdigest()
    service = plain[mapping.service][:60] if mapping.service else ""
    return _Read(line, digest, month, reference, service, cents, plain)


def read_amount(text: str, *, amount_in: str) -> int:
    """Cents of an amount as it is exported: `$1,234.50`, `-12.5`, `(12.50)`. ValueError when it is not whole cents."""
    plain = text.strip().replace("USD", "").strip()
    negative = plain.startswith("(") and plain.endswith(")")
    plain = plain.strip("()").replace("$", "").replace(",", "").strip()
    try:
        value = Decimal(plain)
    except InvalidOperation:
        raise ValueError(f"{text!r} is not an amount") from None
    if not value.is_finite() or abs(value) > _CENTS_MOST:
        raise ValueError(f"{text!r} is not an amount")
    cents = value * 100 if amount_in == "dollars" else value
    if cents != cents.to_integral_value():
        raise ValueError(f"{text!r} is not whole cents")
    return -int(cents) if negative else int(cents)
