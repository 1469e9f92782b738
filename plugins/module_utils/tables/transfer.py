# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole tables and objects in: what tabdump, dumpxCATdb and `lsdef -z` write, in one transaction."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import Fault, SiteError, raise_faults
from .columns import Row, Table, live
from .declared import declared_rows
from .doubts import Doubts
from .forms import header_names, parse
from .objects import (
    BY_TABLE,
    GROUP,
    NODE,
    SITE,
    TYPES,
    ObjectType,
    membership_faults,
    objects_named,
    rows_of,
    setting_rows,
    unknown_attributes,
)
from .plan import Change, by_key, exclusive_keys, plan_table
from .rows import RowsPlan, read_text
from .schema import TABLES
from .stanzas import Stanza, is_stanza_text, parse_stanzas
from .store import open_store
from .things import Thing

Tables = Mapping[str, Sequence[Row]]


@dataclass(frozen=True)
class Text:
    """A text to take in: what it says, how faults call it, and the table that it is of (none for objects)."""

    text: str
    source: str
    table: str | None


class ImportPlan(RowsPlan):
    """The changes of an import, and what was doubtful in it."""

    def __init__(self, imported: Import, site: str) -> None:
        self._import = imported
        super().__init__(open_store(site), imported.decide, imported.tables)

    def result(self) -> dict[str, Any]:
        """Return the counts, and every doubt with what was done about it."""
        return {**super().result(), "doubtful": [doubt.told() for doubt in self._import.doubts.found]}


def plan_import(params: Mapping[str, Any], _warn: Callable[[str], None]) -> ImportPlan:
    """Return the plan that puts what texts hold into the tables: in place of what is there, or besides it.

    Raises SiteError with every fault of every text and row; nothing is written then. With `doubtful: disable` rows that break a
    rule are taken in disabled, what the tables have no place for is left out, and both are named.
    """
    return ImportPlan(Import(params), params["site"])


