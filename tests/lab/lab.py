# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scenario plays with: the box, the nodes, and the facts seen so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from box import Box
from facts import Fact
from nodes import Talk
from progress import Progress
from proof import Proof
from qemu import Node


@dataclass
class Lab:
    """One run of the lab; `run` is its directory of logs."""

    run: Path
    progress: Progress
    box: Box
    talk: Talk
    first: Node
    second: Node
    facts: list[Fact] = field(default_factory=list)
    generations: dict[str, str] = field(default_factory=dict)
    """The generation of its image that each node booted first."""
    precious: str = ""
    """A digest of the disk that nobody may touch."""
    foretold: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """What node_view_info told of each node before its last boot."""
    proofs: dict[tuple[str, int], Proof] = field(default_factory=dict)
    """What each node proved of each boot."""

    @property
    def nodes(self) -> tuple[Node, Node]:
        """Both nodes."""
        return self.first, self.second

    def saw(self, title: str, where: str, seen: str, wanted: str) -> None:
        """Note a fact: `wanted` is a pattern that the whole of `seen` must match."""
        self.facts.append(Fact(title, where, seen, wanted))
