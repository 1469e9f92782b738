# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts: what was seen on a running node beside what must be; the demo's table and the test's verdict are made of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from progress import plain

WIDTHS = (62, 6, 60)


@dataclass(frozen=True)
class Fact:
    """One fact: its `title`, where it was read, what was `seen`, and the pattern that the whole of it must match."""

    title: str
    where: str
    seen: str
    wanted: str

    @property
    def holds(self) -> bool:
        """Whether what was seen is as it must be."""
        return re.fullmatch(self.wanted, self.seen, re.DOTALL) is not None


def line(*cells: str) -> str:
    """Return one line of the table."""
    return "  ".join(plain(cell).ljust(width)[:width] for cell, width in zip(cells, WIDTHS)).rstrip()


def table(facts: Sequence[Fact]) -> str:
    """Return the facts as a table, a line each; below it, for those that do not hold, what must be and what was seen, in full."""
    lines = ["      " + line("fact, read from the running node", "node", "seen"), "      " + "-" * sum(WIDTHS)]
    for fact in facts:
        shown = " | ".join(part.strip() for part in fact.seen.splitlines() if part.strip())
        lines.append(f"{'ok' if fact.holds else 'FAIL':4}  {line(fact.title, fact.where, shown)}")
    for fact in facts:
        if not fact.holds:
            lines += ["", f"FAIL {fact.title} ({fact.where})", f"  must match {fact.wanted}", f"  was        {fact.seen!r}"]
    return "\n".join(lines)


def conclude(facts: Sequence[Fact], run: Path) -> bool:
    """Print the table of the facts and keep it with the logs of their run; return whether there are some and all hold."""
    text = table(facts)
    (run / "facts.txt").write_text(f"{text}\n", encoding="utf-8")
    print("", text, "", sep="\n", flush=True)
    return bool(facts) and all(fact.holds for fact in facts)
