# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where packages come from: items of pkgdir and otherpkgdir, lines of a repolist, and whose signatures they need.

[trusted=yes] /install/post/otherpkgs/rhels9.4/x86_64       a directory; its packages need no signature
[signed-by=/etc/pki/rpm-gpg/RPM-GPG-KEY] http://mirror/os   a repository; its packages must be signed by that key
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..errors import Fault

ITEM = re.compile(r"(?:\[(?P<options>[^]]*)\]\s*)?(?P<place>\S.*)")
URL = re.compile(r"(https?|ftp|file)://\S+")
TYPES = ("rpm-md", "plaindir")
MEND = "Write [signed-by=/path/of/the/key] before it, or [trusted=yes] to install unsigned packages from it"


@dataclass(frozen=True)
class Source:
    """One repository or directory of packages: a URL, an absolute path, or an apt `deb` line. `made` asks for metadata that
    are made at each build, beside the directory.
    """

    place: str
    trusted: bool = False
    keys: tuple[str, ...] = ()
    made: bool = False

    @property
    def directory(self) -> str:
        """The absolute path of a local source; empty for one that comes over the network, or a `deb` line."""
        return os.path.normpath(self.place) if self.place.startswith("/") else ""

    @property
    def text(self) -> str:
        """The source as it is written in the tables, with every default said."""
        options = ["trusted=yes"] if self.trusted else [f"signed-by={','.join(self.keys)}"] if self.keys else []
        return f"[{' '.join(options)}] {self.place}" if options else self.place


def parse_source(item: str, where: str, url: re.Pattern[str] = URL) -> tuple[Source, list[Fault]]:
    """Return one item of a column as a source, and its faults. Options are those of apt's own lines; `url` is what the
    tool that takes it fetches from.
    """
    if item.startswith("deb "):
        return Source(item), []
    found = ITEM.fullmatch(item.strip())
    if not found:
        return Source(item), [Fault(where, f"'{item}' names no source", "Write a directory or a URL")]
    faults: list[Fault] = []
    keys: list[str] = []
    trusted = False
    for option in (found["options"] or "").split():
        name, _equals, value = option.partition("=")
        if name == "trusted" and value in ("yes", "no"):
            trusted = value == "yes"
        elif name == "signed-by" and value:
            keys += value.split(",")
        else:
            faults.append(Fault(where, f"'{option}' is no option of a source", "Use trusted=yes or signed-by=/path/of/the/key"))
    for key in keys:
        if not os.path.isabs(key) or not os.path.isfile(key):
            faults.append(Fault(where, f"the key {key} does not exist", "Put the distributor's public key there or correct the path"))
    place = re.sub(r"^file://(localhost)?(?=/)", "", found["place"].strip())
    if place.startswith("/"):
        if not os.path.isdir(place):
            faults.append(Fault(where, f"the directory {place} does not exist", "Create it or correct the name"))
    elif not url.fullmatch(place):
        faults.append(Fault(where, f"'{place}' is neither a URL nor a directory", "Write one of these"))
    return Source(place, trusted, tuple(keys)), faults


def unsigned_fault(source: Source, where: str) -> list[Fault]:
    """Return the fault of an RPM source that says nothing of signatures: they are checked unless it is trusted."""
    return [] if source.trusted or source.keys else [Fault(where, f"'{source.place}' names no key that its packages are signed by", MEND)]


def places_of(source: Source, directories: Sequence[str]) -> list[str]:
    """Return the directories of a local source that packages were named in ('' is its top); none for one over the network."""
    if not source.directory:
        return []
    names = [""] if source.made else directories or [""]
    places = [os.path.normpath(os.path.join(source.directory, name)) for name in names]
    return [place for place in places if os.path.isdir(place)]


def missing_directories(sources: Sequence[Source], directories: Sequence[str], where: str) -> list[Fault]:
    """Return a fault for each directory that packages were named in and that no source has."""
    tops = [source.directory for source in sources if source.directory and not source.made]
    shown, mend = " or ".join(tops) or "any directory of otherpkgdir", "Create it, or correct the list of further packages"
    missing = [name for name in directories if name and not any(os.path.isdir(os.path.join(top, name)) for top in tops)]
    return [Fault(where, f"there is no {name} in {shown}", mend) for name in missing]


def parse_repolist(path: str, read: Callable[[str], str | None]) -> tuple[list[Source], list[Fault]]:
    """Return the sources of a repolist, lines `Type|URL|name` (the statelite document, 2.7), and their faults."""
    sources, faults = [], []
    for number, line in enumerate((read(path) or "").split("\n"), 1):
        cells = [cell.strip() for cell in line.split("|")]
        where = f"{path} line {number}"
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if len(cells) not in (2, 3) or not cells[1]:
            faults.append(Fault(where, f"'{line.strip()}' is no line of a repolist", "Write Type|URL|name"))
        elif cells[0] not in TYPES:
            faults.append(Fault(where, f"'{cells[0]}' is no type of a repository here", f"Use {' or '.join(TYPES)}"))
        else:
            source, wrong = parse_source(cells[1], where)
            if cells[0] == "plaindir" and not source.directory:
                wrong.append(Fault(where, "a plaindir must be a directory of this machine", "Write file:///DIRECTORY, or give rpm-md"))
            faults += wrong
            sources.append(Source(source.place, source.trusted, source.keys, cells[0] == "plaindir"))
    return sources, faults
