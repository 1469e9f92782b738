# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Diskless machines of other architectures in QEMU, on the lab's bridge: one starts from its network card, one as its boot file says."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from processes import LabError, Server
from qemu import ACCELERATOR, MEMORY, Node

FIRMWARE = Path("/usr/share/AAVMF/AAVMF_CODE.fd")
VARIABLES = Path("/usr/share/AAVMF/AAVMF_VARS.fd")
PETITBOOT = re.compile(r'\tkernel http://[^/]+/tftpboot/(\S+)\n\tinitrd http://[^/]+/tftpboot/(\S+)\n\tappend "([^"\n]*)"\n')


class Machine(Node):
    """A machine of some architecture; subclasses say how QEMU is called for it."""

    program = ""

    def words(self) -> list[str]:
        """Return QEMU's words for the machine itself."""
        raise NotImplementedError

    def start(self) -> None:
        """Switch the node on."""
        self.boots += 1
        command = [
            self.program, "-accel", ACCELERATOR, "-smp", "1", "-m", MEMORY, "-name", self.name, "-nodefaults", "-display", "none",
            "-serial", f"file:{self.console}", *self.words(),
        ]  # fmt: skip
        self.server = Server(f"node {self.name}", command, self.logs / f"{self.name}-qemu.log")

    def card(self, *more: str) -> list[str]:
        """Return QEMU's words for the network card."""
        device = ",".join(["virtio-net-pci", "netdev=lan", f"mac={self.mac}", *more])
        return ["-netdev", f"tap,id=lan,ifname={self.tap},script=no,downscript=no", "-device", device, "-device", "virtio-rng-pci"]


class Arm(Machine):
    """An aarch64 server with UEFI, whose firmware asks the network for what to start."""

    program = "qemu-system-aarch64"

    def words(self) -> list[str]:
        """Return QEMU's words: firmware with variables of its own, and the card as the only thing to start from."""
        variables = self.logs / f"{self.name}-variables.fd"
        shutil.copyfile(VARIABLES, variables)
        flash = [f"if=pflash,unit=0,format=raw,readonly=on,file={FIRMWARE}", f"if=pflash,unit=1,format=raw,file={variables}"]
        return ["-machine", "virt", "-cpu", "cortex-a57", *_each("-drive", flash), *self.card("bootindex=1", "romfile=")]


class Power(Machine):
    """A ppc64le machine. QEMU's firmware is no Petitboot, so QEMU starts what the boot file that nodeset wrote names, and nothing else."""

    program = "qemu-system-ppc64"
    tftpdir = Path()

    def words(self) -> list[str]:
        """Return QEMU's words with the kernel, initramfs and command line of the boot file."""
        kernel, initrd, line = petitboot(self.tftpdir / "petitboot" / self.name)
        files = ["-kernel", str(self.tftpdir / kernel), "-initrd", str(self.tftpdir / initrd), "-append", line]
        return [
            "-machine",
            "pseries,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off",
            "-cpu",
            "power9",
            *self.card(),
            *files,
        ]


def petitboot(path: Path) -> Sequence[str]:
    """Return kernel, initramfs (both below the TFTP directory) and command line of a Petitboot file; raise LabError for another one."""
    found = PETITBOOT.search(path.read_text(encoding="utf-8"))
    if not found:
        raise LabError(f"{path} is not the boot file of a node:\n{path.read_text(encoding='utf-8')}")
    return found.groups()


def _each(option: str, values: Sequence[str]) -> list[str]:
    return [word for value in values for word in (option, value)]
