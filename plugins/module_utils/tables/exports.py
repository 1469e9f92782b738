# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole tables and objects out, in the forms that tabdump, dumpxCATdb and `lsdef -z` use."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from ..errors import Fault, SiteError, raise_faults
from .columns import Row
from .forms import to_csv, to_json_lines
from .objects import BY_TABLE, objects_of
from .schema import TABLES
from .snapshot import replace_file
from .stanzas import to_stanzas
from .store import open_store

Tables = Mapping[str, Sequence[Row]]


class ExportPlan:
    """The text of a table or of objects, and the files that shall hold what was asked for."""

    def __init__(self, content: str, count: int, files: Mapping[str, tuple[str, int]]) -> None:
        self.content = content
        self._count = count
        self._files = {path: text for path, (text, _count) in files.items() if _content_of(path) != text.encode()}
        self._lines = [f"{path}: {files[path][1]} rows" for path in self._files]

    def lines(self) -> list[str]:
        """Return a line for each file that is to be written."""
        return self._lines

    def result(self) -> dict[str, Any]:
        """Return the text and the number of rows or objects in it."""
        return {"content": self.content, "count": self._count}

    def apply(self) -> None:
        """Write the files, with owner and mode of those that are there; a new one can be read by its owner alone."""
        for path, text in self._files.items():
            try:
                found = os.lstat(path) if os.path.isfile(path) and not os.path.islink(path) else None
                mode, group, owner = (found.st_mode & 0o7777, found.st_gid, found.st_uid) if found else (0o600, -1, -1)
                replace_file(path, text.encode(), mode, group, owner)
            except OSError as error:
                raise SiteError.of(path, f"it can't be written: {error.strerror}", "Give a path in a directory that is there") from error


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
    """Return the plan that gives a table, objects or the whole site as text, and writes it where `dest` says."""
    name, form, dest, names = params["table"], params["form"], params["dest"], params.get("names") or []
    faults = []
    if names and form != "stanza":
        faults.append(Fault("names", "rows have no names, only objects have", "Set form: stanza, or leave names out"))
    if form == "stanza" and name is not None and name not in BY_TABLE:
        faults.append(Fault("table", f"rows of {name} are no objects", "Use csv, or one of " + ", ".join(BY_TABLE)))
    if form != "stanza" and name is None and (form != "csv" or dest is None):
        faults.append(Fault("table", "all tables can only be written as csv into a directory", "Name a table, or set form: csv and dest"))
    raise_faults(faults)
    with open_store(params["site"]) as store:
        tables = store.tables()
    if form != "stanza" and name is None:
        return _whole_site(tables, dest)
    if form == "stanza":
        kinds = list(BY_TABLE.values()) if name is None else [BY_TABLE[name]]
        objects = [each for kind in kinds for each in objects_of(kind, tables) if not names or each[0] in names]
        raise_faults(_unknown(names, {each[0] for each in objects}))
        content, count = to_stanzas(objects), len(objects)
    else:
        content, count = _table_text(name, tables[name], form), len(tables[name])
    return ExportPlan(content, count, {} if dest is None else {dest: (content, count)})


def _unknown(names: Sequence[str], found: Collection[str]) -> list[Fault]:
    return [Fault(f"names, {each}", "there is no such object", "Correct the name, or the table") for each in names if each not in found]


def _table_text(name: str, rows: Sequence[Row], form: str) -> str:
    return to_csv(TABLES[name], rows) if form == "csv" else to_json_lines(rows)


def _whole_site(tables: Tables, directory: str) -> ExportPlan:
    """Return the plan that writes each table as TABLE.csv into a directory."""
    if not os.path.isdir(directory):
        raise SiteError.of(directory, "it is no directory", "Make it first: each table is written there as TABLE.csv")
    files = {os.path.join(directory, f"{name}.csv"): (_table_text(name, rows, "csv"), len(rows)) for name, rows in tables.items()}
    return ExportPlan("", sum(map(len, tables.values())), files)
