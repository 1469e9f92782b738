# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declared rows of a thing: from options, CSV or JSON lines to the rows of its tables, and back; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import Fault
from .columns import DISABLE, Row, Table, clean
from .forms import Parsed
from .lite import REQUIRED
from .things import Part, Thing

Tables = Mapping[str, Sequence[Row]]

BOOLEANS = {
    **dict.fromkeys(("yes", "true", "on", "y", "t", "1", "1.0"), "yes"),
    **dict.fromkeys(("no", "false", "off", "n", "f", "0", "0.0"), "no"),
}
"""The words that Ansible takes for a yes or a no."""


@dataclass(frozen=True)
class Declared:
    """One declared row: the cells of the main table, and the cells of each part that was given."""

    main: Row
    parts: tuple[tuple[Part, Row], ...]
    place: str


def declared_rows(thing: Thing, source: Parsed) -> tuple[list[Declared], list[Fault]]:
    """Return the rows of a source as cells of text, and every fault of names and values that no table can hold.

    A row with such a fault is not among the rows.
    """
    rows: list[Declared] = []
    faults: list[Fault] = []
    for raw, place in zip(source.rows, source.places):
        found: list[Fault] = []
        row = _declared(thing, raw, place, found)
        if row is not None and not found:
            rows.append(row)
        faults.extend(found)
    return rows, faults


def _declared(thing: Thing, raw: Any, place: str, faults: list[Fault]) -> Declared | None:
    if not isinstance(raw, Mapping):
        faults.append(Fault(f"{thing.table.name} ({place})", f"{raw!r} is no dictionary", "Give the columns of a row as a dictionary"))
        return None
    named = {str(name): value for name, value in raw.items() if value is not None}
    for name in [name for name in named if "." in name and name.partition(".")[0] in named]:
        whole = name.partition(".")[0]
        faults.append(Fault(f"{thing.table.name} ({place}): {name}", f"{whole} is given whole as well", f"Give {name} or {whole}"))
        del named[name]
    given = _nested(named)
    columns = {column.name for column in thing.columns}
    key = {name: _text(given[name], thing.table, name, "", []) for name in thing.table.key if name in given}
    address = f"{thing.table.address(key)} ({place})"
    main: Row = {}
    for name in [name for name in given if name in columns]:
        main[name] = _text(given.pop(name), thing.table, name, f"{address}: {name}", faults, name in thing.lists)
    parts = []
    for part in thing.parts:
        if part.option not in given:
            continue
        value = given.pop(part.option)
        where = f"{address}: {part.option}"
        if part.single:
            parts.append((part, {part.columns[0]: _text(value, part.table, part.columns[0], where, faults)}))
        elif isinstance(value, Mapping):
            parts.append((part, _part_cells(part, value, where, faults)))
        else:
            faults.append(Fault(where, f"{value!r} is no dictionary", "Give its columns as a dictionary; an empty one removes the row"))
    mend = "Use " + ", ".join((*(column.name for column in thing.columns), *(part.option for part in thing.parts)))
    faults.extend(Fault(f"{address}: {name}", "there is no such column", mend) for name in given)
    return Declared(main, tuple(parts), place)


def _part_cells(part: Part, value: Mapping[str, Any], where: str, faults: list[Fault]) -> Row:
    cells: Row = {}
    for name, cell in value.items():
        if name not in part.columns:
            faults.append(Fault(f"{where}.{name}", "there is no such column", "Use " + ", ".join(part.columns)))
        elif cell is not None:
            cells[name] = _text(cell, part.table, name, f"{where}.{name}", faults, True)
    return cells


def _nested(row: dict[str, Any]) -> dict[str, Any]:
    """Return the row with `option.column` names of CSV gathered into dictionaries."""
    nested: dict[str, Any] = {}
    for name, value in row.items():
        option, dot, column = name.partition(".")
        if dot:
            nested.setdefault(option, {})[column] = value
        else:
            nested[name] = value
    return nested


