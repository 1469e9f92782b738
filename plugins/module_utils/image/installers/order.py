# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an installer is asked for, whatever package manager it drives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..pkglist import PackageList
from ..sources import Source


@dataclass(frozen=True)
class Order:
    """Packages for one root image. `pkgdir` are the items of the column; `where` names it in faults, and `other_where` the
    column of the further sources. The kernel package of `kernelver` comes in whether it is listed or not. `others` are further
    packages, which come in after the rest and may come from `other_sources` too; `scriptlets_warn` lets a failed script of a
    package pass with a warning. `limit` is in seconds.
    """

    family: str
    version: str
    osarch: str
    pkgdir: Sequence[str]
    packages: PackageList
    others: PackageList = field(default_factory=PackageList)
    other_sources: Sequence[Source] = ()
    kernelver: str = ""
    krpmver: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    scriptlets_warn: bool = False
    where: str = "pkgdir"
    other_where: str = "otherpkgdir"
    limit: float = 7200

    @property
    def install(self) -> list[str]:
        """Every package of every list, in written order."""
        return [*self.packages.install, *self.others.install]

    @property
    def at_once(self) -> tuple[list[str], list[str]]:
        """What one run that comes to the same would install and keep out: without what a later run removes again."""
        gone: dict[str, None] = {}
        for run in self.others.passes:
            gone.update(dict.fromkeys(run.before))
            for name in run.install:
                gone.pop(name.partition("=")[0], None)
        install = [name for name in self.install if name.partition("=")[0] not in gone]
        return install, [*self.packages.exclude, *gone]

    @property
    def remove(self) -> list[str]:
        """What goes when everything is installed."""
        return list(dict.fromkeys([*self.packages.remove, *self.others.remove]))
