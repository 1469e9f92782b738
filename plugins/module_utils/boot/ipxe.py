# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""iPXE and xNBA: a script of the node, fetched by HTTP, and what UEFI machines need beside it (behaviour.md e.5)."""

from __future__ import annotations

import re

from ..nodes.servers import TFTP_ON_WEB
from .method import OFFLINE, Boots, Method, NodeFiles, Target, Web

DIRECTORY = "xcat/xnba/nodes"
SERVER = "${next-server}"
ELILO = "%N"
"""What elilo puts the server's address in place of."""

CARD = "BOOTIF=01-${netX/mac:hexhyp}"


class Xnba(Method):
    """PCs, with BIOS or UEFI, whose card has iPXE or gets it."""

    name = "xnba"
    families = ("x86", "i386", "i686")
    facing = (SERVER, ELILO)
    forbidden = re.compile(r"[$]\{(?!next-server\})")
    reserved = re.compile(r".*\.(?:uefi|elilo)")
    looks = "the files for UEFI of another node have such a name"

    def main(self, node: str) -> str:
        """Return the path of the node's own file."""
        return f"{DIRECTORY}/{node}"

    def own(self, node: str) -> list[str]:
        """Return the paths of the node's own scripts and of elilo's file."""
        main = self.main(node)
        return [main, f"{main}.uefi", f"{main}.elilo"]

    def boots(self, target: Target, boots: Boots, web: Web) -> NodeFiles:
        """Return the script, the one for UEFI, and elilo's file where UEFI can't start the kernel itself."""
        main, place = self.main(target.node), f"http://{SERVER}{web.suffix}{TFTP_ON_WEB}"

        def script(end: str) -> str:
            return (
                f"imgfetch -n kernel {place}/{boots.kernel}\nimgload kernel\nimgargs kernel {boots.line} {CARD}{end}\n"
                f"imgfetch -n initrd {place}/{boots.initrd}\nimgexec kernel\n"
            )

        texts = {main: f"#!gpxe\n#{boots.state}\n{script('')}"}
        if boots.stub:
            texts[f"{main}.uefi"] = f"#!gpxe\n{script(' initrd=initrd')}"
        else:
            texts[f"{main}.uefi"] = f"#!gpxe\nchain {place}/xcat/elilo-x64.efi -C {TFTP_ON_WEB}/{main}.elilo\n"
            texts[f"{main}.elilo"] = (
                f'default="xCAT"\ndelay=0\n\nimage={TFTP_ON_WEB}/{boots.kernel}\n   label="xCAT"\n   initrd={TFTP_ON_WEB}/{boots.initrd}\n'
                f'   append="{boots.lines[ELILO]} BOOTIF=%B"\n'
            )
        return NodeFiles(boots.state, texts)

    def local(self, target: Target, state: str, web: Web) -> NodeFiles:
        """Return scripts that leave the machine to its firmware; a node that is offline has none."""
        main = self.main(target.node)
        if state == OFFLINE:
            return NodeFiles(state)
        return NodeFiles(state, dict.fromkeys((main, f"{main}.uefi"), f"#!gpxe\n#{state}\nexit\n"))

    def comment(self, text: str) -> str | None:
        """Return the state that the node's own script names, on its second line."""
        lines = text.split("\n", 2)
        return lines[1][1:] if len(lines) > 1 and lines[1].startswith("#") else None
