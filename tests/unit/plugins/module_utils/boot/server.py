# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A management node for tests of nodeset: tables, one image, a TFTP directory."""

from __future__ import annotations

import os
from pathlib import Path

from ansible_collections.diskless.statelite.plugins.module_utils.boot.nodeset import NodesetPlan, plan
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site


class Server:
    """A management node with one image of our own kind, below a temporary directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tftp = root / "tftpboot"
        self.directory = self.tftp / "pxelinux.cfg"
        self.imagedir = root / "install/netboot/debian12/x86_64/compute"
        self.tables: dict[str, list[dict[str, str]]] = {
            "site": [
                {"key": "installdir", "value": str(root / "install")},
                {"key": "tftpdir", "value": str(self.tftp)},
                {"key": "master", "value": "10.77.0.1"},
            ],
            "osimage": [{"imagename": "img1", "osvers": "debian12", "osarch": "x86_64", "profile": "compute", "provmethod": "statelite"}],
            "linuximage": [{"imagename": "img1", "rootimgdir": str(self.imagedir)}],
            "nodelist": [{"node": f"n{number}", "groups": "compute"} for number in (1, 2, 3)],
            "noderes": [{"node": "compute", "netboot": "pxe"}],
            "nodetype": [{"node": "compute", "provmethod": "img1"}],
            "mac": [{"node": f"n{number}", "mac": f"52:54:00:77:00:1{number}"} for number in (1, 2, 3)],
            "hosts": [{"node": f"n{number}", "ip": f"10.77.0.1{number}"} for number in (1, 2, 3)],
        }
        self.generation(1)

    def generation(self, number: int) -> None:
        made = self.imagedir / f"generations/{number}"
        (made / "rootimg/.statelite").mkdir(parents=True)
        (made / "rootimg/.statelite.json").write_text("{}")
        (made / "kernel").write_text(f"kernel {number}")
        (made / "initrd-statelite.gz").write_text(f"initramfs {number}")
        current = self.imagedir / "current"
        current.unlink(missing_ok=True)
        current.symlink_to(f"generations/{number}")

    def boots_by(self, netboot: str, arch: str = "") -> None:
        """Give every node a boot method, and the loader that it needs."""
        self.tables["noderes"][0]["netboot"] = netboot
        self.tables["osimage"][0]["osarch"] = arch or {"petitboot": "ppc64le", "yaboot": "ppc64"}.get(netboot, "x86_64")
        for name in ("x86_64", "aarch64", "ppc"):
            loader = self.tftp / f"boot/grub2/grub2.{name}"
            loader.parent.mkdir(parents=True, exist_ok=True)
            loader.write_text(f"GRUB2 {name}")

    def plan(self, noderange: str = "compute", state: str = "statelite") -> NodesetPlan:
        return plan(Site(self.tables), str(self.root / "site.db"), noderange, state, lambda _text: None)

    def nodeset(self, noderange: str = "compute", state: str = "statelite") -> NodesetPlan:
        decided = self.plan(noderange, state)
        decided.apply()
        return decided

    def boot_file(self, node: str) -> str:
        return (self.directory / node).read_text()

    def names(self) -> set[str]:
        return set(os.listdir(self.directory))

    def leads(self) -> dict[str, str]:
        """Where each link of the directory leads."""
        return {path.name: os.readlink(path) for path in self.directory.iterdir() if path.is_symlink()}
