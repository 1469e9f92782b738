# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the package managers are asked when the packages of a root image that is there are to change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ...errors import Fault, raise_faults

PRESENT, ABSENT, LATEST = "present", "absent", "latest"
STATES = (PRESENT, ABSENT, LATEST)
EVERYTHING = "*"
MEND = "Read the lines above; check pkgdir, the names and the network, then run again: the image is as it was"


@dataclass(frozen=True)
class Wish:
    """Packages by name (`name=version`, or the path of a package file) and what is to become of them; `*` are all of an image."""

    names: tuple[str, ...]
    state: str = PRESENT

    @property
    def files(self) -> list[str]:
        """The packages that are named by their files."""
        return [name for name in self.names if name.startswith("/")]

    @property
    def everything(self) -> bool:
        """All packages of the image are meant."""
        return EVERYTHING in self.names


@dataclass(frozen=True)
class PackageChange:
    """One package that comes (`old` is empty), goes (`new` is empty) or changes its version."""

    name: str
    old: str
    new: str

    def line(self) -> str:
        """Return the change in words."""
        if not self.old:
            return f"+{self.name} {self.new}"
        return f"{self.name} {self.old} -> {self.new}" if self.new else f"-{self.name} {self.old}"


def package_of(name: str) -> tuple[str, str]:
    """Return name and version of `name=version`; the version is empty when it is not said."""
    found = name.partition("=")
    return found[0], found[2]


def missing(names: Iterable[str], installed: Mapping[str, str]) -> list[str]:
    """Return those names that an image has not, or not in the version that is said."""
    found = []
    for name in names:
        package, version = package_of(name)
        if package not in installed or (version and version not in installed[package].split(", ")):
            found.append(name)
    return found


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[PackageChange]:
    """Return how two sets of packages with versions differ, sorted by name."""
    names = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    return [PackageChange(name, before.get(name, ""), after.get(name, "")) for name in names]


def refuse_wish(wish: Wish) -> None:
    """Raise SiteError for names that can't be what they ask for."""
    faults = []
    for name in wish.names:
        if not name or name.startswith("-") or any(letter in name for letter in " \t\n'\""):
            faults.append(Fault(f"package '{name}'", "is no name of a package", "Write a name, name=version, or the path of a file"))
        elif name.endswith("-") and not name.startswith("/"):
            faults.append(Fault(f"package '{name}'", "means the removal of a package to apt", "Write the name alone, with state absent"))
        elif wish.state == ABSENT and (name.startswith(("/", "@")) or "=" in name or name == EVERYTHING):
            faults.append(Fault(f"package '{name}'", "can't be removed by this", "Write the names of packages to remove"))
        elif name == EVERYTHING and wish.state != LATEST:
            faults.append(Fault(f"package '{name}'", "means all packages of the image", "Use it with state latest"))
        elif name == EVERYTHING and len(wish.names) > 1:
            faults.append(Fault(f"package '{name}'", "means all packages of the image", "Name nothing beside it"))
    raise_faults(faults)
