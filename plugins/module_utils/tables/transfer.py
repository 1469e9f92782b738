# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole tables in and out, in the form that tabdump and tabrestore use."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..errors import SiteError, raise_faults
from .columns import Row, Table
from .declared import declared_rows
from .forms import to_csv, to_json_lines
from .plan import Change, exclusive_keys, plan_table
from .rows import RowsPlan, checked, read_source
from .schema import TABLES, check_rows
from .snapshot import replace_file
from .store import open_store
from .things import Thing

Tables = Mapping[str, Sequence[Row]]


def plan_import(params: Mapping[str, Any], _warn: Callable[[str], None]) -> RowsPlan:
    """Return the plan that puts the rows of a text into a table: in place of all its rows, or (exclusive false) besides them.

    Raises SiteError with every fault of the text and its rows; nothing is written then.
    """
    table = TABLES[params["table"]]
    source = read_source(params, table.names)
    declared, wrong = declared_rows(Thing(table.name, table), source)
    rows = [row.main for row in declared]
    raise_faults([*wrong, *check_rows(table, rows, [row.place for row in declared])])

    def decide(tables: Tables) -> Sequence[Change]:
        present = tables[table.name]
        going = exclusive_keys(table, present, rows, None, params["allow_empty"]) if params["exclusive"] else ()
        return checked(plan_table(table, present, rows, going), tables)

    return RowsPlan(open_store(params["site"]), decide, [table.name])


class ExportPlan:
    """The text of a table, and the file that shall hold it when one is named."""

    def __init__(self, table: Table, rows: Sequence[Row], form: str, dest: str | None) -> None:
        self.content = to_csv(table, rows) if form == "csv" else to_json_lines(rows)
        self._count = len(rows)
        self._dest = dest
        self._lines = [] if dest is None or _content_of(dest) == self.content.encode() else [f"{dest}: {self._count} rows"]

    def lines(self) -> list[str]:
        """Return a line when the file is to be written."""
        return self._lines

    def result(self) -> dict[str, Any]:
        """Return the text and the number of rows in it."""
        return {"content": self.content, "count": self._count}

    def apply(self) -> None:
        """Write the file, with owner and mode of the one that is there; a new one can be read by its owner alone."""
        if self._dest is None:
            return
        try:
            found = os.lstat(self._dest) if os.path.isfile(self._dest) and not os.path.islink(self._dest) else None
            mode, group, owner = (found.st_mode & 0o7777, found.st_gid, found.st_uid) if found else (0o600, -1, -1)
            replace_file(self._dest, self.content.encode(), mode, group, owner)
        except OSError as error:
            raise SiteError.of(self._dest, f"it can't be written: {error.strerror}", "Give a path in a directory that is there") from error


def _content_of(path: str) -> bytes | None:
    """Return what the file holds, None where a new one takes the place of nothing or of a link; raises SiteError where none can be."""
    directory = os.path.dirname(path) or "."
    if not os.path.isdir(directory):
        raise SiteError.of(path, f"there is no directory {directory}", "Make it first, or give a path in a directory that is there")
    if os.path.islink(path):
        return None
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SiteError.of(path, f"it can't be read: {error.strerror}", "Give the path of a file") from error


def plan_export(params: Mapping[str, Any], _warn: Callable[[str], None]) -> ExportPlan:
    """Return the plan that gives a table as text, and writes it to a file when `dest` names one."""
    table = TABLES[params["table"]]
    with open_store(params["site"]) as store:
        rows = store.tables([table.name])[table.name]
    return ExportPlan(table, rows, params["form"], params["dest"])