def _text(value: Any, table: Table, column: str, where: str, faults: list[Fault], listed: bool = False) -> str:
    """Return a value as the text of a cell; a fault when there is none for it. `listed` allows a list, joined with commas."""
    is_bool = table.column(column).choices == REQUIRED
    if isinstance(value, str):
        return BOOLEANS.get(value.strip().lower(), value) if is_bool else value
    if isinstance(value, bool):
        if is_bool or column == DISABLE.name:
            return "yes" if value else "no"
    elif isinstance(value, (int, float)):
        return BOOLEANS.get(str(value), str(value)) if is_bool else str(value)
    elif listed and isinstance(value, list) and all(isinstance(item, (str, int, float)) and not isinstance(item, bool) for item in value):
        return ",".join(str(item) for item in value)
    faults.append(Fault(where, f"{value!r} is no text", "Put it in quotes"))
    return ""


def keys_of(thing: Thing, rows: Sequence[Declared]) -> set[tuple[str, ...]]:
    """Return the main table's keys of the rows."""
    return {thing.table.key_of(row.main) for row in rows}


def table_rows(thing: Thing, rows: Sequence[Declared], present: Tables) -> dict[str, tuple[list[Row], list[str]]]:
    """Return, by table, the rows that shall stand and the place of each.

    Columns that no given option stands for keep what the present row has. A joined row that sets nothing besides its key is
    not there at all: `emptied` names those that must go.
    """
    existing = {table.name: {table.key_of(row): row for row in present.get(table.name, ())} for table in thing.tables}
    wanted: dict[str, tuple[list[Row], list[str]]] = {table.name: ([], []) for table in thing.tables}
    foreign = [name for name in thing.table.names if name not in {column.name for column in thing.columns}]
    for row in rows:
        main, places = wanted[thing.table.name]
        before = existing[thing.table.name].get(thing.table.key_of(row.main), {}) if foreign else {}
        main.append({**{name: before[name] for name in foreign if name in before}, **row.main})
        places.append(row.place)
        joined: dict[str, Row] = {}
        for part, cells in row.parts:
            key = {part.table.key[0]: row.main.get(thing.table.key[0], "")}
            kept = joined.get(part.table.name) or existing[part.table.name].get(part.table.key_of(key), {})
            rest = {name: cell for name, cell in kept.items() if name not in part.columns}
            joined[part.table.name] = {**rest, **key, **cells}
        for name, cells in joined.items():
            wanted[name][0].append(cells)
            wanted[name][1].append(row.place)
    return wanted


def emptied(table: Table, rows: Sequence[Row]) -> set[tuple[str, ...]]:
    """Return the keys of rows that set nothing besides the key."""
    return {table.key_of(row) for row in rows if not set(clean(table, row)) - set(table.key)}


def composed(thing: Thing, tables: Tables, wanted: Mapping[str, Sequence[str] | None]) -> list[dict[str, Any]]:
    """Return the thing's rows in the form in which they are declared; `wanted` narrows each key column to some values."""
    joined = {table.name: {table.key_of(row): row for row in tables.get(table.name, ())} for table in thing.tables[1:]}
    result = []
    for row in tables.get(thing.table.name, ()):
        key = dict(zip(thing.table.key, thing.table.key_of(row)))
        if any(values is not None and key[name] not in _meant(thing.table, name, values) for name, values in wanted.items()):
            continue
        composed_row: dict[str, Any] = {}
        for column in thing.columns:
            if row.get(column.name):
                listed = column.name in thing.lists
                composed_row[column.name] = row[column.name].split(",") if listed else _value(thing.table, column.name, row[column.name])
        for part in thing.parts:
            cells = joined[part.table.name].get((key[thing.table.key[0]],), {})
            found = {name: _value(part.table, name, cells[name]) for name in part.columns if cells.get(name)}
            if found:
                composed_row[part.option] = found[part.columns[0]] if part.single else found
        result.append(composed_row)
    return result


def _meant(table: Table, column: str, values: Sequence[str]) -> set[str]:
    """Return the values asked for, a blank one as what it means in the key."""
    return {value or table.column(column).blank for value in values}


def _value(table: Table, column: str, text: str) -> Any:
    """Return a cell as the value of its option."""
    return text == "yes" if table.column(column).choices == REQUIRED else text
