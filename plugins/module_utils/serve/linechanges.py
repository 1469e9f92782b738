# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What changes in a daemon's file, as lines: thousands of them are compared in moments, and their order is not told."""

from __future__ import annotations


def gone_and_new(present: str | None, text: str) -> tuple[list[str], list[str]]:
    """Return the lines that stand in `present` alone (None: there is no file), and those that stand in `text` alone."""
    old, new = (present or "").splitlines(), text.splitlines()
    kept = set(old) & set(new)
    return [line for line in old if line not in kept], [line for line in new if line not in kept]


def told(path: str, present: str | None, text: str) -> list[str]:
    """Return the change of a file line by line; where only their order, or nothing but that there is a file, changes, its path."""
    if present == text:
        return []
    gone, new = gone_and_new(present, text)
    return [f"- {line}" for line in gone] + [f"+ {line}" for line in new] or [f"~ {path}"]
