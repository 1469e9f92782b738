# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is at one path of a node: something, nothing, or nobody knows; and which directory would take what is made there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .namespace import Spot, above_of
from .nodeview import NodeView
from .simulate import absent, describe, unseen


@dataclass(frozen=True)
class Sighting:
    """The `row` of a path, and the spot that it leads to; `holder` is that spot, else the nearest directory above.

    `blind` is why it is not known what is there.
    """

    row: dict[str, Any]
    spot: Spot | None
    holder: Spot
    blind: str = ""


def sighting(view: NodeView, path: str) -> Sighting:
    """Return what a process on the node would find at `path`. A link that leads nowhere is shown as the link it is."""
    spot = view.look(path)
    if spot is not None:
        return Sighting(describe(path, spot, True), spot, spot)
    blind = view.space.blind
    standing = view.space.lookup(path, follow=False)
    above = path
    holder = None
    while holder is None:
        above = above_of(above)
        holder = view.look(above)
    if standing is not None and not (blind and standing.inode.kind != "l"):
        return Sighting(describe(path, standing, True), None, holder, blind)
    return Sighting(unseen(path, blind) if blind else absent(path), None, holder, blind)
