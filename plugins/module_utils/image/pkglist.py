# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Package lists: what linuximage.pkglist says, read to the names that an installer gets (behaviour.md f.3; pure)."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..errors import Fault, SiteError
from .listfile import ListReading, ReadText

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
class _Reading(ListReading):
    """The state of reading one column: runs so far. `others` is a list of further packages (otherpkglist)."""

    called: str = "package list"
    others: bool = False
    runs: list[_Run] = field(default_factory=lambda: [_Run()])
    exclude: dict[str, None] = field(default_factory=dict)
    remove: dict[str, None] = field(default_factory=dict)
    directories: dict[str, None] = field(default_factory=dict)

    def item(self, text: str, where: str) -> None:
        """Take one line: packages separated by commas (behaviour.md f.3)."""
        for name in text.split(","):
            self.package(name.strip(), where)

    def directive(self, word: str, text: str, where: str) -> None:
        """Take the start of another run, or the environment of the one being read."""
        if word == "NEW_INSTALL_LIST":
            self.runs.append(_Run())
        elif word == "ENV":
            self.set(text, where)

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

    def result(self) -> PackageList:
        """Return what was read; a run that does nothing is none."""
        runs = tuple(Pass(tuple(run.install), tuple(run.before), dict(run.environment)) for run in self.runs if run.install or run.before)
        return PackageList(runs, tuple(self.exclude), tuple(self.remove), tuple(self.files), tuple(self.directories))


def parse_pkglist(items: Sequence[str], read: ReadText, environment: Mapping[str, str], where: str, others: bool = False) -> PackageList:
    """Return the packages that `items` name: absolute paths are list files, everything else is a package itself.

    `where` names the cell for faults; `environment` is what `$VAR` in an #INCLUDE may name. A later line
    beats an earlier one, so that a site's list can include a default list and take packages out of it.
    `others` reads a list of further packages: `directory/name` is a package of a directory below otherpkgdir, and `-name`
    goes before the run that it stands in.
    Raises SiteError with every fault of every file.
    """
    reading = _Reading(read, environment, others=others)
    for item in items:
        if item.startswith("/"):
            reading.top(item, where)
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
