# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's Debian mirror: every package that a management node and an image need, downloaded once.

The packages come from this machine's own apt sources, security updates included, all in one resolution, so their
versions agree. The mirror is a directory below build/cache named by the package lists it was made from.
Packages of another architecture are a mirror of their own, made in the same way by an apt that knows that architecture alone.
"""

from __future__ import annotations

import contextlib
import gzip
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from places import LAB, REPOSITORY, cached
from preflight import RELEASE, package_names
from processes import LabError, Server, output_of, run

FORM = "2"
"""Raised when the mirror's own form changes, so that old ones are not taken."""
NATIVE = "amd64"
PORT = 8080
LIMIT = 1200
CLASSES = ("?essential", "?priority(required)")
SETTINGS = ("Acquire::Languages=none", "APT::Sandbox::User=root", "APT::Install-Recommends=false", "APT::Get::AllowUnauthenticated=false")


def wanted_packages() -> list[str]:
    """Return the packages that the mirror is asked for: its own list and the collection's package lists for Debian."""
    shipped = REPOSITORY / "roles/image/files/pkglist"
    lists = [LAB / "mirror_packages.txt", shipped / "compute.debian12.common", shipped / "compute.debian12.x86_64.pkglist"]
    names = {name for path in lists for name in package_names(path)}
    return sorted(name for name in names if not name.startswith(("#", "@", "-")))


def make_mirror(log: Path) -> Path:
    """Return the mirror's directory, which holds `debian/`; make it first when the package lists have changed."""
    wanted = wanted_packages()
    with cached("mirror", [FORM, RELEASE, *CLASSES, *wanted]) as (mirror, making):
        if making is not None:
            download(wanted, making, log)
            index(making / "debian", log)
    return mirror


def make_foreign_mirror(architecture: str, wanted: list[str], log: Path) -> Path:
    """Return the directory of a mirror of `wanted` for another of Debian's architectures, which holds `debian/`; make it first."""
    with cached(f"mirror-{architecture}", [FORM, RELEASE, *CLASSES, *wanted]) as (mirror, making):
        if making is not None:
            own = making / "apt"
            (own / "lists/partial").mkdir(parents=True)
            settings = [f"APT::Architecture={architecture}", f"APT::Architectures={architecture}", f"Dir::State::lists={own}/lists"]
            settings.append(f"Dir::Cache={own}")
            with contextlib.suppress(LabError):  # sources of this machine that lack the architecture are no failure
                run(["apt-get", *(f"-o{setting}" for setting in (*settings, *SETTINGS)), "update"], log=log, limit=LIMIT)
            download(wanted, making, log, settings)
            shutil.rmtree(own)
            index(making / "debian", log, architecture)
    return mirror


def download(wanted: list[str], making: Path, log: Path, settings: Sequence[str] = ()) -> None:
    """Download `wanted` and all that they depend on into the pool, as for a machine with nothing installed.

    `settings` are apt's; without any it is this machine's own architecture, whose lists are renewed when they are too old.
    """
    pool = making / "debian" / "pool"
    (pool / "partial").mkdir(parents=True)
    status = making / "status"
    status.touch()
    own = [f"Dir::State::status={status}", f"Dir::Cache::archives={pool}", *SETTINGS, *settings]
    apt = ["apt-get", *(f"-o{setting}" for setting in own)]
    fetch = [*apt, "install", "--yes", "--download-only", *CLASSES, *wanted]
    try:
        run(fetch, log=log, limit=LIMIT)
    except LabError:  # no package lists yet, or older ones than the servers' packages
        if settings:
            raise
        run(["apt-get", "update"], log=log, limit=LIMIT)
        run(fetch, log=log, limit=LIMIT)
    shutil.rmtree(pool / "partial")
    (pool / "lock").unlink(missing_ok=True)
    status.unlink()


def index(debian: Path, log: Path, architecture: str = NATIVE) -> None:
    """Write the `dists` tree of a repository over its pool: Packages.gz, and Release with names and checksums."""
    suite = debian / "dists" / RELEASE
    binary = suite / "main" / f"binary-{architecture}"
    binary.mkdir(parents=True)
    listing = subprocess.run(["apt-ftparchive", "packages", "pool"], cwd=debian, capture_output=True, check=True).stdout
    (binary / "Packages").write_bytes(listing)  # apt takes the compressed one, but only when Release names both
    (binary / "Packages.gz").write_bytes(gzip.compress(listing, mtime=0))
    names = {"Origin": "statelite-lab", "Suite": RELEASE, "Codename": RELEASE, "Components": "main", "Architectures": architecture}
    options = [f"-oAPT::FTPArchive::Release::{name}={value}" for name, value in names.items()]
    release = output_of(["apt-ftparchive", *options, "release", str(suite)], log=log, limit=LIMIT)
    (suite / "Release").write_text(release, encoding="utf-8")


def serve(mirror: Path, address: str, log: Path, port: int = PORT) -> Server:
    """Serve the mirror by HTTP at `address`."""
    command = [sys.executable, "-m", "http.server", "--protocol", "HTTP/1.1", "--bind", address, "--directory", str(mirror), str(port)]
    return Server("the mirror's HTTP server", command, log)
