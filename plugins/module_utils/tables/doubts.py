# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is doubtful in an import: every fault refuses it whole, or (when that is asked for) the row stands aside and is named."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ..errors import Fault, SiteError
from . import network
from .columns import DISABLE, Row, Table, clean, live
from .plan import Change, after_changes
from .schema import TABLES, check_rows, check_table

LEFT_OUT = "left out"
DISABLED = "disabled"


@dataclass(frozen=True)
class Doubt:
    """One fault, and what was done about it."""

    fault: Fault
    done: str

    def told(self) -> dict[str, str]:
        """Return it as a module does."""
        return {**self.fault.told(), "done": self.done}


class Doubts:
    """The faults of one import; with `aside` those that do not refuse it."""

    def __init__(self, aside: bool) -> None:
        self.aside = aside
        self.faults: list[Fault] = []
        self.found: list[Doubt] = []

    def leave_out(self, fault: Fault) -> None:
        """Take note of something that no table can hold."""
        if self.aside:
            self.found.append(Doubt(fault, LEFT_OUT))
        else:
            self.faults.append(fault)

    def sound_rows(self, table: Table, rows: Sequence[Row], places: Sequence[str], standing: Sequence[Row] = ()) -> list[Row]:
        """Return the rows that can be written; with `aside`, faulty ones are disabled, or left out where no table can hold them.

        A faulty row is left out too where a row with its key is in `standing`, which stays as it is, or is sound.
        """
        if not self.aside:
            self.faults.extend(check_rows(table, rows, places))
            return list(rows)
        sound: dict[tuple[str, ...], Row] = {}
        checked = [check_rows(table, [row], [place]) for row, place in zip(rows, places)]
        taken = {table.key_of(row) for row in standing} | {table.key_of(row) for row, faults in zip(rows, checked) if not faults}
        for row, place, faults in zip(rows, places, checked):
            key = table.key_of(row)
            if key in sound and clean(table, sound[key]) != clean(table, row):
                self.leave_out(Fault(f"{table.address(row)} ({place})", "a row before it has the same key", "Keep one of them"))
            elif not faults:
                sound[key] = row
            elif _storable(table, row) and key not in taken:
                sound[key] = {**row, DISABLE.name: "yes"}
                self.found.extend(Doubt(fault, DISABLED) for fault in faults)
            else:
                self.found.extend(Doubt(fault, LEFT_OUT) for fault in faults)
            if faults and _opens(table, row):
                self.faults.append(Fault(faults[0].where, f"{faults[0].what}, and without the row more is allowed", faults[0].mend))
        return list(sound.values())

    def sound_changes(self, changes: Sequence[Change], tables: Mapping[str, Sequence[Row]]) -> list[Change]:
        """Return the changes without those that bring a row which clashes with another one; clashes are faults without `aside`.

        A new row that clashes is taken in disabled, one that would take the place of another is left out, and what stands stays.
        """
        settled = {(change.table.name, change.key): change for change in changes}
        while True:
            after = after_changes(tables, settled.values())
            brought = {key for key, change in settled.items() if change.after is not None and live(change.after)}
            clashes = [
                (TABLES[name], fault) for name, rows in after.items() for fault in check_table(TABLES[name], _last(name, rows, brought))
            ]
            if not self.aside:
                self.faults.extend(fault for _table, fault in clashes)
            if not clashes or not self.aside:
                return list(settled.values())
            rows_at = {(name, TABLES[name].address(row)): row for name, rows in after.items() for row in rows}
            aside: dict[tuple[str, tuple[str, ...]], Change | None] = {}
            for table, fault in clashes:
                row = rows_at[table.name, fault.where.rpartition(": ")[0]]
                key = (table.name, table.key_of(row))
                if key not in brought:
                    raise SiteError(fault)
                is_new = settled[key].before is None
                self.found.append(Doubt(fault, DISABLED if is_new else LEFT_OUT))
                aside[key] = Change(table, None, clean(table, {**row, DISABLE.name: "yes"})) if is_new else None
            settled = {key: change for key, was in settled.items() if (change := aside.get(key, was)) is not None}


def _last(name: str, rows: Sequence[Row], brought: Collection[tuple[str, tuple[str, ...]]]) -> list[Row]:
    """Return the rows of a table, those that the import brings after those that stood: of two that clash the later one is named."""
    return sorted(rows, key=lambda row: (name, TABLES[name].key_of(row)) in brought)


def _opens(table: Table, row: Row) -> bool:
    """Tell whether more is allowed without the row: a policy that denies."""
    return table is network.POLICY and row.get("rule", "").strip().lower() == "deny" and live(row)


def _storable(table: Table, row: Row) -> bool:
    """Tell whether the database can hold the row: its required cells are there, and every cell is text."""
    if any(column.required and not row.get(column.name) for column in table.columns):
        return False
    if any(name not in table.names for name in row):
        return False
    return not any("\x00" in cell or any(0xD800 <= ord(letter) < 0xE000 for letter in cell) for cell in row.values())
