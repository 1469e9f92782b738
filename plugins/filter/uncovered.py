# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of the policy for commands about which a site says nothing."""

from __future__ import annotations

DOCUMENTATION = r"""
name: uncovered
short_description: Keep the policy rows for commands about which no other row says anything
version_added: 0.1.0
description:
  - Gives the rows whose command no standing row names for all nodes, whatever that row says and also when it is disabled.
  - A standing row is for all nodes when its name is blank, and its host and noderange are blank or V(*). A row with a name, such as
    that of root, never matches a node, which asks without one.
  - Live rows without commands, or with V(*), are about every command.
  - A row comes after those that deny its command to some nodes, so that these stay in force.
  - A priority that is taken gets a digit more, so that no row is replaced.
author: diskless.statelite contributors (@diskless)
positional: _input, standing
options:
  _input:
    description: Rows of the policy, one command each.
    type: list
    elements: dict
    required: true
  standing:
    description: The rows that the policy has.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: What the document lets nodes ask, unless the site says otherwise
  diskless.statelite.policy:
    rows: "{{ [{'priority': '4.7', 'commands': 'litefile', 'rule': 'allow'}] | diskless.statelite.uncovered(standing.rows) }}"
"""

RETURN = r"""
_value:
  description: The rows that are left.
  type: list
  elements: dict
"""

import itertools
from collections.abc import Callable, Iterable
from typing import Any

from ansible_collections.diskless.statelite.plugins.module_utils.answer.policy import ANY, permits
from ansible_collections.diskless.statelite.plugins.module_utils.tables.columns import live


def _cell(row: dict[str, str], column: str) -> str:
    return (row.get(column) or "").strip()


def _about(row: dict[str, str], command: str) -> bool:
    commands = _cell(row, "commands")
    return live(row) if commands in ANY else command in [word.strip() for word in commands.split(",")]


def _priority(row: dict[str, Any], about: Iterable[dict[str, str]], taken: set[str | None]) -> str:
    """Return a priority of its own for a row: its own one, or after every standing row that denies some nodes."""
    last = max([row["priority"], *(each["priority"] for each in about if live(each) and not permits(each))], key=float)
    digits = last if "." in last else f"{last}."
    tried = itertools.chain([last], (f"{digits}{more}" for more in range(1, 1000)))
    return next(text for text in tried if text not in taken)


def uncovered(rows: Iterable[dict[str, Any]], standing: Iterable[dict[str, str]]) -> list[dict[str, Any]]:
    """Return the rows about whose command no standing row says something for all nodes, each at a priority of its own."""
    others = list(standing)
    taken = {row.get("priority") for row in others}
    found = []
    for row in rows:
        about = [each for each in others if not _cell(each, "name") and _about(each, row["commands"])]
        if not any(_cell(each, "host") in ANY and _cell(each, "noderange") in ANY for each in about):
            priority = _priority(row, about, taken)
            taken.add(priority)
            found.append({**row, "priority": priority})
    return found


class FilterModule:
    """What Ansible asks for the filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"uncovered": uncovered}
