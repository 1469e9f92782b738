# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The SQL of a store, the same for every kind of database but for the marks of values and the order of rows."""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Iterator, Sequence

from .columns import Row, Table
from .database import Cursor, Database
from .plan import Change
from .schema import TABLES
from .snapshot import SCHEMA

META = "SELECT name, value FROM meta"
VALUES = 900
"""Values in one statement at most: older SQLite takes 999."""


def make_tables(database: Database, cursor: Cursor) -> tuple[str, int]:
    """Make the tables and return (identity, version 0).

    row_key is the normalised key, so that a blank image and ALL can't both stand; rows keep the order in which they came.
    """
    database.prepare(cursor)
    identity = uuid.uuid4().hex
    cursor.execute("CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
    for name, value in (("schema", str(SCHEMA)), ("database", identity), ("version", "0")):
        cursor.execute(f"INSERT INTO meta VALUES ({database.mark}, {database.mark})", (name, value))
    for table in TABLES.values():
        make_table(database, cursor, table)
    return identity, 0


def make_table(database: Database, cursor: Cursor, table: Table) -> None:
    """Make one table."""
    columns = ", ".join(f'"{name}" TEXT' for name in table.names)
    cursor.execute(f'CREATE TABLE "{table.name}" ({database.order_column}row_key TEXT PRIMARY KEY NOT NULL, {columns})')


def rows_of(database: Database, cursor: Cursor, table: Table) -> list[Row]:
    """Return the rows of a table with their set cells, in the order in which they came."""
    cursor.execute(f'SELECT {_columns(table)} FROM "{table.name}" ORDER BY {database.order}')
    return [{name: cell for name, cell in zip(table.names, cells) if cell} for cells in cursor]


def set_version(database: Database, cursor: Cursor, version: int) -> None:
    """Count a write."""
    cursor.execute(f"UPDATE meta SET value = {database.mark} WHERE name = 'version'", (str(version),))


def carry_out(database: Database, cursor: Cursor, changes: Sequence[Change]) -> None:
    """Carry changes out in their order, many rows of a kind in one statement: a server may be far away."""
    for table, going, part in _parts(changes):
        keys = [json.dumps(change.key, ensure_ascii=False) for change in part]
        if going:
            cursor.execute(f'DELETE FROM "{table.name}" WHERE row_key IN ({_marks(database, len(keys))})', keys)
            continue
        values: list[str | None] = []
        for key, change in zip(keys, part):
            after = change.after or {}
            values += [key, *(after.get(name) or None for name in table.names)]
        places = ", ".join([f"({_marks(database, len(table.names) + 1)})"] * len(part))
        updates = ", ".join(f'"{name}" = excluded."{name}"' for name in table.names)
        statement = f'INSERT INTO "{table.name}" (row_key, {_columns(table)}) VALUES {places} ON CONFLICT (row_key) DO UPDATE SET {updates}'
        cursor.execute(statement, values)


def _parts(changes: Sequence[Change]) -> Iterator[tuple[Table, bool, list[Change]]]:
    """Yield (table, whether its rows go, changes) for each stretch of changes that one statement can carry out."""
    for (name, going), stretch in itertools.groupby(changes, lambda change: (change.table.name, change.after is None)):
        table = TABLES[name]
        most = VALUES if going else VALUES // (len(table.names) + 1)
        part: dict[tuple[str, ...], Change] = {}
        for change in stretch:
            if len(part) == most or change.key in part:
                yield table, going, list(part.values())
                part = {}
            part[change.key] = change
        yield table, going, list(part.values())


def _columns(table: Table) -> str:
    return ", ".join(f'"{name}"' for name in table.names)


def _marks(database: Database, count: int) -> str:
    return ", ".join([database.mark] * count)
