# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""RPM repositories of an order: found below directories, or made beside a directory that has no metadata."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from ...apply.commands import run_command
from ...errors import Fault
from ..sources import Source, missing_directories, parse_source, places_of, unsigned_fault

REPOMD = "repodata/repomd.xml"
MEND = "Read the lines above, mend the packages there, and run genimage again: the last good image is untouched"


@dataclass(frozen=True)
class Repository:
    """One repository as dnf and zypper are told of it."""

    name: str
    url: str
    source: Source

    def text(self) -> str:
        """Return the lines of a .repo file. Only packages are checked: few distributions sign their metadata."""
        check = "0" if self.source.trusted else "1"
        lines = [f"[{self.name}]", f"name={self.name}", f"baseurl={self.url}", "enabled=1", "skip_if_unavailable=0"]
        lines += [f"gpgcheck={check}", f"pkg_gpgcheck={check}", "repo_gpgcheck=0", "autorefresh=1"]
        if self.source.keys:
            lines.append(f"gpgkey={' '.join(file_url(key) for key in self.source.keys)}")
        return "\n".join([*lines, ""])


def file_url(path: str) -> str:
    """Return an absolute path as a URL; a blank would end it."""
    return f"file://{quote(path)}"


def found_below(directory: str) -> list[str]:
    """Return the repositories in a directory tree, sorted: a medium of Enterprise Linux or SUSE holds several."""
    found = []
    for folder, names, _files in os.walk(directory):
        if os.path.isfile(os.path.join(folder, REPOMD)):
            found.append(folder)
        names[:] = [name for name in names if name not in ("repodata", "Packages")]
    return sorted(found)


def packages_below(directory: str, ending: str = ".rpm") -> Iterator[str]:
    """Give the packages in a directory tree by their paths below it; sources are none."""
    for folder, _names, files in os.walk(directory):
        for name in files:
            if name.endswith(ending) and not name.endswith(f".src{ending}"):
                yield os.path.relpath(os.path.join(folder, name), directory)


def linked(directory: str, place: str, ending: str) -> None:
    """Make `place` a tree of links to the packages below `directory`, so that metadata can be made beside them."""
    for path in packages_below(directory, ending):
        target = os.path.join(place, path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.symlink(os.path.join(directory, path), target)


def parse_pkgdir(pkgdir: Sequence[str], where: str) -> tuple[list[Source], list[Fault]]:
    """Return the sources of the distribution, and every fault of theirs."""
    sources, faults = [], []
    for item in pkgdir:
        source, wrong = parse_source(item, where)
        faults += [*wrong, *unsigned_fault(source, where)]
        if source.directory and not wrong and not found_below(source.directory):
            mend = f"Copy the distribution's media there, or run createrepo_c {source.directory}"
            faults.append(Fault(where, f"{source.directory} holds no repository ({REPOMD})", mend))
        sources.append(source)
    return sources, faults


def other_faults(sources: Sequence[Source], directories: Sequence[str], where: str) -> list[Fault]:
    """Return what is wrong with the sources of further packages, of which `directories` below them were named."""
    unsigned = [fault for source in sources for fault in unsigned_fault(source, where)]
    return unsigned + missing_directories(sources, directories, where)


def repositories(sources: Sequence[Source], prefix: str = "pkgdir") -> list[Repository]:
    """Return the distribution's repositories under names of their own."""
    urls = []
    for source in sources:
        places = found_below(source.directory) if source.directory else []
        urls += [(file_url(place), source) for place in places] or [(source.place, source)]
    return [Repository(f"{prefix}-{number}", url, source) for number, (url, source) in enumerate(urls, 1)]


def other_repositories(sources: Sequence[Source], directories: Sequence[str], work: str, limit: float) -> list[Repository]:
    """Return the repositories of further packages; metadata that are missing are made below `work`, never beside the packages.

    Of an otherpkgdir those `directories` are taken that packages were named in (`tools/package`), '' for the top one.
    """
    found: list[Repository] = []
    for source in sources:
        for place in places_of(source, directories) if source.directory else [""]:
            number, url = len(found) + 1, file_url(place) if place else source.place
            if place and (source.made or not os.path.isfile(os.path.join(place, REPOMD))):
                made = os.path.join(work, f"others-{number}")
                os.makedirs(made)
                linked(place, made, ".rpm")
                run_command(["createrepo_c", "--quiet", made], limit=limit, mend=MEND)
                url = file_url(made)
            found.append(Repository(f"others-{number}", url, source))
    return found
