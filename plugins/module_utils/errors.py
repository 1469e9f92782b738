# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of a site: what is wrong, where it stands, and how to mend it; all of them at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One fault: `where` (table, row key and column, or a path), `what` is wrong, and its `mend`."""

    where: str
    what: str
    mend: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}. {self.mend}"

    def told(self) -> dict[str, str]:
        """Return it as modules give it."""
        return {"where": self.where, "what": self.what, "mend": self.mend}


class SiteError(Exception):
    """Raised with one fault or several; `module.py` alone turns it into a failed task."""

    def __init__(self, *faults: Fault) -> None:
        self.faults = faults
        super().__init__("\n".join(str(fault) for fault in faults))

    @classmethod
    def of(cls, where: str, what: str, mend: str) -> SiteError:
        """An error with a single fault."""
        return cls(Fault(where, what, mend))


def raise_faults(faults: Iterable[Fault]) -> None:
    """Raise one SiteError that names every fault given; do nothing when there is none."""
    found = tuple(faults)
    if found:
        raise SiteError(*found)
