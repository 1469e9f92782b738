# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exclude lists: what linuximage.exlist says a packed image leaves out (behaviour.md f.3; pure)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..errors import Fault, SiteError
from .listfile import ListReading, ReadText

COMMENT = re.compile(r"\s*#.*")


@dataclass(frozen=True)
class Pattern:
    """One line: paths of the image that match `text`, as find's -path has it, are left out, or taken in again by `included`."""

    text: str
    included: bool = False


@dataclass
class _Reading(ListReading):
    """The state of reading one column: the patterns so far."""

    called: str = "exclude list"
    patterns: list[Pattern] = field(default_factory=list)

    def item(self, text: str, where: str) -> None:
        """Take one line: a pattern, with `+` in front to take paths in again; what follows a `#` is a comment."""
        line = COMMENT.sub("", text)
        included, pattern = line.startswith("+"), line.lstrip("+-").strip()
        if not line:
            return
        if not pattern.startswith("./") or ".." in pattern.split("/"):
            mend = "Begin it with ./, the top of the image, as in ./usr/share/doc/*"
            self.faults.append(Fault(where, f"'{line}' is no path of an image", mend))
            return
        self.patterns.append(Pattern(pattern, included))


def parse_exlist(items: Sequence[str], read: ReadText, environment: Mapping[str, str], where: str) -> list[Pattern]:
    """Return the patterns of the files named in the column, in written order.

    Raises SiteError with every fault of every file.
    """
    reading = _Reading(read, environment)
    for item in items:
        reading.top(item, where)
    if reading.faults:
        raise SiteError(*dict.fromkeys(reading.faults))
    return reading.patterns
