# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The management node in a box: a Debian tree booted by systemd-nspawn on the lab's bridge, reached by ssh only.

Its system is a fresh writable layer over a cached tree at every run. /install, /tftpboot and /srv are plain ext4, as the
NFS server wants real file handles; /srv/state is a file system of its own, as nodes' state should be on a real site.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import network
import sandbox
from places import cached, remove_tree
from preflight import RELEASE
from processes import LabError, Server, output_of, run, tail

NAME = "mn1"
FORM = "4"
"""Raised when the tree's own settings below change, so that a cached one is not taken."""
PACKAGES = ("apt", "ca-certificates", "dbus", "iproute2", "openssh-server", "procps", "python3", "python3-apt", "systemd", "systemd-sysv")
SOURCES = f"deb [trusted=yes] http://{network.HOST}:8080/debian {RELEASE} main"
STATE_SIZE = 1 << 30
BUILD_LIMIT = 600
START_LIMIT = 300
STOP_LIMIT = 60
SHARED = ("install", "tftpboot", "srv")
"""Directories of the box that are this machine's own file system."""
POWER_OFF = signal.SIGRTMIN + 4
"""What systemd's own manual has for "power off" sent to PID 1."""


def network_file(address: str) -> str:
    """Return what systemd-networkd reads in a machine of this address."""
    return f"[Match]\nName=host0\n\n[Network]\nAddress={address}/{network.PREFIX}\nLinkLocalAddressing=no\n"


NETWORK_FILE = network_file(network.MANAGEMENT)
HOSTS_FILE = f"127.0.0.1 localhost\n{network.MANAGEMENT} {NAME}\n"


def make_tree(mirror: Path, log: Path) -> Path:
    """Return the cached tree of a freshly installed machine; make it first when the mirror or its settings have changed."""
    with cached("box", [FORM, mirror.name, SOURCES, NETWORK_FILE, HOSTS_FILE, *PACKAGES]) as (tree, making):
        if making is not None:
            include = f"--include={','.join(PACKAGES)}"
            kept = "--skip=cleanup/apt/lists"  # a machine in use has looked at its mirror once
            run(["mmdebstrap", "--variant=minbase", include, kept, RELEASE, str(making), SOURCES], log=log, limit=BUILD_LIMIT)
            furnish(making)
    return tree


def furnish(tree: Path) -> None:
    """Give the tree what an installer would: an address, a name, no builder's resolver, a machine-id to come."""
    etc = tree / "etc"
    (etc / "systemd/network/10-host0.network").write_text(NETWORK_FILE, encoding="utf-8")
    wants = etc / "systemd/system/multi-user.target.wants"
    (wants / "systemd-networkd.service").symlink_to("/lib/systemd/system/systemd-networkd.service")
    (etc / "hosts").write_text(HOSTS_FILE, encoding="utf-8")
    (etc / "hostname").write_text(f"{NAME}\n", encoding="utf-8")
    (etc / "machine-id").write_text("", encoding="utf-8")
    (etc / "resolv.conf").unlink(missing_ok=True)
    (etc / "resolv.conf").touch()
    for name in SHARED:
        (tree / name).mkdir(exist_ok=True)
    rpc_pipefs = etc / "systemd/system/run-rpc_pipefs.mount"
    rpc_pipefs.symlink_to("/dev/null")  # what it mounts is part of the kernel's own NFS, which the lab's kernel lacks


