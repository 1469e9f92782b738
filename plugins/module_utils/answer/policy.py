# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the policy table allows what a node asks (statelite document 2.5, behaviour.md g.2). Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ..errors import SiteError
from ..nodes.expressions import compiled, search

PERMITS = ("allow", "accept", "trusted")
ANY = ("", "*")


@dataclass(frozen=True)
class Asked:
    """Who asks what: `user` is empty for a node (it has no certificate), `hosts` its name and address."""

    command: str
    user: str = ""
    hosts: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()


def _cell(row: Mapping[str, str], column: str) -> str:
    return (row.get(column) or "").strip()


def _priority(row: Mapping[str, str]) -> tuple[float, str]:
    text = _cell(row, "priority")
    try:
        return float(text), text
    except ValueError:
        return float("inf"), text


def permits(row: Mapping[str, str]) -> bool:
    """Return whether a row that matches allows; any other text than those of PERMITS denies."""
    rule = _cell(row, "rule").lower()
    return any(word in rule for word in PERMITS)


def _matches(row: Mapping[str, str], asked: Asked) -> bool:
    """Return whether the row is about this request, its noderange left aside."""
    name, host, commands, parameters = (_cell(row, column) for column in ("name", "host", "commands", "parameters"))
    if (name == "*" and not asked.user) or (name not in ANY and name != asked.user):
        return False
    if host not in ANY and host not in asked.hosts:
        return False
    if commands not in ANY and asked.command not in [command.strip() for command in commands.split(",")]:
        return False
    if parameters not in ANY:
        where = f"table policy, priority {_cell(row, 'priority')}, column parameters"
        try:
            return search(compiled(parameters, where), " ".join(asked.arguments), where) is not None
        except SiteError:
            # A pattern that is none, or takes too long, narrows an allowing row to nothing and leaves a denying row in force.
            return not permits(row)
    return True


def decide(rows: Sequence[Mapping[str, str]], asked: Asked, nodes_of: Mapping[str, Collection[str]] | None = None) -> bool | None:
    """Return whether the live rows allow the request: by the first match in order of priority; None when none matches.

    `nodes_of` gives the nodes of each noderange that stands in a row. A row that allows only some of the nodes asked
    for settles those, and the rest is looked for further down; a row that denies any of them denies all.
    """
    left = set(asked.nodes)
    for row in sorted(rows, key=_priority):
        if not _matches(row, asked):
            continue
        written = _cell(row, "noderange")
        if written not in ANY and asked.nodes:
            meant = (nodes_of or {}).get(written, ())
            if not any(node in meant for node in left):
                continue
            if permits(row):
                left = {node for node in left if node not in meant}
                if left:
                    continue
        return permits(row)
    return None
