# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tiny Ubuntu: the tiny distribution under the names of Ubuntu 24.04, in two components, its index signed by a key of its own.

    ubuntu.py DIRECTORY LIST...       the packages of each LIST that the tiny distribution lacks are made, empty; DIRECTORY/key.asc

Real: what is real in the tiny distribution, gpg, and apt's check of the signature.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import fabricate

SUITE = "noble"
UNIVERSE = ("dracut", "dracut-network", "isc-dhcp-client")
"""What Ubuntu has in universe, of which an image needs some."""

KEY_NAME = "Tiny Ubuntu <tiny@localhost>"
HAD = {"openssl", "openssh-server", "dracut", "dracut-network"}


def wanted(lists: list[Path]) -> list[str]:
    """Return the packages that the lists name."""
    lines = [line.strip() for path in lists for line in path.read_text().splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def build(work: Path, names: list[str]) -> None:
    """Build the packages into a pool for each component."""
    fabricate.packages(work, "1")
    for name in names:
        depends = (f"Depends: linux-image-{fabricate.KERNEL}",) if name == "linux-image-virtual" else ()
        if name not in HAD:
            fabricate.package(work, fabricate.stanza(name, *depends), {f"usr/share/doc/{name}/copyright": "GPL-2+\n"})
    for component in ("main", "universe"):
        (work / "archive/pool" / component).mkdir()
    for path in (work / "archive/pool").glob("*.deb"):
        path.rename(path.parent / ("universe" if path.name.split("_")[0] in UNIVERSE else "main") / path.name)


def index(archive: Path) -> None:
    """Write an index for each component, and Release."""
    directory = archive / "dists" / SUITE
    sums = ""
    for component in ("main", "universe"):
        place = directory / component / "binary-amd64"
        place.mkdir(parents=True)
        listed = subprocess.run(["dpkg-scanpackages", f"pool/{component}"], cwd=archive, check=True, capture_output=True).stdout
        for name, content in (("Packages", listed), ("Packages.gz", gzip.compress(listed, mtime=0))):
            (place / name).write_bytes(content)
            sums += f" {hashlib.sha256(content).hexdigest()} {len(content)} {component}/binary-amd64/{name}\n"
    head = f"Origin: Ubuntu\nSuite: {SUITE}\nCodename: {SUITE}\nArchitectures: amd64\nComponents: main universe\n"
    (directory / "Release").write_text(f"{head}Date: Sat, 01 Jan 2022 00:00:00 UTC\nSHA256:\n{sums}")


def sign(work: Path) -> None:
    """Sign the Release into InRelease by a key made here; another key that signs nothing is made too."""
    with tempfile.TemporaryDirectory(prefix="gpg-") as home:
        environment = {"GNUPGHOME": home, "PATH": os.environ["PATH"]}

        def gpg(*words: str) -> bytes:
            command = ["gpg", "--batch", "--passphrase", "", *words]
            return subprocess.run(command, env=environment, check=True, capture_output=True).stdout

        try:
            for name, file in ((KEY_NAME, "key.asc"), ("Stranger <stranger@localhost>", "stranger.asc")):
                gpg("--quick-generate-key", name, "rsa2048", "sign", "never")
                (work / file).write_bytes(gpg("--armor", "--export", name))
            release = work / "archive/dists" / SUITE / "Release"
            gpg("--local-user", KEY_NAME, "--clearsign", "--output", str(release.with_name("InRelease")), str(release))
        finally:
            subprocess.run(["gpgconf", "--kill", "gpg-agent"], env=environment, check=False, capture_output=True)


if __name__ == "__main__":
    place = Path(sys.argv[1]).resolve()
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    build(place, wanted([Path(name) for name in sys.argv[2:]]))
    index(place / "archive")
    sign(place)
    fabricate.site_files(place)
