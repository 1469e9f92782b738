# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an installer is asked for, whatever package manager it drives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Order:
    """Packages for one root image. `pkgdir` are the items of the column, which `where` names in faults; the kernel package
    of `kernelver` comes in whether it is listed or not. `limit` is in seconds.
    """

    family: str
    version: str
    osarch: str
    pkgdir: Sequence[str]
    install: Sequence[str]
    exclude: Sequence[str] = ()
    kernelver: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    where: str = "pkgdir"
    limit: float = 7200
