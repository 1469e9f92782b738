# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Package lists: what linuximage.pkglist says, read to the names that an installer gets (behaviour.md f.3; pure)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ..errors import Fault, SiteError

ReadText = Callable[[str], "str | None"]
"""Gives the text of a file, or None when there is no such file."""

DIRECTIVE = re.compile(r"#([A-Z_]+):?(.*)#\s*")
VARIABLE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._:~=/-]*")
"""A package name with what package managers let follow it: architecture, version, release."""


@dataclass(frozen=True)
class PackageList:
    """What to install, in written order, what must stay out, and the files that said so."""

    install: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


@dataclass
class _Reading:
    """The state of reading one column: packages so far, and every fault."""

    read: ReadText
    environment: Mapping[str, str]
    install: dict[str, None] = field(default_factory=dict)
    exclude: dict[str, None] = field(default_factory=dict)
    files: dict[str, None] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def file(self, path: str, top: str, chain: tuple[str, ...], named_by: str) -> None:
        """Read one file; `top` is the directory that relative names start from, `chain` the files being read."""
        if path in chain:
            loop = " -> ".join((*chain[chain.index(path) :], path))
            self.faults.append(Fault(named_by, f"includes itself: {loop}", "Take one #INCLUDE of the loop out"))
            return
        text = self.read(path)
        if text is None:
            self.faults.append(Fault(named_by, f"the package list {path} does not exist", "Create it or correct the name"))
            return
        self.files[path] = None
        for number, line in enumerate(text.split("\n"), 1):
            self.line(line.strip(), f"{path} line {number}", top, (*chain, path))

    def line(self, line: str, where: str, top: str, chain: tuple[str, ...]) -> None:
        """Take one line: a directive, a comment, or packages separated by commas (behaviour.md f.3)."""
        directive = DIRECTIVE.fullmatch(line)
        if directive and directive.group(1) == "INCLUDE":
            included = self.expand(directive.group(2).strip(), where)
            if included:
                self.file(os.path.normpath(os.path.join(top, included)), top, chain, where)
        elif directive and directive.group(1) in ("ENV", "NEW_INSTALL_LIST"):
            mend = "Give environment by osimage.environvar; apt installs a list in one pass, so a second list is not needed"
            self.faults.append(Fault(where, f"#{directive.group(1)}# has no meaning for this installer", mend))
        elif not line.startswith("#"):
            for item in line.split(","):
                self.package(item.strip(), where)

    def package(self, item: str, where: str) -> None:
        """Take one item: `name`, or `-name` for a package that must not be there."""
        name = item.removeprefix("-")
        if not item:
            return
        if not NAME.fullmatch(name):
            self.faults.append(Fault(where, f"'{item}' is not the name of a package", "Write one package a line, no blanks or quotes"))
        elif item.startswith("-"):
            self.install.pop(name, None)
            self.exclude[name] = None
        else:
            self.exclude.pop(name, None)
            self.install[name] = None

    def expand(self, text: str, where: str) -> str:
        """Replace $VAR and ${VAR} by the image's environment; an unset one is a fault and gives ''."""
        missing = [
            found for found in (match.group(1) or match.group(2) for match in VARIABLE.finditer(text)) if found not in self.environment
        ]
        for name in missing:
            self.faults.append(Fault(where, f"${name} is not set", "Set it in osimage.environvar or write the path out"))
        if not text:
            self.faults.append(Fault(where, "#INCLUDE names no file", "Write #INCLUDE:FILE#"))
        if missing:
            return ""
        return VARIABLE.sub(lambda match: self.environment[match.group(1) or match.group(2)], text)


def parse_pkglist(items: Sequence[str], read: ReadText, environment: Mapping[str, str], where: str) -> PackageList:
    """Return the packages that `items` name: absolute paths are list files, everything else is a package itself.

    `where` names the cell for faults; `environment` is what `$VAR` in an #INCLUDE may name. A relative
    #INCLUDE starts from the directory of the top level file, in nested files too, as the original does. A later line
    beats an earlier one, so that a site's list can include a default list and take packages out of it.
    Raises SiteError with every fault of every file.
    """
    reading = _Reading(read, environment)
    for item in items:
        if item.startswith("/"):
            reading.file(os.path.normpath(item), os.path.dirname(item), (), where)
        else:
            reading.package(item, where)
    if not reading.faults and not reading.install:
        reading.faults.append(
            Fault(where, "the package list names no package", "List at least a kernel and the packages that a node needs")
        )
    if reading.faults:
        raise SiteError(*dict.fromkeys(reading.faults))
    return PackageList(tuple(reading.install), tuple(reading.exclude), tuple(reading.files))


def default_names(profile: str, osvers: str, osarch: str) -> list[str]:
    """Return the file names that a list of this image may have, the most particular first (behaviour.md f.3).

    `compute.debian12.x86_64.pkglist` … `compute.pkglist`; less particular names of the system lose its last
    digits: debian12.5, debian12, debian.
    """
    systems = [osvers]
    while re.search(r"[0-9]$", systems[-1]):
        systems.append(re.sub(r"[._-]?[0-9]+$", "", systems[-1]))
    with_arch = [f"{profile}.{system}.{osarch}.pkglist" for system in systems]
    without_arch = [f"{profile}.{system}.pkglist" for system in systems]
    return [*with_arch, f"{profile}.{osarch}.pkglist", *without_arch, f"{profile}.pkglist"]


def family(osvers: str) -> str:
    """Return the operating system without its version: debian12 -> debian."""
    return re.sub(r"[0-9.]+$", "", osvers).rstrip("-_")
