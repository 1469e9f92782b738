# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look whether this machine can run the lab, and say every reason why it cannot."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from places import LAB
from processes import LabError

RELEASE = "bookworm"


def package_names(path: Path) -> list[str]:
    """Return the package names of a list: one a line, comments and blank lines left out."""
    lines = (line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


def missing_packages(names: list[str]) -> list[str]:
    """Return those of `names` that dpkg does not have installed."""
    query = ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Abbrev}\n", *names]
    found = subprocess.run(query, capture_output=True, text=True, check=False).stdout
    installed = {line.split()[0] for line in found.splitlines() if line.split()[1:2] == ["ii"]}
    return [name for name in names if name not in installed]


def require_machine() -> None:
    """Raise LabError, with every reason, when this machine cannot run the lab at all."""
    faults = []
    if os.geteuid() != 0:
        faults.append("the lab makes namespaces, mounts and taps: run it as root")
    release = Path("/etc/os-release")
    if not release.exists() or f"VERSION_CODENAME={RELEASE}" not in release.read_text(encoding="utf-8"):
        faults.append(f"the lab's mirror is made from this machine's own apt sources, which must be Debian {RELEASE}'s")
    if not Path("/dev/net/tun").exists():
        faults.append("there is no /dev/net/tun for the nodes' network")
    missing = missing_packages(package_names(LAB / "packages.txt"))
    if missing:
        faults.append(f"make installs these Debian packages, which are missing: {' '.join(missing)}")
    if faults:
        raise LabError("this machine cannot run the lab:\n" + "\n".join(f"- {fault}" for fault in faults))