class Import:
    """What shall be taken in, and how: rows of tables, and objects."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self._aside = params.get("doubtful") == "disable"
        self._allow_empty = params["allow_empty"]
        self._unread = Doubts(self._aside)
        self._rows: dict[str, tuple[list[Row], list[str]]] = {}
        self._objects: list[tuple[ObjectType, Stanza, str]] = []
        for text in _texts(params, self._unread):
            try:
                if text.table is None:
                    self._objects.extend(_objects(text, params["table"], self._unread))
                else:
                    self._rows[text.table] = _rows(text, self._unread)
            except SiteError as error:
                self._unread.faults.extend(error.faults)
        self._whole = bool(self._rows) if params["exclusive"] is None else params["exclusive"]
        self.doubts = self._unread

    @property
    def tables(self) -> set[str]:
        """The tables to look at."""
        return {*self._rows, *(table.name for kind, _stanza, _place in self._objects for table in (*kind.tables, NODE.main, GROUP.main))}

    def decide(self, tables: Tables) -> Sequence[Change]:
        """Return the changes that take everything into `tables`, and keep what was doubtful about it."""
        doubts = self.doubts = Doubts(self._aside)
        doubts.found.extend(self._unread.found)
        doubts.faults.extend(self._unread.faults)
        changes = []
        for name, (rows, places, emptied) in self._wanted(tables, doubts).items():
            table, present = TABLES[name], tables[name]
            sound = doubts.sound_rows(table, rows, places, present if not self._whole else ())
            going = self._going(table, tables, [*rows, *sound]) if self._whole and not doubts.faults else set()
            changes.extend(plan_table(table, present, sound, going | emptied))
        raise_faults(doubts.faults)
        settled = doubts.sound_changes(changes, tables)
        raise_faults(doubts.faults)
        return settled

    def _going(self, table: Table, tables: Tables, declared: Sequence[Row]) -> set[tuple[str, ...]]:
        """Return the keys of rows that are not declared and must go: of a table all, of objects those of the types in the text.

        A row that is declared but left out for a fault does not take the one that stands along. Tables that two types share
        lose only rows of objects of the types at hand.
        """
        if table.name in self._rows:
            return exclusive_keys(table, tables[table.name], declared, None, self._allow_empty)
        kinds = {kind for kind, _stanza, _place in self._objects}
        if table.name in {kind.main.name for kind in kinds}:
            return exclusive_keys(table, tables[table.name], declared, None, True)
        own = {name for kind in kinds for name in objects_named(kind, tables)}
        wanted = {stanza.name for _kind, stanza, _place in self._objects}
        return {table.key_of(row) for row in tables[table.name] if row.get(table.key[0]) in own - wanted}

    def _wanted(self, tables: Tables, doubts: Doubts) -> dict[str, tuple[list[Row], list[str], set[tuple[str, ...]]]]:
        """Return, by table, the rows that shall stand, the place of each, and the keys of joined rows that must go."""
        standing = {name: by_key(TABLES[name], rows) for name, rows in tables.items()}
        wanted = {name: ([*rows], [*places], set[tuple[str, ...]]()) for name, (rows, places) in self._rows.items()}
        for kind, stanza, place in self._objects:
            for table in kind.tables:
                wanted.setdefault(table.name, ([], [], set()))
            if kind is SITE:
                settings = setting_rows(stanza.attributes, standing)
                wanted[kind.main.name][0].extend(settings)
                wanted[kind.main.name][1].extend([place] * len(settings))
                continue
            for name, row in rows_of(kind, stanza.name, stanza.attributes, standing).items():
                table = TABLES[name]
                rows, places, emptied = wanted[name]
                if set(row) - set(table.key) or (table is kind.main and (kind is not GROUP or table.key_of(row) in standing[name])):
                    rows.append(row)
                    places.append(place)
                elif live(standing[name].get(table.key_of(row)) or {}):
                    emptied.add(table.key_of(row))
        groups = _groups([*tables.get(NODE.main.name, ()), *wanted.get(NODE.main.name, ([], [], set()))[0]])
        for kind, stanza, place in self._objects:
            if kind is GROUP:
                for fault in membership_faults(f"group {stanza.name} ({place})", stanza.name, stanza.attributes, groups):
                    doubts.leave_out(fault)
        return wanted


def _groups(rows: Iterable[Row]) -> dict[str, list[str]]:
    """Return the groups of each node, of a node that is there twice those of the later row."""
    return {row["node"]: [group.strip() for group in (row.get("groups") or "").split(",")] for row in rows if row.get("node")}


def _texts(params: Mapping[str, Any], doubts: Doubts) -> Iterator[Text]:
    """Yield what is to be taken in: the content, the file, or every CSV file of the directory, as dumpxCATdb leaves them."""
    table, source = params["table"], params["src"]
    if params.get("content") is not None:
        yield _text(params["content"], "content", table)
    elif not os.path.isdir(source):
        yield _text(read_text(source), source, table)
    elif table is not None:
        raise SiteError.of(source, "it is a directory, and table names one table", "Leave table out, or give the file of the table")
    else:
        files = sorted(name for name in os.listdir(source) if name.endswith(".csv"))
        if not files:
            raise SiteError.of(source, "it holds no .csv file", "Give the directory that dumpxCATdb or tabdump wrote")
        for name in files:
            path = os.path.join(source, name)
            known = name[: -len(".csv")]
            if known in TABLES:
                yield Text(read_text(path), path, known)
            else:
                for fault in _foreign(read_text(path), path, known):
                    doubts.leave_out(fault)


def _foreign(text: str, path: str, name: str) -> list[Fault]:
    """Return a fault that names every row of a table which is not here; none for one that holds no rows.

    Rows are named by their lines, as a cell may be a secret.
    """
    mend = "Leave the file out, or set doubtful: disable"
    try:
        places = [int(place.rpartition(" ")[2]) for place in parse(text, header_names(text), path).places]
    except SiteError:  # what is wrong with the form of a line is told with a piece of it
        return [Fault(path, f"there is no table {name} here, and its rows can't be told apart", mend)]
    spans: list[list[int]] = []
    for line in places:
        if spans and line == spans[-1][1] + 1:
            spans[-1][1] = line
        else:
            spans.append([line, line])
    shown = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)
    lines = f"line{'s' if len(places) > 1 else ''} {shown}"
    return [Fault(path, f"there is no table {name} here for {lines}", mend)] if places else []


def _text(text: str, source: str, table: str | None) -> Text:
    if is_stanza_text(text):
        return Text(text, source, None)
    if table is None:
        raise SiteError.of(source, "it does not say of which table its rows are", "Name the table")
    return Text(text, source, table)


def _rows(text: Text, doubts: Doubts) -> tuple[list[Row], list[str]]:
    """Return the rows of a table's text, and where each stands."""
    table = TABLES[text.table or ""]
    foreign = [name for name in header_names(text.text) if name not in table.names] if doubts.aside else []
    parsed = parse(text.text, (*table.names, *foreign), text.source)
    for row, place in zip(parsed.rows, parsed.places):
        for name in foreign:
            cell = row.pop(name, "")
            if cell:
                where = f"{table.address(row)} ({place}): {name}"
                doubts.leave_out(Fault(where, f"the table has no such column for {cell!r}", "Use " + ", ".join(table.names)))
    declared, wrong = declared_rows(Thing(table.name, table), parsed)
    for fault in wrong:
        doubts.leave_out(fault)
    return [row.main for row in declared], [row.place for row in declared]


def _objects(text: Text, table: str | None, doubts: Doubts) -> Iterator[tuple[ObjectType, Stanza, str]]:
    """Yield the objects of a text that have a type of ours, with the attributes that have a column, and their places."""
    if table is not None and table not in BY_TABLE:
        what = f"the text is in the stanza form, and {table} is no table of objects"
        raise SiteError.of(text.source, what, "Give a text of that table, or one of " + ", ".join(BY_TABLE))
    seen: set[tuple[str, str]] = set()
    for stanza in parse_stanzas(text.text, text.source):
        place = f"line {stanza.line}"
        where = f"{stanza.kind} {stanza.name} ({place})"
        kind = TYPES.get(stanza.kind)
        if kind is None or (table is not None and kind is not BY_TABLE[table]):
            doubts.leave_out(Fault(where, f"there are no objects of type {stanza.kind} here", "Use " + ", ".join(TYPES)))
        elif (stanza.kind, stanza.name) in seen:
            doubts.leave_out(Fault(where, "the text has the object twice", "Keep one of them"))
        else:
            seen.add((stanza.kind, stanza.name))
            for name in unknown_attributes(kind, stanza.attributes):
                what = f"objects of type {kind.name} have no such attribute for {stanza.attributes.pop(name)!r}"
                doubts.leave_out(Fault(f"{where}: {name}", what, "Leave it out, or set doubtful: disable"))
            yield kind, stanza, place
