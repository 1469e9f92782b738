# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest: a machine with a kernel of its own in QEMU, on the lab's bridge, reached by ssh."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Mapping
from pathlib import Path

import network
from disk import MACHINES, Machine
from processes import LabError, Server, output_of, run, tail
from qemu import ACCELERATOR, PROCESSOR

MEMORY = "768"
KERNEL_WORDS = "root=/dev/vda rw console=ttyS0 mitigations=off norandmaps systemd.default_timeout_start_sec=600 systemd.show_status=1"
UP_LIMIT = 420
MARK = "=== asked: "


class Guest:
    """One machine; what it writes to its disks is gone when it ends."""

    def __init__(self, name: str, machine: Machine, directory: Path, logs: Path) -> None:
        self.name = name
        self.mac, self.address = MACHINES[name]
        self.machine = machine
        self.directory = directory
        self.console = logs / f"{name}-console.log"
        self.commands = logs / f"{name}.log"
        self.tap = f"tap-{name}"
        self.known_hosts = directory / "known_hosts"
        network.add_tap(self.tap, logs / "network.log")
        with self.known_hosts.open("a", encoding="utf-8") as stream:
            stream.write(f"{self.address} {machine.host_key}")
        self.server = self._start(logs)

    def _start(self, logs: Path) -> Server:
        drives = [f"file={path},format=raw,if=virtio,snapshot=on" for path in (self.machine.disk, self.machine.state)]
        command = [
            "env", f"TMPDIR={self.directory}", "qemu-system-x86_64", "-accel", ACCELERATOR, "-machine", "pc", "-cpu", PROCESSOR,
            "-smp", "1", "-m", MEMORY, "-name", self.name, "-nodefaults", "-display", "none", "-serial", f"file:{self.console}",
            "-kernel", str(self.machine.kernel), "-initrd", str(self.machine.initramfs),
            "-append", f"{KERNEL_WORDS} systemd.hostname={self.name}",
            "-drive", drives[0], "-drive", drives[1],
            "-netdev", f"tap,id=lan,ifname={self.tap},script=no,downscript=no", "-device", f"virtio-net-pci,netdev=lan,mac={self.mac}",
            "-device", "virtio-rng-pci",
        ]  # fmt: skip
        return Server(f"guest {self.name}", command, logs / f"{self.name}-qemu.log")

    def ssh_options(self) -> list[str]:
        """Return the options with which ssh reaches the guest as root, over one connection kept open in the lab's own /run/systemd."""
        settings = (
            *("BatchMode=yes", "ConnectTimeout=20", "ServerAliveInterval=30", f"UserKnownHostsFile={self.known_hosts}"),
            *("ControlMaster=auto", "ControlPersist=120", "ControlPath=/run/systemd/%C"),
        )
        return ["-i", str(self.machine.key), *(f"-o{setting}" for setting in settings)]

    def run(self, script: str, limit: float = 120) -> str:
        """Run a shell script on the guest as root and return what it wrote to stdout; raise LabError when it fails."""
        ssh = ["ssh", *self.ssh_options(), f"root@{self.address}", "sh", "-s"]
        return output_of(ssh, log=self.commands, limit=limit, stdin=script.encode())

    def ask(self, questions: Mapping[str, str], limit: float = 240) -> dict[str, str]:
        """Put shell questions in one login; return what each wrote, stderr too. A question may fail: what it wrote is the answer."""
        parts = [f"echo {shlex.quote(MARK + name)}\nsh -c {shlex.quote(text)} 2>&1 </dev/null" for name, text in questions.items()]
        answers = {}
        for part in self.run("\n".join([*parts, "true"]), limit).split(MARK)[1:]:
            name, _newline, text = part.partition("\n")
            answers[name] = text.strip()
        return answers

    def wait_until_up(self) -> None:
        """Wait until the guest lets root in and systemd has nothing more to start."""
        deadline = time.monotonic() + UP_LIMIT
        while True:
            self.server.require_running()
            try:
                self.run("systemctl is-system-running --wait || true", limit=UP_LIMIT)
                return
            except LabError:
                if time.monotonic() > deadline:
                    console = f"its console is {self.console}:\n{tail(self.console)}"
                    raise LabError(f"no ssh login on guest {self.name} in {UP_LIMIT} s; {console}") from None
            time.sleep(2)

    def unplug(self) -> None:
        """Take the guest off the network: what is sent to it is lost, as with a server that died."""
        run(["ip", "link", "set", self.tap, "nomaster", "down"], log=self.commands, limit=30)

    def plug_in(self) -> None:
        """Put the guest on the network again."""
        run(["ip", "link", "set", self.tap, "master", network.BRIDGE, "up"], log=self.commands, limit=30)

    def sent(self) -> int:
        """Return how many bytes the guest has sent."""
        return int(output_of(["cat", f"/proc/{os.getpid()}/net/dev"], log=Path(os.devnull), limit=10).split(f"{self.tap}:")[1].split()[0])

    def stop(self) -> None:
        """Pull the plug."""
        self.server.stop()
