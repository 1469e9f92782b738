# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the modules that declare and read rows, derived from the tables; documentation is made from the same."""

from __future__ import annotations

from typing import Any

from .columns import Column
from .schema import TABLES
from .store import DEFAULT_SITE
from .things import Thing

Options = dict[str, dict[str, Any]]


def _option(column: Column) -> dict[str, Any]:
    """Return the option of a key's column; the name key is told to be no secret."""
    return {"type": "str", **({"no_log": False} if column.name == "key" else {})}


def site_option() -> Options:
    """Return the option that every module has."""
    return {"site": {"type": "str", "default": DEFAULT_SITE}}


def rows_module(thing: Thing) -> dict[str, Any]:
    """Return the arguments of `run` for the module that declares rows of `thing`.

    Rows are `raw`: the core checks them from every source alike, and names all faults of all rows with table, key and mend.
    """
    options: Options = {
        "rows": {"type": "list", "elements": "raw"},
        "content": {"type": "str"},
        "src": {"type": "path"},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "exclusive": {"type": "bool", "default": False},
        "allow_empty": {"type": "bool", "default": False},
        **site_option(),
    }
    if thing.has_image:
        options["exclusive_for"] = {"type": "str"}
    sources = [("rows", "content", "src")]
    return {"argument_spec": options, "mutually_exclusive": sources, "required_one_of": sources}


def info_module(thing: Thing) -> dict[str, Any]:
    """Return the arguments of `run_info` for the module that reads rows of `thing`: the key's columns narrow what is read."""
    options: Options = {name: {**_option(thing.table.column(name)), "type": "list", "elements": "str"} for name in thing.table.key}
    return {"argument_spec": {**options, **site_option()}}


def table_option() -> Options:
    """Return the option that names a table."""
    return {"table": {"type": "str", "choices": list(TABLES)}}


def import_module() -> dict[str, Any]:
    """Return the arguments of `run` for the module that takes tables or objects from texts."""
    options: Options = {
        **table_option(),
        "content": {"type": "str"},
        "src": {"type": "path"},
        "exclusive": {"type": "bool"},
        "doubtful": {"type": "str", "choices": ["refuse", "disable"], "default": "refuse"},
        "allow_empty": {"type": "bool", "default": False},
        **site_option(),
    }
    sources = [("content", "src")]
    return {"argument_spec": options, "mutually_exclusive": sources, "required_one_of": sources}


def export_module() -> dict[str, Any]:
    """Return the arguments of `run` for the module that gives tables or objects as text."""
    options: Options = {
        **table_option(),
        "form": {"type": "str", "choices": ["csv", "json", "stanza"], "default": "csv"},
        "names": {"type": "list", "elements": "str"},
        "dest": {"type": "path"},
        **site_option(),
    }
    return {"argument_spec": options}
