# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a table and a column are: names, keys, one sentence each, and the rules of a single row."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Optional

Row = dict[str, str]
"""One row: column name to text. A missing cell and an empty one both mean unset."""

Problem = tuple[str, str]
"""What is wrong with a cell, and the mend."""

CellRule = Callable[[str], Optional[Problem]]
RowRule = Callable[[Row], Iterable[tuple[str, str, str]]]

CURLY_QUOTES = "\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f"
EVERY_IMAGE = "ALL"
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ufffe\uffff]")


@dataclass(frozen=True)
class Column:
    """One column; `ours` marks those that the statelite document and xCAT do not have."""

    name: str
    text: str
    required: bool = False
    ours: bool = False
    choices: tuple[str, ...] = ()
    rule: CellRule | None = None
    blank: str = ""
    """What a blank cell of a key column means, so that both spellings are one key."""


COMMENTS = Column("comments", "Free text for people; nothing reads it.")


def disable_problem(text: str) -> Problem | None:
    """Refuse words that look like no but hide the row, such as the false of YAML."""
    if text.strip().lower() in ("false", "off", "n", "none"):
        return f"{text!r} would hide the row", "Leave it blank for a row that counts, or write yes to hide it"
    return None


DISABLE = Column(
    "disable",
    "Blank, V(0) or V(no) for a row that counts; anything else hides the row without removing it.",
    rule=disable_problem,
)


@dataclass(frozen=True)
class Table:
    """One table: its own columns in the order of the CSV form, the key, and the rules of a row and of the whole table."""

    name: str
    own_columns: tuple[Column, ...]
    key: tuple[str, ...]
    text: str
    row_rule: RowRule | None = None

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """Every column in CSV order; columns of ours stand last, so that a file of the original still fits."""
        theirs = tuple(column for column in self.own_columns if not column.ours)
        ours = tuple(column for column in self.own_columns if column.ours)
        return (*theirs, COMMENTS, DISABLE, *ours)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The column names in CSV order."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column:
        """Return the column called `name`; raises KeyError when the table has none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    @cached_property
    def blanks(self) -> tuple[tuple[str, str], ...]:
        """The key's columns, each with what a blank in it means."""
        return tuple((name, self.column(name).blank) for name in self.key)

    def key_of(self, row: Row) -> tuple[str, ...]:
        """Return the row's key with blanks normalised (a blank image is ALL): equal keys are the same row."""
        return tuple(row.get(name) or blank for name, blank in self.blanks)

    def address(self, row: Row) -> str:
        """Return how a person finds the row: the table's name and the key's cells."""
        return " ".join((self.name, *(part or "''" for part in self.key_of(row))))


def live(row: Row) -> bool:
    """Tell whether the row counts: `disable` is blank, 0 or no in any case of letters (behaviour.md part a)."""
    return row.get("disable", "").strip().lower() in ("", "0", "no")


def clean(table: Table, row: Row) -> Row:
    """Return the row with its set cells only, in the table's column order."""
    return {name: row[name] for name in table.names if row.get(name)}


def control_character(text: str) -> str | None:
    """Return the first control character of `text` in printable form, or None."""
    found = CONTROL.search(text)
    return ascii(found.group()) if found else None
