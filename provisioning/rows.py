"""Rows read and written by statements that are made once, for the few places where Heroku waits for many of them.

Django makes each statement anew from its objects, which takes several times as long as sending it. Everything here
behaves as its counterpart of the ORM does, without signals, relations and defaults by subqueries.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from django.db import connection, models
from django.db.models.expressions import DatabaseDefault

Row = TypeVar("Row", bound=models.Model)


@dataclass(frozen=True)
class _Reading:
    """How a model's rows are read: the columns' SQL, their attributes, and what turns a column's value to Python's."""

    columns: str
    attributes: list[str]
    converters: list[tuple[int, Callable[[Any], Any]]]


@cache
def _reading(model: type[models.Model]) -> _Reading:
    fields = model._meta.concrete_fields
    converters: list[tuple[int, Callable[[Any], Any]]] = []
    for position, field in enumerate(fields):
        column = field.cached_col
        for convert in (*connection.ops.get_db_converters(column), *column.get_db_converters(connection)):
            converters.append((position, lambda value, to=convert, of=column: to(value, of, connection)))
    return _Reading(
        ", ".join(f'"{model._meta.db_table}"."{field.column}"' for field in fields),
        [field.attname for field in fields],
        converters,
    )


def fetch_all(model: type[Row], condition: str, values: Sequence[Any]) -> list[Row]:
    """The rows for which `condition` holds: SQL after WHERE with `%s` for `values`, to which ORDER BY, LIMIT and
    FOR UPDATE may be added. It is written in the code, never made of data.
    """
    reading = _reading(model)
    with connection.cursor() as cursor:
        statement = f"SELECT {reading.columns} FROM {model._meta.db_table} WHERE {condition}"  # noqa: S608
        cursor.execute(statement, values)
        found = cursor.fetchall()
    rows = []
    for each in found:
        read = list(each)
        for position, convert in reading.converters:
            read[position] = convert(read[position])
        rows.append(model.from_db(connection.alias, reading.attributes, read))
    return rows


def fetch(model: type[Row], condition: str, values: Sequence[Any]) -> Row | None:
    """The first of `fetch_all`, None when there is none."""
    found = fetch_all(model, condition, values)
    return found[0] if found else None


@dataclass(frozen=True)
class _Writing:
    """How a model's new rows are written: the statement, what goes in, and what the database gives back."""

    statement: str
    fields: list["models.Field[Any, Any]"]
    returned: list[str]


@cache
def _writing(model: type[models.Model], left_to_database: frozenset[str]) -> _Writing:
    fields = [field for field in model._meta.concrete_fields if field.attname not in left_to_database]
    returned = [field for field in model._meta.concrete_fields if field.attname in left_to_database]
    columns = ", ".join(f'"{field.column}"' for field in fields)
    statement = (
        f"INSERT INTO {model._meta.db_table} ({columns}) VALUES ({', '.join(['%s'] * len(fields))})"  # noqa: S608
    )
    if returned:
        statement += " RETURNING " + ", ".join(f'"{field.column}"' for field in returned)
    return _Writing(statement, fields, [field.attname for field in returned])


def insert(row: Row) -> Row:
    """Write a new row, as `save(force_insert=True)`: its key and the database's defaults are read back into it.

    Raises IntegrityError as that does.
    """
    given = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
    key = row._meta.pk
    left = frozenset(
        name
        for name, value in given.items()
        if isinstance(value, DatabaseDefault) or (value is None and key is not None and name == key.attname)
    )
    writing = _writing(type(row), left)
    with connection.cursor() as cursor:
        values = [field.get_db_prep_save(given[field.attname], connection) for field in writing.fields]
        cursor.execute(writing.statement, values)
        if writing.returned:
            for name, value in zip(writing.returned, cursor.fetchone(), strict=True):
                setattr(row, name, value)
    row._state.adding, row._state.db = False, connection.alias
    return row


@cache
def _changing(model: type[models.Model], names: tuple[str, ...]) -> tuple[str, list["models.Field[Any, Any]"]]:
    fields = [model._meta.get_field(name) for name in names]
    key = model._meta.pk
    assignments = ", ".join(f'"{field.column}" = %s' for field in fields)
    return f'UPDATE {model._meta.db_table} SET {assignments} WHERE "{key.column}" = %s', [*fields, key]  # noqa: S608


def update(row: models.Model, *names: str) -> None:
    """Write these fields of a row that is there, as `save(update_fields=names)`."""
    statement, fields = _changing(type(row), names)
    with connection.cursor() as cursor:
        values = [field.get_db_prep_save(getattr(row, field.attname), connection) for field in fields]
        cursor.execute(statement, values)


def execute(statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Run a statement that is written in the code; what it returns (RETURNING), or nothing."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall() if cursor.description else []
