# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The package managers that change a root image which is there: the installers' own classes, one step further."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from ...errors import SiteError
from .aptedit import AptEditor
from .editing import PackageChange, Wish
from .order import Order
from .rpmedit import DnfEditor, ZypperEditor


class Editor(Protocol):
    """What image_packages asks of a package manager; made from an Order."""

    def installed(self, rootimg: str) -> dict[str, str]:
        """Return the packages and versions of a tree."""

    def foretell(self, rootimg: str, wish: Wish) -> list[PackageChange]:
        """Return what carrying the wish out would change, sorted by name; nothing is written to the tree."""

    def carry_out(self, rootimg: str, wish: Wish) -> list[str]:
        """Change the packages of a tree that nobody uses and return warnings; raises SiteError with the tool's last lines."""

    def settle(self, rootimg: str, came: Collection[str], dropped: Collection[str]) -> None:
        """Leave of a change what an installation leaves. `came` are new packages, `dropped` those that the list no longer asks for."""


EDITORS: tuple[type[AptEditor] | type[DnfEditor] | type[ZypperEditor], ...] = (AptEditor, DnfEditor, ZypperEditor)


def editor_for(order: Order) -> Editor:
    """Return the editor for the order's operating system; raises SiteError when there is none."""
    for editor in EDITORS:
        if order.family in editor.families:
            return editor(order)
    raise SiteError.of(order.where, f"{order.family} has no package manager here", "Use image_exec")
