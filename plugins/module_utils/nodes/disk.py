# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The nodes' own disks, as the site has them: the label by which one is found, and the devices that may be formatted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import Fault, raise_faults
from ..tables.network import setting_problem
from .site import split_list

if TYPE_CHECKING:
    from .site import Site

LABEL, OPTIONS, WAIT, FORMAT = "litedisklabel", "litediskopts", "litediskwait", "litediskformat"
UNSET = {LABEL: "statelite", OPTIONS: "noatime", WAIT: "10", FORMAT: ""}
"""Keys of ours in the site table, and what they are when unset (docs/boot-plan.md)."""


@dataclass(frozen=True)
class Disk:
    """How a node finds and mounts its disk. `formattable` are devices; without one, nothing is ever formatted.

    `wait` is how many seconds a node looks for a file system with the label before it says that there is none.
    """

    label: str
    options: str
    wait: str
    formattable: tuple[str, ...] = ()

    def fields(self) -> tuple[str, ...]:
        """Return the plan's line (docs/boot-plan.md)."""
        return ("disk", self.label, self.options, self.wait, ",".join(self.formattable) or "-")


def disk_of(site: Site) -> Disk:
    """Return the site's words on local disks; raises SiteError with every one that a node must not be told.

    They are looked at again here, because a disk that is formatted by mistake does not come back.
    """
    said = {key: site.setting(key, unset) for key, unset in UNSET.items()}
    problems = [(key, setting_problem(key, value)) for key, value in said.items()]
    raise_faults(Fault(f"table site, key {key}", *problem) for key, problem in problems if problem is not None)
    return Disk(said[LABEL], said[OPTIONS], said[WAIT], tuple(split_list(said[FORMAT])))
