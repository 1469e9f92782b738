# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of another architecture for a tiny distribution: Debian's busybox-static, fetched once from this machine's apt sources."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

DEBIAN = {"aarch64": "arm64", "ppc64le": "ppc64el"}
PACKAGE = "busybox-static"
CACHE = Path.home() / ".cache/statelite-foreign"


def foreign_busybox(arch: str) -> Path:
    """Return busybox for an architecture; it is fetched where it is not there yet."""
    kept = CACHE / f"busybox-{arch}"
    if not kept.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
            found = fetch(Path(scratch), DEBIAN[arch])
            found.rename(kept)
    return kept


def fetch(scratch: Path, architecture: str) -> Path:
    """Fetch the package into `scratch` with an apt that knows this architecture alone, unpack it and return the program."""
    (scratch / "state/lists/partial").mkdir(parents=True)
    (scratch / "cache/archives/partial").mkdir(parents=True)
    (scratch / "status").touch()
    settings = {
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Dir::State": f"{scratch}/state",
        "Dir::State::status": f"{scratch}/status",
        "Dir::Cache": f"{scratch}/cache",
    }
    apt = ["apt-get", "--quiet", *(f"-o{name}={value}" for name, value in settings.items())]
    subprocess.run([*apt, "update"], check=False, capture_output=True)  # sources that lack this architecture are no failure
    subprocess.run([*apt, "download", PACKAGE], check=True, capture_output=True, cwd=scratch)
    package = next(scratch.glob(f"{PACKAGE}_*.deb"))
    subprocess.run(["dpkg-deb", "--extract", str(package), str(scratch / "tree")], check=True)
    program = next(path for path in (scratch / "tree/bin/busybox", scratch / "tree/usr/bin/busybox") if path.exists())
    return Path(shutil.copy(program, scratch / "busybox"))
