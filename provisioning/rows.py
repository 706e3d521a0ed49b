"""Rows read and written by statements that are made once, for the few places where Heroku waits for many of them.

Django makes each statement anew from its objects, which takes several times as long as sending it. Everything here
behaves as its counterpart of the ORM does, without signals, relations and defaults by subqueries.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS, connection, connections, models
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
        found = (*connection.ops.get_db_converters(column), *column.get_db_converters(connection))
        converters += [(position, partial(_convert, convert, column)) for convert in found]
    return _Reading(
        ", ".join(f'"{model._meta.db_table}"."{field.column}"' for field in fields),
        [field.attname for field in fields],
        converters,
    )


def _convert(convert: Callable[..., Any], column: Any, value: Any) -> Any:
    return convert(value, column, connection)


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
    """A statement that writes new rows: for each of them the fields whose values go in, and those that come back."""

    statement: str
    given: list[list["models.Field[Any, Any]"]]
    returned: list[list[str]]


@cache
def _writing(shape: tuple[tuple[type[models.Model], frozenset[str]], ...]) -> _Writing:
    """The statement for rows of these models, whose named columns are left to the database."""
    parts, given, returned, results = [], [], [], []
    for number, (model, left) in enumerate(shape):
        into = [field for field in model._meta.concrete_fields if field.attname not in left]
        back = [field for field in model._meta.concrete_fields if field.attname in left]
        columns = ", ".join(f'"{field.column}"' for field in into)
        answer = ", ".join(f'"{field.column}"' for field in back) or "1"
        parts.append(
            f"row{number} AS (INSERT INTO {model._meta.db_table} ({columns}) "  # noqa: S608
            f"VALUES ({', '.join(['%s'] * len(into))}) RETURNING {answer})"
        )
        results += [f'row{number}."{field.column}"' for field in back]
        given.append(into)
        returned.append([field.attname for field in back])
    names = ", ".join(f"row{number}" for number in range(len(shape)))
    statement = f"WITH {', '.join(parts)} SELECT {', '.join(results) or '1'} FROM {names}"  # noqa: S608
    return _Writing(statement, given, returned)


def insert_all(*rows: models.Model) -> None:
    """Write new rows, none of which refers to another of them, by one statement.

    As `save(force_insert=True)` of each: keys and the database's defaults are read back, IntegrityError is raised.
    """
    shape = tuple(
        (
            type(row),
            frozenset(
                field.attname
                for field in row._meta.concrete_fields
                if isinstance(value := row.__dict__[field.attname], DatabaseDefault)
                or (value is None and field.primary_key)
            ),
        )
        for row in rows
    )
    writing = _writing(shape)
    database = connections[DEFAULT_DB_ALIAS]  # itself, not what stands for it: asked for each value
    values = [
        field.get_db_prep_save(row.__dict__[field.attname], database)
        for row, fields in zip(rows, writing.given, strict=True)
        for field in fields
    ]
    with database.cursor() as cursor:
        cursor.execute(writing.statement, values)
        answers = iter(cursor.fetchone())
    for row, names in zip(rows, writing.returned, strict=True):
        for name in names:
            setattr(row, name, next(answers))
        row._state.adding, row._state.db = False, database.alias


def insert(row: Row) -> Row:
    """`insert_all` of one row, which is returned."""
    insert_all(row)
    return row


@cache
def _changing(
    model: type[models.Model], names: tuple[str, ...]
) -> tuple[str, list["models.Field[Any, Any]"]]:
    by_name = {field.name: field for field in model._meta.concrete_fields}
    fields, key = [by_name[name] for name in names], model._meta.pk
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
