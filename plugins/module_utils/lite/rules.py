# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which entry may lie below which: every refusal is a rule with a name and a reason.

Only the nearest entry above counts: below it the same rules have already held. Any storage may lie below tmpfs,
persistent and localdisk; a persistent directory with volatile children is carried out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ..tables.lite import BIND, CON, LINK, RO


class Attached(Protocol):
    """What a rule looks at."""

    @property
    def storage(self) -> str:
        """One of tmpfs, persistent, ro, con, localdisk."""

    @property
    def attachment(self) -> str:
        """The word link or bind."""


@dataclass(frozen=True)
class Rule:
    """A pair that is refused, why, and what to write instead."""

    name: str
    reason: str
    mend: str


RO_PARENT = Rule(
    "ro-parent",
    "a read-only directory comes from a level as a whole, where nothing can be put below it",
    "List the directory as tmpfs or persistent, or drop the row below it",
)
CON_PARENT = Rule(
    "con-parent",
    "what is concatenated is a file, so nothing can lie below it",
    "List the directory as tmpfs or persistent",
)
LINK_BELOW_BIND = Rule(
    "link-below-bind",
    "the directory is mounted over as a whole, so a link placed in the image below it would be hidden",
    "Write the row with bind, as its directory, or give both the link attachment",
)
BIND_BELOW_LINK = Rule(
    "bind-below-link",
    "the directory is a link into /.statelite, so its mount point would not be in the image but in what nodes write",
    "Write the row with link, as its directory, or give both the bind attachment",
)
CON_DIRECTORY = Rule(
    "con-directory", "it is a directory in the image, and a directory can't be concatenated", "List its files, or use tmpfs"
)
LINK_BELOW_ENTRY = Rule(
    "symlink-below-entry",
    "it is a symbolic link below another entry, which keeps the link as it is, so this row would not reach what the link leads to",
    "List the path that it leads to instead",
)
LINK_TO_ABOVE = Rule(
    "symlink-to-above",
    "it is a symbolic link to the root, to a directory that holds it, or to statelite's own, which a node can't have a second time",
    "List the directories below that nodes may write instead",
)
FILE_PARENT = Rule("file-parent", "it is a file in the image, and other rows lie below it", "Drop the rows below it, or name the directory")
RULES = (RO_PARENT, CON_PARENT, LINK_BELOW_BIND, BIND_BELOW_LINK, CON_DIRECTORY, LINK_BELOW_ENTRY, LINK_TO_ABOVE, FILE_PARENT)


def refusal(parent: Attached, child: Attached) -> Rule | None:
    """Return the rule that forbids `child` below `parent`, None for a lawful pair."""
    if parent.storage == RO:
        return RO_PARENT
    if parent.storage == CON:
        return CON_PARENT
    if parent.attachment == BIND and child.attachment == LINK:
        return LINK_BELOW_BIND
    if parent.attachment == LINK and child.attachment == BIND:
        return BIND_BELOW_LINK
    return None
