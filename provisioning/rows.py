"""Rows read and written by statements that are made once, for the few places where Heroku waits for many of them.

Django makes each statement anew from its objects, which takes several times as long as sending it. Everything here
behaves as its counterpart of the ORM does, without signals, relations and defaults by subqueries.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, TypeVar, cast

from django.db import DEFAULT_DB_ALIAS, connection, connections, models
from django.db.models.expressions import DatabaseDefault

from provisioning.postgres.base import DatabaseWrapper

Row = TypeVar("Row", bound=models.Model)


@dataclass(frozen=True)
class Statement:
    """SQL that is written in the code, with `%s` for its values."""

    text: str
    values: list[Any]


def _database() -> DatabaseWrapper:
    """The connection itself, not what stands for it and is asked for each value."""
    return cast("DatabaseWrapper", connections[DEFAULT_DB_ALIAS])


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
    statement = f"SELECT {reading.columns} FROM {model._meta.db_table} WHERE {condition}"  # noqa: S608
    rows = []
    for each in _database().run(statement, values):
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
    """What follows WITH in a statement that writes new rows: for each of them the fields whose values go in, and those
    that come back.
    """

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
    statement = f"{', '.join(parts)} SELECT {', '.join(results) or '1'} FROM {names}"  # noqa: S608
    return _Writing(statement, given, returned)


def insert_all(*rows: models.Model, along: Sequence[Statement] = ()) -> None:
    """Write new rows by one statement, and run those that come `along` as parts of it: all or nothing.

    As `save(force_insert=True)` of each: keys and the database's defaults are read back, IntegrityError is raised.
    A row may refer to another of them by a key that was given to it, and not by one that is yet to come.
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
    database = _database()
    values = [value for each in along for value in each.values]
    values += [
        field.get_db_prep_save(row.__dict__[field.attname], database)
        for row, fields in zip(rows, writing.given, strict=True)
        for field in fields
    ]
    [found] = database.run(f"WITH {_parts(along)}{writing.statement}", values)
    answers = iter(found)
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


def changing(row: models.Model, *names: str) -> Statement:
    """The statement that writes these fields of a row that is there."""
    text, fields = _changing(type(row), names)
    database = _database()
    return Statement(
        text, [field.get_db_prep_save(getattr(row, field.attname), database) for field in fields]
    )


def update(row: models.Model, *names: str) -> None:
    """Write these fields of a row that is there, as `save(update_fields=names)`."""
    change = changing(row, *names)
    execute(change.text, change.values)


def execute(
    statement: str, values: Sequence[Any], *, along: Sequence[Statement] = ()
) -> list[tuple[Any, ...]]:
    """Run a statement that is written in the code; what it returns (RETURNING), or nothing.

    Those that come `along` are run as parts of it: all see the same rows as they were, none what another changes.
    """
    if along:
        # Without the separator of a further part.
        statement = f"WITH {_parts(along)[:-2]} {statement}"
        values = [*(value for each in along for value in each.values), *values]
    return _database().run(statement, values)


def _parts(along: Sequence[Statement]) -> str:
    return "".join(f"part{number} AS ({each.text}), " for number, each in enumerate(along))
