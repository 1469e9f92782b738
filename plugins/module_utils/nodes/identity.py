# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes a node itself besides its name: said by its boot plan, and by its kernel line when there is no plan."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .site import Site


def machine_id(site: Site, node: str) -> str:
    """Return the node's machine-id: the same at every boot, different for every node (machine-id(5), a version 4 UUID in form).

    `site.litemachineseed` tells apart two sites that use the same node names.
    """
    digest = hashlib.sha256(f"statelite machine-id\0{site.setting('litemachineseed')}\0{node}".encode()).hexdigest()
    return f"{digest[:12]}4{digest[13:16]}{'89ab'[int(digest[16], 16) % 4]}{digest[17:32]}"
