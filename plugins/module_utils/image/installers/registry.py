# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The package managers that fill a root image: one class each with the same methods, chosen by osvers."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Protocol

from ...errors import Fault
from .apt import Apt
from .dnf import Dnf
from .order import Order
from .zypper import Zypper


class Installer(Protocol):
    """What genimage asks of a package manager; made from an Order."""

    order: Order

    def programs(self) -> list[tuple[str, str]]:
        """Return the programs that the order takes, and the packages that bring them."""

    def machine_faults(self) -> list[Fault]:
        """Return what this machine lacks for the order."""

    def faults(self) -> list[Fault]:
        """Return what is wrong with the order, on whatever machine it is carried out."""

    def options(self) -> dict[str, Any]:
        """Return what decides the content besides the package list, for the build record."""

    def install(self, rootimg: str) -> list[str]:
        """Fill the empty directory `rootimg` and return warnings; raises SiteError with the tool's last lines."""

    def candidates(self) -> dict[str, str]:
        """Return the packages and versions that the repositories would give now; changes nothing."""

    def installed(self, rootimg: str) -> dict[str, str]:
        """Return the packages and versions of a filled image."""

    def files(self, rootimg: str, names: Collection[str]) -> set[str]:
        """Return the paths of packages of a filled image, directories too."""

    def scripts(self, rootimg: str, names: Collection[str]) -> str:
        """Return the text of all scripts of packages of a filled image."""


INSTALLERS: tuple[type[Apt] | type[Dnf] | type[Zypper], ...] = (Apt, Dnf, Zypper)


def installer_for(order: Order) -> Installer | None:
    """Return the installer of the order's operating system, or None when there is none."""
    for installer in INSTALLERS:
        if order.family in installer.families:
            return installer(order)
    return None


def known_families() -> list[str]:
    """Return the operating systems that some installer can build."""
    return sorted(family for installer in INSTALLERS for family in installer.families)
