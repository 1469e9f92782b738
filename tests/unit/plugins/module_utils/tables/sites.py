# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the site database have in common: declaring rows as a module does, and looking at what is there."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.diskless.statelite.plugins.module_utils.tables import things
from ansible_collections.diskless.statelite.plugins.module_utils.tables.rows import plan_rows
from ansible_collections.diskless.statelite.plugins.module_utils.tables.store import open_store

DEFAULTS = {"rows": None, "content": None, "src": None, "state": "present", "exclusive": False, "allow_empty": False}


def plan(site, thing=things.LITEFILE, **options):
    """Return the plan of a module run with these options, without the warnings."""
    return plan_rows(thing, {**DEFAULTS, "site": str(site), **options}, lambda _text: None)


def declare(site, thing=things.LITEFILE, **options):
    """Run a module for real; return its lines."""
    made = plan(site, thing, **options)
    lines = made.lines()
    if lines:
        made.apply()
    return lines


def tables_of(site):
    """Return the tables that hold rows."""
    with open_store(str(site)) as store:
        return {name: rows for name, rows in store.tables().items() if rows}


def files_below(directory):
    """Return every path below a directory with its size and time of change."""
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in Path(directory).rglob("*")}
