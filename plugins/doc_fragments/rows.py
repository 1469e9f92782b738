# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of declared rows, computed from the tables: names, order and sentences stand in one place only."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.diskless.statelite.plugins.module_utils.tables import things
from ansible_collections.diskless.statelite.plugins.module_utils.tables.columns import Column, Table
from ansible_collections.diskless.statelite.plugins.module_utils.tables.lite import REQUIRED
from ansible_collections.diskless.statelite.plugins.module_utils.tables.options import info_module, rows_module
from ansible_collections.diskless.statelite.plugins.module_utils.tables.things import Thing

SOURCE = " One of O(rows), O(content) and O(src) must be given."
SITE = [
    "Path of the site database on the managed machine, or its URL (C(sqlite:///PATH) or C(file:///PATH)).",
    "The first module that writes makes it, and publishes a snapshot beside it.",
]


def cell_text(table: Table, column: Column) -> list[str]:
    """Return what is said of one column."""
    said = [column.text]
    if column.ours:
        said.append("A column of this collection; xCAT has none of this name.")
    if column.required:
        said.append("Must be given.")
    if column.name in table.key:
        said.append("Part of the row's key." if len(table.key) > 1 else "The row's key.")
    if column.name == "priority":
        said.append("Put it in quotes when it has a fraction: YAML takes V(4.10) for V(4.1).")
    return said


def documented(option: dict[str, Any]) -> dict[str, Any]:
    """Return what of an option stands in documentation."""
    return {name: value for name, value in option.items() if name != "no_log"}


def kind_of(thing: Thing, column: Column) -> str:
    """Return what is written for a column."""
    if column.name in thing.lists:
        return "a list, or a text with commas"
    return "a bool" if column.choices == REQUIRED else "a text"


def column_texts(thing: Thing) -> list[str]:
    """Return a paragraph for each column of a row, and one for each dictionary of a joined table and its columns."""
    said = [f"C({column.name}), {kind_of(thing, column)}. {' '.join(cell_text(thing.table, column))}" for column in thing.columns]
    for part in thing.parts:
        columns = [part.table.column(name) for name in part.columns]
        if part.single:
            said.append(f"C({part.option}), a text. {columns[0].text} Left alone when omitted; an empty text removes it.")
            continue
        said.append(
            f"C({part.option}), a dictionary, the row of the table C({part.table.name}). {part.table.text}"
            " Left alone when omitted; an empty dictionary removes the row."
        )
        said += [f"C({part.option}.{one.name}), {kind_of(thing, one)}. {' '.join(cell_text(part.table, one))}" for one in columns]
    return said


def with_texts(options: dict[str, Any], texts: dict[str, str | list[str]]) -> dict[str, Any]:
    """Return the options with a description each."""
    return {name: {**documented(option), "description": texts[name]} for name, option in options.items()}


def rows_documentation(thing: Thing) -> str:
    """Return the fragment of the module that declares rows of `thing`."""
    options = rows_module(thing)["argument_spec"]
    columns = ", ".join(f"C({name})" for name in thing.csv_columns[:3])
    texts: dict[str, str | list[str]] = {
        "rows": [
            "The declared rows, each a dictionary. A row given is the whole row: columns that are left out are blank." + SOURCE,
            *column_texts(thing),
        ],
        "content": [
            f"The rows as text: CSV with a header line C(#) and column names such as {columns}, or one JSON object a line." + SOURCE,
            "For many rows, as arguments are slow beyond about a thousand.",
        ],
        "src": ["Path on the managed machine of a file in the form of O(content)." + SOURCE],
        "state": "Whether the rows shall be there; for V(absent) only their keys matter.",
        "exclusive": "Whether rows that are not listed are removed.",
        "exclusive_for": "Narrows O(exclusive) to the rows of one image; V(ALL) names those of every image.",
        "allow_empty": "Whether O(exclusive) may remove every row because none is listed.",
        "site": SITE,
    }
    result = with_texts(options, texts)
    return json.dumps({"options": result})


def info_documentation(thing: Thing) -> str:
    """Return the fragment of the module that reads rows of `thing`."""
    texts: dict[str, str | list[str]] = {name: f"Read only rows with one of these in the column C({name})." for name in thing.table.key}
    return json.dumps({"options": with_texts(info_module(thing)["argument_spec"], {**texts, "site": SITE})})


class ModuleDocFragment:
    LITEFILE: str = rows_documentation(things.LITEFILE)
    LITEFILE_INFO: str = info_documentation(things.LITEFILE)
    LITETREE: str = rows_documentation(things.LITETREE)
    LITETREE_INFO: str = info_documentation(things.LITETREE)
    STATELITE: str = rows_documentation(things.STATELITE)
    STATELITE_INFO: str = info_documentation(things.STATELITE)
    OSIMAGE: str = rows_documentation(things.OSIMAGE)
    OSIMAGE_INFO: str = info_documentation(things.OSIMAGE)
    NODE: str = rows_documentation(things.NODE)
    NODE_INFO: str = info_documentation(things.NODE)
    NODEGROUP: str = rows_documentation(things.NODEGROUP)
    NODEGROUP_INFO: str = info_documentation(things.NODEGROUP)
    NETWORK: str = rows_documentation(things.NETWORK)
    NETWORK_INFO: str = info_documentation(things.NETWORK)
    POLICY: str = rows_documentation(things.POLICY)
    POLICY_INFO: str = info_documentation(things.POLICY)
    SITE_SETTING: str = rows_documentation(things.SITE_SETTING)
    SITE_SETTING_INFO: str = info_documentation(things.SITE_SETTING)
