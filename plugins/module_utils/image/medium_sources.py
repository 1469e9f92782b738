# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a medium is: an ISO image, read by xorriso without a mount, or a directory that holds what such a medium holds."""

from __future__ import annotations

import hashlib
import os
from typing import Protocol

from ..apply.commands import run_command
from ..apply.scratch import scratch
from ..errors import SiteError
from .media import MARKERS

XORRISO = ("xorriso", "-no_rc", "-report_about", "FAILURE", "-osirrox", "on", "-indev")
LIMIT = 3600.0
"""Seconds that one medium may take to be copied."""
MEND = "Install xorriso, and give an ISO 9660 image or a directory"


class Source(Protocol):
    """What copycds asks of a medium."""

    path: str

    def markers(self) -> dict[str, str]:
        """Return the texts of the files that tell what the medium is."""

    def top(self) -> list[str]:
        """Return the names of the files at the top, sorted."""

    def fingerprint(self) -> str:
        """Return a digest of the names, sizes and places or times of all files; their content is not read."""

    def copy(self, target: str) -> None:
        """Fill the empty directory `target`."""


class Iso:
    """An ISO image."""

    def __init__(self, path: str) -> None:
        self.path = path

    def _xorriso(self, *words: str) -> str:
        return run_command([*XORRISO, self.path, *words], limit=LIMIT, mend=MEND)

    def markers(self) -> dict[str, str]:
        """Return the texts of the files that tell what the medium is."""
        names = self._names(2)
        wanted = [name for name in MARKERS if name in names]
        with scratch("medium") as directory:
            for number, name in enumerate(wanted):
                self._xorriso("-extract", f"/{name}", os.path.join(directory, str(number)))
            return {name: _text(os.path.join(directory, str(number))) for number, name in enumerate(wanted)}

    def top(self) -> list[str]:
        """Return the names of the files at the top, sorted."""
        return sorted(self._names(1))

    def _names(self, depth: int) -> set[str]:
        """Return the paths of files, those with a quote in their name left out."""
        listing = self._xorriso("-find", "/", "-maxdepth", str(depth), "-type", "f", "-exec", "echo", "--")
        return {line.strip()[2:-1] for line in listing.splitlines() if line.strip().startswith("'/")}

    def fingerprint(self) -> str:
        """Return a digest of what the image's directory records say, and when it was made."""
        listing = self._xorriso("-pvd_info", "-find", "/", "-exec", "report_lba", "--")
        return hashlib.sha256(listing.replace(self.path, "").encode(errors="surrogateescape")).hexdigest()

    def copy(self, target: str) -> None:
        """Extract everything."""
        self._xorriso("-extract", "/", target)


class Directory:
    """A directory tree: a mounted medium, or a copy of one."""

    def __init__(self, path: str) -> None:
        self.path = path

    def markers(self) -> dict[str, str]:
        """Return the texts of the files that tell what the medium is."""
        return {name: _text(os.path.join(self.path, name)) for name in MARKERS if os.path.isfile(os.path.join(self.path, name))}

    def top(self) -> list[str]:
        """Return the names of the files at the top, sorted."""
        return sorted(entry.name for entry in os.scandir(self.path) if entry.is_file())

    def fingerprint(self) -> str:
        """Return a digest of paths, sizes and times."""
        digest = hashlib.sha256()
        for directory, names, files in os.walk(self.path):
            names.sort()
            for name in sorted(files):
                path = os.path.join(directory, name)
                state = os.lstat(path)
                line = f"{os.path.relpath(path, self.path)}\0{state.st_size}\0{state.st_mtime_ns}\n"
                digest.update(line.encode(errors="surrogateescape"))
        return digest.hexdigest()

    def copy(self, target: str) -> None:
        """Copy everything, sharing blocks where the file system can."""
        run_command(["cp", "-a", "--reflink=auto", "-T", "--", self.path, target], limit=LIMIT, mend=f"Look at {target}")


def _text(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as stream:
        return stream.read(65536)


def source_at(path: str) -> Source:
    """Return the medium at a path; raises SiteError when there is none."""
    if os.path.isdir(path):
        return Directory(os.path.realpath(path))
    if os.path.isfile(path):
        return Iso(path)
    raise SiteError.of(path, "there is no such file or directory", "Give the path of an ISO image or of a directory on this machine")
