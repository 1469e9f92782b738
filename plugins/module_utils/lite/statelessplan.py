# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The boot plan of a stateless node: all of its root is in its memory and its own, so it needs no more than to know who it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..nodes.identity import machine_id
from .nodeplan import SETTINGS, NodePlan

if TYPE_CHECKING:
    from ..nodes.images import Image
    from ..nodes.site import Site


def stateless_plan(site: Site, node: str, image: Image, generation: str) -> NodePlan:
    """Return the plan of `node` when its root is a packed image that is not laid out: no entries, no levels, no state."""
    return NodePlan(
        node=node,
        image=image.name,
        generation=generation,
        machine_id=machine_id(site, node),
        tmpfs=(SETTINGS["litetmpfssize"], SETTINGS["litetmpfsinodes"], image.permission),
        state=None,
        state_options="",
        state_required=False,
        levels=(),
        steps=(),
        stands={},
        bridges=(),
        notes=(),
    )
