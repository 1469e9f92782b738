# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GRUB 2: UEFI machines of any architecture, and POWER (behaviour.md e.5)."""

from __future__ import annotations

import re

from ..nodes.servers import bracketed
from .method import OFFLINE, Boots, Method, NodeFiles, Target, Web, dashes, hexadecimal

DIRECTORY = "boot/grub2"
ENTRY = "xCAT OS Deployment"


class Grub(Method):
    """`protocol` is how kernel and initramfs are fetched."""

    named_server = True
    families = ("x86_64", "aarch64", "arm64", "ppc64")
    escaped = "\\$;&|<>'`"
    reserved = re.compile(r"grub2?[.-].*|grub2|fonts|locale|[a-z0-9_]+-(?:efi|pc|ieee1275)")
    looks = "GRUB looks by such a name for any machine, its loaders or its modules"

    def __init__(self, name: str, protocol: str) -> None:
        self.name = name
        self.protocol = protocol

    def loader(self, arch: str) -> str | None:
        """Return the path of the loader for the architecture."""
        return f"{DIRECTORY}/{loader_name(arch)}"

    def main(self, node: str) -> str:
        """Return the path of the node's own file."""
        return f"{DIRECTORY}/{node}"

    def boots(self, target: Target, boots: Boots, web: Web) -> NodeFiles:
        """Return the file, its names by card and address, and the link by which the loader has the node's name."""
        efi = "efi" if target.arch.startswith("x86") else ""
        over_http = self.protocol == "http"
        server = bracketed(target.server)
        above = web.tftpdir if over_http else ""
        text = (
            f'#{boots.state}\n{_debug(web)}set timeout=5\nset default="{ENTRY}"\nmenuentry "{ENTRY}" {{\n    insmod http\n    insmod tftp\n'
            f"    set root={self.protocol},{server}{web.suffix if over_http else ''}\n    echo Loading Install kernel ...\n"
            f"    linux{efi} {above}/{boots.kernel} {boots.line} BOOTIF=$net_default_mac\n    echo Loading initial ramdisk ...\n"
            f"    initrd{efi} {above}/{boots.initrd}\n}}"
        )
        return self._files(target, boots.state, text, {f"{DIRECTORY}/grub2-{target.node}": loader_name(target.arch)})

    def local(self, target: Target, state: str, web: Web) -> NodeFiles:
        """Return a file without an entry, by which our grub.cfg leaves the machine to its firmware; none when it is offline."""
        return NodeFiles(state) if state == OFFLINE else self._files(target, state, f"#{state}\n{_debug(web)}set timeout=5\n", {})

    def _files(self, target: Target, state: str, text: str, links: dict[str, str]) -> NodeFiles:
        main = self.main(target.node)
        names = [f"01-{dashes(target.mac)}"] if target.mac else []
        names += [name for name in map(hexadecimal, target.addresses) if name]
        return NodeFiles(state, {main: text}, {f"{DIRECTORY}/grub.cfg-{name}": main for name in names}, links)


def _debug(web: Web) -> str:
    return "set debug=all\n" if web.debug else ""


def loader_name(arch: str) -> str:
    """Return the name of the loader for an architecture; the flavours of POWER have one."""
    return f"grub2.{'ppc' if arch.startswith('ppc64') else 'aarch64' if arch == 'arm64' else arch}"
