# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The architectures of the run, a mirror of Debian packages for each, and the emulators that this machine's kernel is told of."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mirror
from places import BUILD, REPOSITORY
from preflight import package_names
from processes import LabError, output_of

LISTS = REPOSITORY / "roles/image/files/pkglist"
LIMIT = 300


@dataclass(frozen=True)
class Architecture:
    """What Debian calls it, and the port of its mirror, as the inventory has it; `more` are packages beyond the image's."""

    debian: str
    port: int
    more: Sequence[str] = ()

    def make_mirror(self, osarch: str, log: Path) -> Path:
        """Return the directory of its mirror; make it first when the lists have changed."""
        paths = (LISTS / "compute.debian12.common", LISTS / f"compute.debian12.{osarch}.pkglist")
        names = {name for path in paths for name in package_names(path)}
        return mirror.make_foreign_mirror(self.debian, sorted({"apt", *self.more} | names), log)


ARCHITECTURES: Mapping[str, Architecture] = {
    "aarch64": Architecture("arm64", 8081),
    "ppc64le": Architecture("ppc64el", 8082),
}


@dataclass
class Emulators:
    """Handlers on this machine for the architectures whose programs don't run yet; others' handlers stay as they are."""

    run: Path
    architectures: list[str] = field(default_factory=list)

    def ask(self, module: str, **options: Any) -> dict[str, Any]:
        """Run a module of the collection on this machine; raise LabError when it fails."""
        program = str(Path(sys.executable).with_name("ansible"))
        words = ["--module-name", f"diskless.statelite.{module}", "--args", json.dumps(options), "localhost"]
        here = {"ANSIBLE_COLLECTIONS_PATH": str(BUILD / "workspace"), "ANSIBLE_HOME": str(self.run / "ansible"), "ANSIBLE_NOCOLOR": "1"}
        command = [
            program,
            "--inventory",
            "localhost,",
            "--connection",
            "local",
            "-e",
            f"ansible_python_interpreter={sys.executable}",
            *words,
        ]
        wrote = output_of(command, log=self.run / "emulators.log", limit=LIMIT, environment=here)
        if " => " not in wrote:
            raise LabError(f"{module} gave no result; its log is {self.run / 'emulators.log'}")
        return dict(json.loads(wrote.split(" => ", 1)[1]))

    def register(self) -> str:
        """Register what is missing, below the run's own directory, and return which faults the collection named before that."""
        told = self.ask("binfmt_handler_info", architectures=list(ARCHITECTURES))["architectures"]
        self.architectures = [each["architecture"] for each in told if not each["runs"]]
        if self.architectures:
            self.ask("binfmt_handler", architectures=self.architectures, directory=str(self.run / "binfmt.d"))
        return "; ".join(fault for each in told for fault in each["faults"])

    def remove(self) -> None:
        """Take back what `register` has registered."""
        if self.architectures:
            self.ask("binfmt_handler", architectures=self.architectures, directory=str(self.run / "binfmt.d"), state="absent")