class Box:
    """The running management node of one run, or another machine of the same tree under a name and address of its own.

    `directory` holds everything it writes, `logs` what is kept afterwards.
    """

    def __init__(self, tree: Path, directory: Path, logs: Path, name: str = NAME, address: str = network.MANAGEMENT) -> None:
        self.name, self.address, self.logs = name, address, logs
        self.directory = directory
        prefix = "box" if name == NAME else f"box-{name}"
        self.log = logs / f"{prefix}-console.log"
        self.commands = logs / f"{prefix}.log"
        self.journal = logs / f"{prefix}-journal.log"
        self.key = directory / "ssh_key"
        self.known_hosts = directory / "known_hosts"
        self.root = directory / "root"
        self.upper = directory / "upper"
        for path in (self.root, self.upper, directory / "work", directory / "srv/state", *(directory / name for name in SHARED)):
            path.mkdir(parents=True, exist_ok=True)
        self._mount(tree)
        if name != NAME:
            self._rename()
        self._let_in()
        self.server = self._boot()

    def _mount(self, tree: Path) -> None:
        layers = f"lowerdir={tree},upperdir={self.upper},workdir={self.directory / 'work'}"
        run(["mount", "-t", "overlay", "-o", layers, "box", str(self.root)], log=self.commands, limit=30)
        disk = self.directory / "state.ext4"
        with disk.open("wb") as stream:
            os.truncate(stream.fileno(), STATE_SIZE)
        run(["mkfs.ext4", "-q", str(disk)], log=self.commands, limit=60)
        run(["mount", "-o", "loop", str(disk), str(self.directory / "srv/state")], log=self.commands, limit=30)

    def _rename(self) -> None:
        """Make the machine another one: its name, its address, host keys of its own."""
        etc = self.root / "etc"
        (etc / "hostname").write_text(f"{self.name}\n", encoding="utf-8")
        (etc / "hosts").write_text(f"127.0.0.1 localhost\n{self.address} {self.name}\n", encoding="utf-8")
        (etc / "systemd/network/10-host0.network").write_text(network_file(self.address), encoding="utf-8")
        for key in (etc / "ssh").glob("ssh_host_*"):
            key.unlink()
        run(["ssh-keygen", "-A", "-f", str(self.root)], log=self.commands, limit=60)

    def _let_in(self) -> None:
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", str(self.key)], log=self.commands, limit=30)
        ssh = self.root / "root/.ssh"
        ssh.mkdir(mode=0o700, exist_ok=True)
        shutil.copyfile(f"{self.key}.pub", ssh / "authorized_keys")
        host_key = (self.root / "etc/ssh/ssh_host_ed25519_key.pub").read_text(encoding="utf-8")
        self.known_hosts.write_text(f"{self.address} {host_key}", encoding="utf-8")

    def _boot(self) -> Server:
        binds = [f"--bind={self.directory / name}:/{name}" for name in SHARED]
        command = [
            "systemd-nspawn", f"--directory={self.root}", "--boot", "--quiet", "--register=no", "--keep-unit", f"--machine={self.name}",
            f"--hostname={self.name}", f"--network-bridge={network.BRIDGE}", "--resolv-conf=off", "--timezone=off", "--link-journal=no",
            "--system-call-filter=open_by_handle_at", "--console=pipe", *binds,
        ]  # fmt: skip
        named = "the management node" if self.name == NAME else self.name
        return Server(named, sandbox.in_groups_of(self.name, command), self.log)

    def ssh_options(self) -> list[str]:
        """Return the options with which ssh reaches the box as root, over one connection kept open in the lab's own /run/systemd."""
        settings = (
            *("BatchMode=yes", "ConnectTimeout=5", "ServerAliveInterval=15", f"UserKnownHostsFile={self.known_hosts}"),
            *("ControlMaster=auto", "ControlPersist=60", "ControlPath=/run/systemd/%C"),
        )
        return ["-i", str(self.key), *(f"-o{setting}" for setting in settings)]

    def command(self, text: str, limit: float = 60, script: str = "") -> str:
        """Run a shell command on the box as root, `script` on its stdin, and return its output; raise LabError when it fails."""
        ssh = ["ssh", *self.ssh_options(), f"root@{self.address}", text]
        return output_of(ssh, log=self.commands, limit=limit, stdin=script.encode())

    def put(self, directory: Path) -> None:
        """Copy what is in `directory` into the box, as if it were its root; owners are root's."""
        pack = self.directory / "content.tar"
        create = ["tar", "--create", f"--file={pack}", "--owner=root:0", "--group=root:0", f"--directory={directory}", "."]
        run(create, log=self.commands, limit=60)
        extract = ["ssh", *self.ssh_options(), f"root@{self.address}", "tar --extract --directory=/ --no-overwrite-dir"]
        output_of(extract, log=self.commands, limit=60, stdin=pack.read_bytes())

    def wait_until_up(self) -> None:
        """Wait until the box lets root in by ssh."""
        deadline = time.monotonic() + START_LIMIT
        while True:
            self.server.require_running()
            try:
                self.command("true", limit=15)
                return
            except LabError:
                if time.monotonic() > deadline:
                    console = f"its console is {self.log}:\n{tail(self.log)}"
                    raise LabError(f"no ssh login on {self.name} in {START_LIMIT} s; {console}") from None
            time.sleep(0.5)

    def stop(self) -> None:
        """Power the box off, keep its journal with the run's logs, and remove the rest of it."""
        leader = self._leader()
        if leader:
            os.kill(leader, POWER_OFF)
            self.server.wait(STOP_LIMIT)
        self.server.stop(signal.SIGKILL)
        journal = self.upper / "var/log/journal"
        if journal.exists():
            read = ["journalctl", f"--directory={journal}", "--no-pager", "--output=short-iso"]
            run(read, log=self.journal, limit=60)
        run(["umount", "--lazy", str(self.root), str(self.directory / "srv/state")], log=self.commands, limit=60)
        remove_tree(self.directory)

    def _leader(self) -> int | None:
        """Return the process id of the box's PID 1: the child of systemd-nspawn."""
        children = Path(f"/proc/{self.server.process.pid}/task/{self.server.process.pid}/children")
        found = children.read_text(encoding="utf-8").split() if children.exists() else []
        return int(found[0]) if found and self.server.running else None
