# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pxelinux: the text of a node's file and the names it is found by (statelite document 2.12; behaviour.md e.5)."""

from __future__ import annotations

import re

from .method import BOOT, Boots, Method, NodeFiles, Target, Web, dashes, hexadecimal

DIRECTORY = "pxelinux.cfg"
OURS = re.compile(r"#[^\n]*\nDEFAULT xCAT\nLABEL xCAT\n KERNEL [^\n]*\n APPEND [^\n]* statelite\.image=[^\n]*\n(?:  IPAPPEND 2\n)?")
"""A file that boots one of our images; the original's files have the same form and not the word."""


class Pxelinux(Method):
    """PCs with a BIOS."""

    name = "pxe"
    families = ("x86", "i386", "i686")
    absent = BOOT
    by_uuid = True
    reserved = re.compile(r"default|[0-9A-F]{1,8}|01(?:-[0-9a-f]{2}){6}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
    looks = "pxelinux looks by such a name for machines by their address, card or UUID, or for any machine (default)"

    def main(self, node: str) -> str:
        """Return the path of the node's own file."""
        return f"{DIRECTORY}/{node}"

    def boots(self, target: Target, boots: Boots, web: Web) -> NodeFiles:
        """Return the file with its links by machine, card and address."""
        text = (
            f"#{boots.state}\nDEFAULT xCAT\nLABEL xCAT\n KERNEL {boots.kernel}\n APPEND initrd={boots.initrd} {boots.line}\n  IPAPPEND 2\n"
        )
        return self._files(target, boots.state, text)

    def local(self, target: Target, state: str, web: Web) -> NodeFiles:
        """Return the file of a node that boots from its own disk or not at all."""
        return self._files(target, state, local_text(state))

    def _files(self, target: Target, state: str, text: str) -> NodeFiles:
        names = [target.uuid] if target.uuid else []
        names += [f"01-{dashes(target.mac)}"] if target.mac else []
        names += [name for name in map(hexadecimal, target.addresses) if name]
        return NodeFiles(state, {self.main(target.node): text}, links={f"{DIRECTORY}/{name}": target.node for name in names})


def local_text(state: str) -> str:
    """Return the text that lets a machine boot from its disk."""
    return f"#{state}\nDEFAULT xCAT\nLABEL xCAT\nLOCALBOOT 0\n"


def is_link_name(name: str) -> bool:
    """Return whether a name in the directory is one by which pxelinux looks for a machine."""
    return bool(re.fullmatch(r"[0-9A-F]{8}|01(?:-[0-9a-f]{2}){6}", name))


def is_ours(text: str) -> bool:
    """Return whether a boot file is one that nodeset writes."""
    return bool(OURS.fullmatch(text)) or text == local_text("offline")
