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
  - Gives the rows whose command no standing row names, whatever that row says and also when it is disabled.
  - Live rows without commands, or with V(*), are about every command.
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

from ansible_collections.diskless.statelite.plugins.module_utils.tables.columns import live


def uncovered(rows: Iterable[dict[str, Any]], standing: Iterable[dict[str, str]]) -> list[dict[str, Any]]:
    """Return the rows whose command is in none of the standing ones, each at a priority of its own."""
    others = list(standing)
    named = {word.strip() for row in others for word in (row.get("commands") or "").split(",")}
    every = any(live(row) and (row.get("commands") or "*").strip() == "*" for row in others)
    taken = {row.get("priority") for row in others}
    found = []
    for row in [] if every else rows:
        if row["commands"] not in named:
            tried = itertools.chain([row["priority"]], (f"{row['priority']}{more}" for more in range(1, 1000)))
            priority = next(text for text in tried if text not in taken)
            taken.add(priority)
            found.append({**row, "priority": priority})
    return found


class FilterModule:
    """What Ansible asks for the filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"uncovered": uncovered}
