# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks for nodes of node.py: files of the test as loop devices, real to every tool that the agent calls."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ansible_collections.diskless.statelite.plugins.module_utils.nodes.identity import machine_id
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site

from .node import Node
from .predicted import ON_DISK

SIZE = 24 * 1024 * 1024


def run(*command: str) -> str:
    """Run a tool and return what it said; a failure says it too."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout.strip()


def new_label() -> str:
    """Return a label that no other test running on this machine uses: the agent looks at every disk there is."""
    return f"st{uuid.uuid4().hex[:8]}"


class Disk:
    """One disk; `device` is its name on this machine, and on the node."""

    def __init__(self, image: Path, device: str) -> None:
        self.image, self.device = image, device

    def make(self, label: str, content: Path | None = None, kind: str = "ext4") -> None:
        """Make a file system on it, with what a directory holds."""
        run(f"mkfs.{kind}", "-q", *(("-d", str(content)) if content else ()), "-L", label, self.device)

    def label(self) -> str:
        """Return the label of the file system on it, empty when there is none."""
        return subprocess.run(
            ["blkid", "-p", "-s", "LABEL", "-o", "value", self.device], capture_output=True, text=True, check=False
        ).stdout.strip()

    def write(self, text: bytes, at: int = 0) -> None:
        """Write bytes at a place of it."""
        with open(self.device, "r+b") as stream:
            stream.seek(at)
            stream.write(text)

    def digest(self) -> str:
        """Return a digest of every byte."""
        with open(self.device, "rb") as stream:
            return hashlib.sha256(stream.read()).hexdigest()

    def inside(self, script: str, *options: str) -> str:
        """Run a shell script in the mounted disk, in a mount name space of its own; return what it wrote."""
        mount = f'mount {" ".join(options)} "$1" /mnt && cd /mnt && {script}'
        return run("unshare", "--mount", "sh", "-ec", mount, "sh", self.device)

    def shown(self, node: Node) -> None:
        """Copy what the disk holds of n1 to where the prediction looks for it."""
        place = node.work / ON_DISK
        run("rm", "-rf", str(place))
        place.mkdir()
        self.inside(f"[ ! -d {self.own(node)} ] || cp -a {self.own(node)} {place}/n1", "-o", "ro")
        (place / "n1").mkdir(exist_ok=True)

    def own(self, node: Node, name: str = "n1") -> str:
        """Return the directory of a node on it."""
        return f"statelite/{name}.{machine_id(Site(node.tables), name)}"


class Disks:
    """The disks of one test; `label` is the site's."""

    def __init__(self, work: Path) -> None:
        self.work, self.label, self.count = work, new_label(), 0
        self.attached: list[Disk] = []

    def add(self, size: int = SIZE, *options: str) -> Disk:
        """Attach an empty disk; it is detached when the test ends."""
        self.count += 1
        image = self.work / f"disk{self.count}.img"
        with open(image, "wb") as stream:
            stream.truncate(size)
        return self.attach(image, *options)

    def attach(self, image: Path, *options: str) -> Disk:
        """Attach a file that is there already."""
        disk = Disk(image, run("losetup", "--find", "--show", *options, str(image)))
        self.attached.append(disk)
        return disk

    def detach(self, disk: Disk) -> None:
        """Take a disk away."""
        self.attached.remove(disk)
        run("losetup", "--detach", disk.device)

    def take_medium(self, disk: Disk) -> None:
        """Leave the device there with nothing in it, as a drive that has not spun up; it stays this test's own."""
        run("blockdev", "--flushbufs", disk.device)
        shutil.copyfile(disk.image, self._aside(disk))
        self._fill(disk, b"")

    def give_medium(self, disk: Disk) -> None:
        """Give the device its content again."""
        self._fill(disk, self._aside(disk).read_bytes())

    def _aside(self, disk: Disk) -> Path:
        return disk.image.with_suffix(".aside")

    def _fill(self, disk: Disk, content: bytes) -> None:
        with open(disk.image, "r+b") as stream:
            stream.truncate(0)
            stream.write(content)
        run("losetup", "--set-capacity", disk.device)

    def declare(self, node: Node, formattable: str = "", **settings: str) -> None:
        """Have the site name the label, the devices that may be formatted, and no long waits."""
        rows = {"litedisklabel": self.label, "litediskformat": formattable, "litediskwait": "0", **settings}
        node.tables["site"] = [row for row in node.tables["site"] if row["key"] not in rows]
        node.tables["site"] += [{"key": key, "value": value} for key, value in rows.items() if value]


@contextmanager
def disks_in(work: Path) -> Iterator[Disks]:
    """Give disks below a directory, and take them away."""
    disks = Disks(work)
    try:
        yield disks
    finally:
        for disk in list(disks.attached):
            disks.detach(disk)
