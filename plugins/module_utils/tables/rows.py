# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs of the modules that declare and read rows: read, plan, apply in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ..errors import Fault, SiteError, raise_faults
from . import lite
from .columns import Row
from .declared import Declared, composed, declared_rows, emptied, keys_of, table_rows
from .forms import Parsed, parse
from .plan import Change, after_changes, exclusive_keys, lines_of, plan_table
from .replica import Replica
from .schema import TABLES, check_rows, check_table
from .store import Store, open_store
from .things import Thing

Warn = Callable[[str], None]
Tables = Mapping[str, Sequence[Row]]


class RowsPlan:
    """Changes of rows, carried out in one transaction; planned anew when another writer came in between."""

    def __init__(self, store: Store | Replica, decide: Callable[[Tables], Sequence[Change]], names: Iterable[str]) -> None:
        self._store = store
        self._decide = decide
        self._version, tables = store.read(names)
        self._changes = decide(tables)
        self._unpublished = store.unpublished()

    def lines(self) -> list[str]:
        """Return a line a changed cell or row, sorted; and what a killed or missing writer left undone."""
        return self._unpublished + lines_of(self._changes)

    def result(self) -> dict[str, Any]:
        """Return how many rows are added, changed and removed."""
        added = sum(change.before is None for change in self._changes)
        removed = sum(change.after is None for change in self._changes)
        return {"counts": {"added": added, "changed": len(self._changes) - added - removed, "removed": removed}}

    def apply(self) -> list[str] | None:
        """Write the changes and publish the snapshot; return the lines anew when another writer came first."""
        planned = self._changes
        with self._store as store:
            self._changes = store.write(planned, self._version, self._decide)
        return None if self._changes is planned else self.lines()


def plan_rows(thing: Thing, params: Mapping[str, Any], warn: Warn) -> RowsPlan:
    """Return the plan that makes the declared rows of `thing` stand; raises SiteError with every fault of the rows."""
    source = read_source(params, thing.csv_columns)
    rows, wrong = declared_rows(thing, source)
    absent = params["state"] == "absent"
    image = params.get("exclusive_for")
    wrong.extend(_option_faults(params))
    for text in lite.location_warnings([row.main for row in rows]) if thing.table is lite.STATELITE and not absent else ():
        warn(text)

    def decide(tables: Tables) -> Sequence[Change]:
        if absent:
            return _removal(thing, rows, tables, wrong)
        going = set()
        if params["exclusive"] and not wrong:
            main = [row.main for row in rows]
            going = exclusive_keys(thing.table, tables[thing.table.name], main, image, params["allow_empty"])
        return checked(_changes(thing, rows, tables, going, wrong), tables)

    return RowsPlan(open_store(params["site"]), decide, [table.name for table in thing.tables])


def _changes(thing: Thing, rows: Sequence[Declared], tables: Tables, going: set[tuple[str, ...]], wrong: Sequence[Fault]) -> list[Change]:
    """Return the changes of every table of the thing; raises SiteError with the faults of all rows, `wrong` among them."""
    wanted = table_rows(thing, rows, tables)
    raise_faults([*wrong, *(fault for table in thing.tables for fault in check_rows(table, *wanted[table.name]))])
    changes = []
    for table in thing.tables:
        declared = wanted[table.name][0]
        gone = set(going)
        if table is not thing.table:
            blank = emptied(table, declared)
            declared = [row for row in declared if table.key_of(row) not in blank]
            gone |= blank
        changes.extend(plan_table(table, tables[table.name], declared, gone))
    return changes


def _removal(thing: Thing, rows: Sequence[Declared], tables: Tables, wrong: Sequence[Fault]) -> list[Change]:
    """Return the changes that remove the rows named, with what is joined to them."""
    unnamed = [
        Fault(f"{thing.table.name} ({row.place}): {name}", "it is missing", f"Give the {name} of the row to remove")
        for row in rows
        for name in thing.table.key
        if not row.main.get(name) and not thing.table.column(name).blank
    ]
    raise_faults([*wrong, *unnamed])
    keys = keys_of(thing, rows)
    return [change for table in thing.tables for change in plan_table(table, tables[table.name], (), keys)]


def checked(changes: Sequence[Change], tables: Tables) -> Sequence[Change]:
    """Return the changes; raises SiteError when a table as a whole would break a rule after them."""
    after = after_changes(tables, changes)
    raise_faults([fault for name, rows in after.items() for fault in check_table(TABLES[name], rows)])
    return changes


def _option_faults(params: Mapping[str, Any]) -> list[Fault]:
    faults = []
    if params["exclusive"] and params["state"] == "absent":
        faults.append(Fault("exclusive", "it can't go with state absent", "Leave one of the two out"))
    if params.get("exclusive_for") is not None and not params["exclusive"]:
        faults.append(Fault("exclusive_for", "it narrows exclusive, which is not set", "Set exclusive: true, or leave it out"))
    return faults


def read_source(params: Mapping[str, Any], columns: Sequence[str]) -> Parsed:
    """Return the declared rows from the option that was given: rows, content, or src (a path on this machine)."""
    rows: list[Any] | None = params.get("rows")
    if rows is not None:
        return Parsed(rows, [f"row {number}" for number in range(1, len(rows) + 1)])
    if params.get("content") is not None:
        return parse(params["content"], columns, "content")
    return parse(read_text(params["src"]), columns, params["src"])


def read_text(path: str) -> str:
    """Return the text of a file on this machine; raises SiteError with its path."""
    try:
        with open(path, encoding="utf-8", newline="") as stream:
            return stream.read()
    except UnicodeDecodeError as error:
        raise SiteError.of(path, f"it is no UTF-8 text: byte {error.start}", "Convert it to UTF-8") from error
    except OSError as error:
        raise SiteError.of(path, f"it can't be read: {error.strerror}", "Put the file on the managed machine") from error


def read_rows(thing: Thing, params: Mapping[str, Any], _warn: Warn) -> dict[str, Any]:
    """Return the rows of `thing`, in the form in which its module takes them."""
    with open_store(params["site"]) as store:
        tables = store.tables([table.name for table in thing.tables])
    return {"rows": composed(thing, tables, {name: params[name] for name in thing.table.key})}
