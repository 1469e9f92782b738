# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The architectures of the run, a mirror of Debian packages for each, and the emulators that this machine's kernel is told of."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import mirror
import places
from box import Box
from converge import RECAP, ask, play
from places import REPOSITORY
from preflight import package_names

INVENTORY = Path(__file__).resolve().parent / "inventory"
LISTS = REPOSITORY / "roles/image/files/pkglist"
BINFMT = Path("/proc/sys/fs/binfmt_misc")
PLACE = "srv/emulators"
"""Where the box finds the emulators, which a URL may name in its place."""


@dataclass(frozen=True)
class Architecture:
    """What Debian calls it, and the port of its mirror, as the inventory has it."""

    debian: str
    port: int

    def make_mirror(self, osarch: str, log: Path) -> Path:
        """Return the directory of its mirror; make it first when the lists have changed."""
        paths = (LISTS / "compute.debian12.common", LISTS / f"compute.debian12.{osarch}.pkglist")
        names = {name for path in paths for name in package_names(path)}
        return mirror.make_foreign_mirror(self.debian, sorted({"apt"} | names), log)


ARCHITECTURES: Mapping[str, Architecture] = {
    "aarch64": Architecture("arm64", 8081),
    "ppc64le": Architecture("ppc64el", 8082),
}


class Emulators:
    """Programs of other architectures on the management node: emulators that the site brings, and handlers of the one kernel there is."""

    def __init__(self, box: Box, run: Path) -> None:
        self.box = box
        self.run = run
        self.checksums: dict[str, str] = {}

    def bring(self) -> None:
        """Put this machine's emulators into the box, as a site does that has no package of them."""
        directory = self.run / places.BOX / "emulators"
        (directory / PLACE).mkdir(parents=True)
        for osarch in ARCHITECTURES:
            program = shutil.copy(f"/usr/bin/{name(osarch)}", directory / PLACE)
            self.checksums[osarch] = f"sha256:{sha256(Path(program).read_bytes()).hexdigest()}"
        self.box.put(directory)

    def build(self, log: Path, limit: float) -> str:
        """Run the playbook that builds images of other architectures; return what its recap says."""
        given = {"binfmt_qemu_source": f"file:///{PLACE}", "binfmt_qemu_checksums": self.checksums}
        text = play(self.box, log, "diskless.statelite.cross_build", ["--extra-vars", json.dumps(given)], INVENTORY, limit)
        return ", ".join(f"{tasks} tasks, {failed} failed" for _host, tasks, _changed, _gone, failed in RECAP.findall(text))

    def remove(self) -> None:
        """Take the handlers away again. They are this machine's kernel's; with the box their last mount goes, and they with it."""
        ask(self.box, "binfmt_handler", {"architectures": list(ARCHITECTURES), "state": "absent"}, INVENTORY)


def name(osarch: str) -> str:
    """Return the name of an emulator's program."""
    return f"qemu-{osarch}-static"


def handlers() -> list[str]:
    """Return the architectures of the run that this machine's kernel knows how to run already."""
    return [osarch for osarch in ARCHITECTURES if (BINFMT / f"qemu-{osarch}").exists()]
