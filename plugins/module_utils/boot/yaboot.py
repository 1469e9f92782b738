# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""yaboot, the boot loader of older POWER machines (behaviour.md e.5)."""

from __future__ import annotations

import re

from .method import BOOT, Boots, Method, NodeFiles, Target, Web, dashes, hexadecimal

DIRECTORY = "etc"
SHIPPED = "ppc/chrp/yaboot"
"""Where a medium of Enterprise Linux has the loader."""


class Yaboot(Method):
    """Its files lie in `etc` and at the top of the TFTP directory."""

    name = "yaboot"
    families = ("ppc",)
    absent = BOOT
    reserved = re.compile(r"[0-9a-f]{8}|yaboot\.conf.*")
    looks = "yaboot looks by such a name for machines by their address"

    def main(self, node: str) -> str:
        """Return the path of the node's own file."""
        return f"{DIRECTORY}/{node}"

    def boots(self, target: Target, boots: Boots, web: Web) -> NodeFiles:
        """Return the file and its names by address and card."""
        text = f'#{boots.state}\ntimeout=5\nimage={boots.kernel}\n\tlabel=xcat\n\tinitrd={boots.initrd}\n\tappend="{boots.line}"\n'
        return self._files(target, boots.state, text)

    def local(self, target: Target, state: str, web: Web) -> NodeFiles:
        """Return the file of a node that goes on to its own disk."""
        return self._files(target, state, f"#{state}\ntimeout=5\nbye\n")

    def _files(self, target: Target, state: str, text: str) -> NodeFiles:
        main = self.main(target.node)
        names = [f"{DIRECTORY}/{name.lower()}" for name in map(hexadecimal, target.addresses) if name]
        names += [f"yaboot.conf-{dashes(target.mac)}"] if target.mac else []
        return NodeFiles(state, {main: text}, dict.fromkeys(names, main))
