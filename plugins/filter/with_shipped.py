# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The site's rows of litefile joined with those that the collection ships for the distribution."""

from __future__ import annotations

DOCUMENTATION = r"""
name: with_shipped
short_description: Join a site's rows of litefile with the shipped ones
version_added: 0.1.0
description:
  - Gives the site's rows, untouched and in their order, and after them the shipped rows that they leave in place.
  - A shipped row, which is for every image, gives way to a row of the site for every image (C(image) blank or V(ALL)) that has the same
    path, whatever else it says and also when it is disabled, or a path above or below it with which it would be refused, such as a bare
    V(/var/log/app) below a bound V(/var/log/). Rows of the site for one image or group never take a shipped row away.
author: diskless.statelite contributors (@diskless)
positional: _input, shipped
options:
  _input:
    description: The site's rows.
    type: list
    elements: dict
    required: true
  shipped:
    description: The shipped rows.
    type: list
    elements: dict
    required: true
  settings:
    description: Settings of the site, of which a live C(liteattach) says how bare options are attached, V(link) without one.
    type: list
    elements: dict
    default: []
"""

EXAMPLES = r"""
- name: What nodes may write
  diskless.statelite.litefile:
    rows: "{{ statelite_litefile | diskless.statelite.with_shipped(shipped) }}"
  vars:
    shipped: "{{ lookup('ansible.builtin.file', 'debian12.csv') | diskless.statelite.rows('litefile') }}"
"""

RETURN = r"""
_value:
  description: The rows.
  type: list
  elements: dict
"""

from collections.abc import Callable, Iterable
from typing import Any

from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.lite.entry import Entry, entry_of
from ansible_collections.diskless.statelite.plugins.module_utils.lite.rules import refusal
from ansible_collections.diskless.statelite.plugins.module_utils.tables.columns import EVERY_IMAGE, Row, live
from ansible_collections.diskless.statelite.plugins.module_utils.tables.lite import LINK


def _path(row: dict[str, Any]) -> str:
    return "/" + "/".join(part for part in str(row["file"]).split("/") if part)


def _cells(row: dict[str, Any]) -> Row:
    """Return a row as the module takes it: booleans, which only `disable` may have, are yes and no."""
    words = {True: "yes", False: "no"}
    return {name: words[cell] if isinstance(cell, bool) else str(cell) for name, cell in row.items() if cell is not None}


def _liteattach(settings: Iterable[Any]) -> str:
    """Return the attachment of bare options that the live settings say."""
    rows = [_cells(row) for row in settings if isinstance(row, dict)]
    said = [row["value"] for row in rows if row.get("key") == "liteattach" and live(row) and row.get("value")]
    return said[0] if said else LINK


def _entry(row: dict[str, Any], liteattach: str) -> Entry | None:
    """Return what a live row says, None for one that says nothing: the module refuses a wrong one, with the mend."""
    cells = _cells(row)
    try:
        return entry_of(cells, liteattach) if live(cells) else None
    except SiteError:
        return None


def _refused(one: Entry, other: Entry) -> bool:
    """Return whether one of two entries lies below the other and the pair is refused."""
    above, below = sorted((one, other), key=lambda entry: len(entry.path))
    return below.path.startswith(above.path + "/") and refusal(above, below) is not None


def with_shipped(site: Iterable[Any], shipped: Iterable[dict[str, Any]], settings: Iterable[Any] = ()) -> list[Any]:
    """Return the site's rows, and the shipped ones that they leave in place."""
    rows, shipped, liteattach = list(site), list(shipped), _liteattach(settings)
    said = {(_path(row), row.get("options")) for row in shipped}
    general = [row for row in rows if isinstance(row, dict) and row.get("file") and (row.get("image") or EVERY_IMAGE) == EVERY_IMAGE]
    paths = {_path(row) for row in general}
    others = [row for row in general if (_path(row), row.get("options")) not in said]
    entries = [entry for entry in (_entry(row, liteattach) for row in others) if entry is not None]
    kept = []
    for row in shipped:
        own = _entry(row, liteattach)
        if _path(row) not in paths and not (own and any(_refused(own, entry) for entry in entries)):
            kept.append(row)
    return rows + kept


class FilterModule:
    """What Ansible asks for the filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"with_shipped": with_shipped}
