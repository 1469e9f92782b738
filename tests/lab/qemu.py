# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node: a diskless PC in QEMU that starts from its network card, its serial console in a log."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import network
from processes import LabError, Server, tail
from progress import CONTROL

MEMORY = "1536"
PROCESSOR = "Nehalem"
ACCELERATOR = "tcg,tb-size=64"
"""A small cache of translated code, emptied often: in a large one each write to memory that once held a program's code took
milliseconds, and the kernel stood still for minutes (seen with QEMU 7.2)."""
POLL = 1.0
EFI_CODE = Path("/usr/share/OVMF/OVMF_CODE_4M.fd")
EFI_VARIABLES = Path("/usr/share/OVMF/OVMF_VARS_4M.fd")


@dataclass(frozen=True)
class Drive:
    """A disk of a node: its serial number, and the file in which its blocks are."""

    serial: str
    file: Path

    def arguments(self) -> list[str]:
        """Return QEMU's words for it."""
        return [
            "-drive", f"if=none,id={self.serial},format=raw,file={self.file}",
            "-device", f"virtio-blk-pci,drive={self.serial},serial={self.serial}",
        ]  # fmt: skip


class Node:
    """One PC with a tap on the lab's bridge; it can be started again after it ended."""

    def __init__(self, name: str, mac: str, address: str, logs: Path, drives: Sequence[Drive] = ()) -> None:
        self.name = name
        self.mac = mac
        self.address = address
        self.logs = logs
        self.drives = drives
        self.boots = 0
        self.server: Server | None = None
        self.tap = f"tap-{name}"
        network.add_tap(self.tap, logs / "network.log")

    rom = ""
    """What is said of the card's own boot program: by default it has iPXE."""

    def firmware(self) -> list[str]:
        """Return QEMU's words for the machine and its firmware: a PC with a BIOS."""
        return ["-machine", "pc"]

    @property
    def console(self) -> Path:
        """The log of the serial console since the last start."""
        return self.logs / f"{self.name}-boot{self.boots}.log"

    def start(self) -> None:
        """Switch the node on."""
        self.boots += 1
        command = [
            "qemu-system-x86_64", "-accel", ACCELERATOR, *self.firmware(), "-cpu", PROCESSOR, "-smp", "1", "-m", MEMORY, "-name", self.name,
            "-nodefaults", "-display", "none", "-boot", "n", "-serial", f"file:{self.console}",
            "-netdev", f"tap,id=lan,ifname={self.tap},script=no,downscript=no",
            "-device", f"virtio-net-pci,netdev=lan,mac={self.mac}{self.rom}",
            "-device", "virtio-rng-pci", *(word for drive in self.drives for word in drive.arguments()),
        ]  # fmt: skip
        self.server = Server(f"node {self.name}", command, self.logs / f"{self.name}-qemu.log")

    def said(self) -> str:
        """Return what the console showed since the last start, without a terminal's control characters."""
        try:
            text = self.console.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""
        return CONTROL.sub("", text)

    def appears(self, pattern: str, limit: float) -> re.Match[str] | None:
        """Wait at most `limit` seconds until the console shows `pattern`; raise LabError when the node ends before that."""
        deadline = time.monotonic() + limit
        while True:
            found = re.search(pattern, self.said())
            if found or time.monotonic() > deadline:
                return found
            self.require_running()
            time.sleep(POLL)

    def wait_for(self, pattern: str, limit: float) -> re.Match[str]:
        """Wait until the console shows `pattern`; raise LabError when it does not in `limit` seconds."""
        found = self.appears(pattern, limit)
        if found is None:
            raise LabError(f"node {self.name} showed no {pattern!r} in {limit:g} s; its console is {self.console}:\n{tail(self.console)}")
        return found

    @property
    def is_on(self) -> bool:
        """Whether the node has power."""
        return self.server is not None and self.server.running

    def require_running(self) -> None:
        """Raise LabError when the node is off."""
        if self.server is None:
            raise LabError(f"node {self.name} was not started")
        self.server.require_running()

    def wait_off(self, limit: float) -> None:
        """Wait until the node has powered itself off."""
        if self.server is not None and not self.server.wait(limit):
            raise LabError(f"node {self.name} did not power off in {limit:g} s; its console is {self.console}:\n{tail(self.console)}")

    def stop(self) -> None:
        """Pull the plug."""
        if self.server is not None:
            self.server.stop()


class EfiNode(Node):
    """A PC with UEFI, whose own driver of the card asks for what to start: by TFTP, or by HTTP alone."""

    rom = ",romfile="
    over_http = False

    def firmware(self) -> list[str]:
        """Return QEMU's words, with variables that nobody has set yet."""
        variables = self.logs / f"{self.name}-variables.fd"
        shutil.copyfile(EFI_VARIABLES, variables)
        flash = ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={EFI_CODE}"]
        flash += ["-drive", f"if=pflash,unit=1,format=raw,file={variables}"]
        others = ("IPv4PXESupport", "IPv6PXESupport") if self.over_http else ()
        only_http = [word for name in others for word in ("-fw_cfg", f"name=opt/org.tianocore/{name},string=n")]
        return ["-machine", "q35", *flash, *only_http]
