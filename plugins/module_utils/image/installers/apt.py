# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian and Ubuntu root images, filled by mmdebstrap."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from typing import Any

from ...apply.commands import ENVIRONMENT, run_command
from ...apply.files import read_bytes
from ...errors import Fault
from ..mounts import alone
from .order import Order

SUITES = {
    ("debian", "11"): "bullseye",
    ("debian", "12"): "bookworm",
    ("debian", "13"): "trixie",
    ("ubuntu", "20.04"): "focal",
    ("ubuntu", "22.04"): "jammy",
    ("ubuntu", "24.04"): "noble",
}
"""Suites by operating system and version; a `deb` line in pkgdir may name any other."""

COMPONENTS = {"debian": ("main",), "ubuntu": ("main", "universe")}
"""What a plain URL or directory stands for."""

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "ppc64le": "ppc64el", "riscv64": "riscv64", "s390x": "s390x"}

SIMULATED = re.compile(r"^Inst (\S+) (?:\[[^]]*\] )?\((\S+)", re.MULTILINE)
DEB_LINE = re.compile(r"deb\s+(?:\[(?P<options>[^]]*)\]\s+)?(?P<uri>[a-z+]+:\S+)\s+(?P<suite>\S+)(?P<components>(?:\s+\S+)*)")

VARIANT = "minbase"
"""What comes without being listed: essential and required packages. The list names everything else, apt too."""

MEND = "Read the lines above; check pkgdir, the package list and the network, then run genimage again: the last good image is untouched"


class Apt:
    """One order, carried out by mmdebstrap with apt's own signature checks."""

    families = ("debian", "ubuntu")
    program = "mmdebstrap"

    def __init__(self, order: Order) -> None:
        self.order = order
        version = ".".join(order.version.split(".")[: 1 if order.family == "debian" else 2])
        self.suite = SUITES.get((order.family, version), "")

    def faults(self) -> list[Fault]:
        """Return what is wrong with the order, or missing on this machine."""
        order = self.order
        found = []
        if not shutil.which(self.program, path=ENVIRONMENT["PATH"]):
            found.append(Fault(self.program, "is not installed on this machine", f"Install the package {self.program}"))
        if order.osarch not in ARCHITECTURES:
            found.append(Fault(order.where, f"{order.family} has no architecture {order.osarch}", f"Use one of {', '.join(ARCHITECTURES)}"))
        if not self.suite and not all(item.startswith("deb ") for item in order.pkgdir):
            known = ", ".join("".join(key) for key in SUITES)
            mend = f"Use one of {known}, or write `deb URL SUITE COMPONENT` in pkgdir"
            found.append(Fault(order.where, f"the suite of {order.family}{order.version} is not known", mend))
        for item in order.pkgdir:
            found += self._source_faults(item)
        return found

    def _source_faults(self, item: str) -> list[Fault]:
        where = self.order.where
        if item.startswith("deb "):
            if not DEB_LINE.fullmatch(item):
                return [Fault(where, f"'{item}' is no apt source", "Write `deb [options] URL SUITE COMPONENT`")]
        elif item.startswith("/"):
            if not os.path.isdir(item):
                return [Fault(where, f"the directory {item} does not exist", "Create it or correct pkgdir")]
            if self.suite and not os.path.isdir(os.path.join(item, "dists", self.suite)):
                mend = f"Put a Debian archive there, or write `deb copy:{item} SUITE COMPONENT` (`deb copy:{item} ./` for a flat one)"
                return [Fault(where, f"{item} holds no dists/{self.suite}", mend)]
        elif not re.match(r"(https?|copy|file|ftp)://?\S+$", item):
            return [Fault(where, f"'{item}' is neither a URL, a directory nor a `deb` line", "Write one of these")]
        return []

    def sources(self) -> list[str]:
        """Return one-line apt sources. Local ones are copied (`copy:`): dpkg runs in the image and sees no outside path."""
        found = []
        for item in self.order.pkgdir:
            line = item
            if not item.startswith("deb "):
                uri = f"copy:{item}" if item.startswith("/") else item
                line = f"deb {uri} {self.suite} {' '.join(COMPONENTS[self.order.family])}"
            found.append(re.sub(r"\bfile:(//(?=/))?", "copy:", line))
        return found

    def arguments(self) -> list[str]:
        """Return mmdebstrap's arguments up to the target; the order of packages does not matter to apt."""
        order = self.order
        kernel = [f"linux-image-{order.kernelver}"] if order.kernelver else []
        packages = list(dict.fromkeys([*order.install, *kernel])) + [f"{name}-" for name in order.exclude]
        return [
            "--mode=root",
            "--format=directory",
            f"--variant={VARIANT}",
            f"--architectures={ARCHITECTURES[order.osarch]}",
            f"--include={','.join(packages)}",
        ]

    def options(self) -> dict[str, Any]:
        """Return what decides the content besides the package list."""
        return {"tool": self.program, "variant": VARIANT, "suite": self.suite, "sources": self.sources()}

    def _command(self, target: str, *more: str) -> list[str]:
        first = DEB_LINE.fullmatch(self.order.pkgdir[0])
        suite = self.suite or (first["suite"] if first else "")
        return alone(self.program, *self.arguments(), *more, suite, target, *self.sources())

    def _environment(self) -> dict[str, str]:
        """Return what maintainer scripts see: nothing asked, and no initramfs by the kernel package (dracut's INITRD=No)."""
        return {"DEBIAN_FRONTEND": "noninteractive", "INITRD": "No", **self.order.environment}

    def install(self, rootimg: str) -> None:
        """Fill the directory `rootimg`."""
        run_command(self._command(rootimg), limit=self.order.limit, mend=MEND, environment=self._environment(), name=self.program)

    def candidates(self) -> dict[str, str]:
        """Return the packages and versions that the repositories would give now."""
        with tempfile.TemporaryDirectory(prefix="statelite-candidates-", dir="/var/tmp") as scratch:
            command = self._command(os.path.join(scratch, "root"), "--simulate", "--verbose")
            text = run_command(
                ["sh", "-c", 'exec "$@" 2>&1', "sh", *command],
                limit=self.order.limit,
                mend=MEND,
                environment=self._environment(),
                name=self.program,
            )
        return {name.split(":")[0]: version for name, version in SIMULATED.findall(text)}

    def installed(self, rootimg: str) -> dict[str, str]:
        """Return the packages and versions of a filled image, from its own dpkg database."""
        found = {}
        for stanza in (read_bytes(os.path.join(rootimg, "var/lib/dpkg/status")) or b"").decode(errors="replace").split("\n\n"):
            cells = dict(line.split(": ", 1) for line in stanza.splitlines() if re.match(r"(Package|Status|Version): ", line))
            if cells.get("Status", "").endswith(" installed"):
                found[cells["Package"]] = cells["Version"]
        return found
