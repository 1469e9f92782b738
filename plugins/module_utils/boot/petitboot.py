# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Petitboot, the boot loader of OpenPOWER machines: a file that it fetches by its address (behaviour.md e.5)."""

from __future__ import annotations

from ..nodes.servers import TFTP_ON_WEB, bracketed
from .method import OFFLINE, Boots, Method, NodeFiles, Target, Web, hexadecimal

DIRECTORY = "petitboot"


class Petitboot(Method):
    """It is a Linux itself and starts any kernel that its own can."""

    name = "petitboot"
    named_server = True
    families = ("ppc64", "x86_64", "aarch64", "arm64")
    usual = ("ppc64",)

    def main(self, node: str) -> str:
        """Return the path of the node's own file."""
        return f"{DIRECTORY}/{node}"

    def boots(self, target: Target, boots: Boots, web: Web) -> NodeFiles:
        """Return the file and its name by the node's address."""
        place = f"http://{bracketed(target.server)}:{web.port}{TFTP_ON_WEB}"
        text = (
            f"#{boots.state}\ndefault {boots.label}\nlabel {boots.label}\n\tkernel {place}/{boots.kernel}\n"
            f'\tinitrd {place}/{boots.initrd}\n\tappend "{boots.line}"\n'
        )
        return self._files(target, boots.state, text)

    def local(self, target: Target, state: str, web: Web) -> NodeFiles:
        """Return a file that names nothing to boot; none when the node is offline."""
        return NodeFiles(state) if state == OFFLINE else self._files(target, state, f"#{state}\n")

    def _files(self, target: Target, state: str, text: str) -> NodeFiles:
        main = self.main(target.node)
        name = hexadecimal(target.addresses[0]) if target.addresses else None
        return NodeFiles(state, {main: text}, {name: main} if name else {})
