# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is doubtful in an import: every fault refuses it whole, or (when that is asked for) the row stands aside and is named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..errors import Fault
from .columns import DISABLE, Row, Table, clean
from .plan import Change, after_changes, plan_table
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
        return {"where": self.fault.where, "what": self.fault.what, "mend": self.fault.mend, "done": self.done}


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

    def left_out(self, faults: Iterable[Fault]) -> None:
        """Take note of several."""
        for fault in faults:
            self.leave_out(fault)

    def sound_rows(self, table: Table, rows: Sequence[Row], places: Sequence[str]) -> list[Row]:
        """Return the rows that can be written; with `aside`, faulty ones are disabled, or left out where no table can hold them."""
        if not self.aside:
            self.faults.extend(check_rows(table, rows, places))
            return list(rows)
        sound: dict[tuple[str, ...], Row] = {}
        for row, place in zip(rows, places):
            faults = check_rows(table, [row], [place])
            key = table.key_of(row)
            if key in sound and clean(table, sound[key]) != clean(table, row):
                self.leave_out(Fault(f"{table.address(row)} ({place})", "a row before it has the same key", "Keep one of them"))
            elif not faults:
                sound[key] = row
            elif _storable(table, row):
                sound[key] = {**row, DISABLE.name: "yes"}
                self.found.extend(Doubt(fault, DISABLED) for fault in faults)
            else:
                self.found.extend(Doubt(fault, LEFT_OUT) for fault in faults)
        return list(sound.values())

    def sound_changes(self, changes: Sequence[Change], tables: Mapping[str, Sequence[Row]]) -> list[Change]:
        """Return the changes, rows that clash with another row after them disabled; clashes are faults without `aside`."""
        settled = list(changes)
        while True:
            after = after_changes(tables, settled)
            clashes = [(TABLES[name], fault) for name, rows in after.items() for fault in check_table(TABLES[name], rows)]
            if not self.aside:
                self.faults.extend(fault for _table, fault in clashes)
            if not clashes or not self.aside:
                return settled
            for table, fault in clashes:
                row = next(row for row in after[table.name] if fault.where.rpartition(": ")[0] == table.address(row))
                self.found.append(Doubt(fault, DISABLED))
                settled = [change for change in settled if change.table is not table or change.key != table.key_of(row)]
                settled += plan_table(table, tables[table.name], [{**row, DISABLE.name: "yes"}])


def _storable(table: Table, row: Row) -> bool:
    """Tell whether the database can hold the row: its required cells are there, and every cell is text."""
    if any(column.required and not row.get(column.name) for column in table.columns):
        return False
    if any(name not in table.names for name in row):
        return False
    return not any("\x00" in cell or any(0xD800 <= ord(letter) < 0xE000 for letter in cell) for cell in row.values())
