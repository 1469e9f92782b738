# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Package lists: what linuximage.pkglist says, read to the names that an installer gets (behaviour.md f.3; pure)."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ..errors import Fault, SiteError

ReadText = Callable[[str], "str | None"]
"""Gives the text of a file, or None when there is no such file."""

DIRECTIVE = re.compile(r"#([A-Z_]+):?(.*)#\s*")
VARIABLE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")
SETTING = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._:~^=/-]*")
"""A package name with what package managers let follow it: architecture, version, release."""

GROUP = re.compile(r"@\^?[A-Za-z0-9](?:[A-Za-z0-9 +._:/-]*[A-Za-z0-9+._-])?")
"""A group of packages; its name may have blanks."""


@dataclass(frozen=True)
class Pass:
    """One run of the package manager: what it installs, in written order, what goes before it and stays out of it, what its
    scripts see.
    """

    install: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PackageList:
    """The runs that a column asks for, what must stay out of all of them, what goes when all is done, the files that said
    so, and the directories below otherpkgdir that packages were named in.
    """

    passes: tuple[Pass, ...] = ()
    exclude: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    directories: tuple[str, ...] = ()

    @property
    def install(self) -> tuple[str, ...]:
        """Every package to install, in the order of the runs."""
        return tuple(name for run in self.passes for name in run.install)


@dataclass
class _Run:
    """One run while it is read."""

    install: dict[str, None] = field(default_factory=dict)
    before: dict[str, None] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)


@dataclass
class _Reading:
    """The state of reading one column: runs so far, and every fault. `others` is a list of further packages (otherpkglist)."""

    read: ReadText
    environment: Mapping[str, str]
    others: bool = False
    runs: list[_Run] = field(default_factory=lambda: [_Run()])
    exclude: dict[str, None] = field(default_factory=dict)
    remove: dict[str, None] = field(default_factory=dict)
    files: dict[str, None] = field(default_factory=dict)
    directories: dict[str, None] = field(default_factory=dict)
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
        word = directive.group(1) if directive else ""
        rest = directive.group(2).strip() if directive else ""
        if word == "INCLUDE":
            included = self.expand(rest, where)
            if included:
                self.file(os.path.normpath(os.path.join(top, included)), top, chain, where)
        elif word == "NEW_INSTALL_LIST":
            self.runs.append(_Run())
        elif word == "ENV":
            self.set(rest, where)
        elif not line.startswith("#"):
            for item in line.split(","):
                self.package(item.strip(), where)

    def set(self, text: str, where: str) -> None:
        """Take the settings of an #ENV line for the run that is being read."""
        mend = "Write #ENV:NAME=VALUE#, with quotes around a value that has blanks"
        try:
            words = shlex.split(text)
        except ValueError as error:
            self.faults.append(Fault(where, f"#ENV cannot be split into words ({error})", mend))
            return
        for word in words or [""]:
            setting = SETTING.fullmatch(word)
            if setting:
                self.runs[-1].environment[setting.group(1)] = setting.group(2)
            else:
                self.faults.append(Fault(where, f"#ENV sets no variable with '{word}'", mend))

    def package(self, item: str, where: str) -> None:
        """Take one item: `name`, `@group`, `-name` for what must not be there, `--name` for what goes when all is done."""
        if not item:
            return
        sign = "--" if item.startswith("--") else "-" if item.startswith("-") else ""
        name = item[len(sign) :]
        if self.others and not name.startswith("@"):
            directory, _slash, name = name.rpartition("/")
            if directory and (".." in directory.split("/") or directory.startswith("/")):
                mend = "Name a directory below otherpkgdir, as in tools/package"
                self.faults.append(Fault(where, f"'{item}' leads out of otherpkgdir", mend))
                return
            if not sign:
                self.directories[directory.strip("/")] = None
        if not NAME.fullmatch(name) and not (GROUP.fullmatch(name) and not sign):
            mend = "Write one package a line, no blanks or quotes; only the name of a group may have blanks"
            self.faults.append(Fault(where, f"'{item}' is not the name of a package", mend))
        elif sign == "--":
            self.remove[name] = None
        elif sign and self.others:
            self.runs[-1].before[name] = None
        elif sign:
            for run in self.runs:
                run.install.pop(name, None)
            self.exclude[name] = None
        else:
            self.exclude.pop(name, None)
            if not any(name in run.install for run in self.runs):
                self.runs[-1].install[name] = None

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

    def result(self) -> PackageList:
        """Return what was read; a run that does nothing is none."""
        runs = tuple(Pass(tuple(run.install), tuple(run.before), dict(run.environment)) for run in self.runs if run.install or run.before)
        return PackageList(runs, tuple(self.exclude), tuple(self.remove), tuple(self.files), tuple(self.directories))


def parse_pkglist(items: Sequence[str], read: ReadText, environment: Mapping[str, str], where: str, others: bool = False) -> PackageList:
    """Return the packages that `items` name: absolute paths are list files, everything else is a package itself.

    `where` names the cell for faults; `environment` is what `$VAR` in an #INCLUDE may name. A relative
    #INCLUDE starts from the directory of the top level file, in nested files too, as the original does. A later line
    beats an earlier one, so that a site's list can include a default list and take packages out of it.
    `others` reads a list of further packages: `directory/name` is a package of a directory below otherpkgdir, and `-name`
    goes before the run that it stands in.
    Raises SiteError with every fault of every file.
    """
    reading = _Reading(read, environment, others)
    for item in items:
        if item.startswith("/"):
            reading.file(os.path.normpath(item), os.path.dirname(item), (), where)
        else:
            reading.package(item, where)
    found = reading.result()
    if not reading.faults and not found.install and not others:
        reading.faults.append(
            Fault(where, "the package list names no package", "List at least a kernel and the packages that a node needs")
        )
    if reading.faults:
        raise SiteError(*dict.fromkeys(reading.faults))
    return found


def default_names(profile: str, systems: Sequence[str], osarch: str, ending: str = "pkglist") -> list[str]:
    """Return the file names that a list of this image may have, the most particular first (behaviour.md f.3).

    `compute.debian12.x86_64.pkglist` … `compute.pkglist`, for every name in `systems`.
    """
    with_arch = [f"{profile}.{system}.{osarch}.{ending}" for system in systems]
    without_arch = [f"{profile}.{system}.{ending}" for system in systems]
    return [*with_arch, f"{profile}.{osarch}.{ending}", *without_arch, f"{profile}.{ending}"]
