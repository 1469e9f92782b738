# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples of docs/power.md, as an administrator takes them from there."""

from __future__ import annotations

import re

import places
from processes import LabError

DOCUMENT = places.REPOSITORY / "docs" / "power.md"
BLOCK = re.compile(r"^```(?P<kind>yaml|sh)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def example(kind: str, holding: str) -> str:
    """Return the one block of a kind that has the words `holding` in it."""
    found = [match["text"] for match in BLOCK.finditer(DOCUMENT.read_text(encoding="utf-8")) if match["kind"] == kind]
    chosen = [text for text in found if holding in text]
    if len(chosen) != 1:
        raise LabError(f"{DOCUMENT.name} has {len(chosen)} examples in {kind} with '{holding}'")
    return chosen[0]
