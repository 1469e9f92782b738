# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an exclude list leaves of a tree: the patterns are those of find's -path (behaviour.md f.3 and f.4; pure)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import stat_result
from stat import S_ISDIR

from ..image.exlist import Pattern


@dataclass(frozen=True)
class Selection:
    """The paths that go (deepest first), and what that saves: names, and bytes of which no kept name holds the content."""

    gone: Sequence[str]
    files: int
    size: int


def expression(pattern: str) -> str:
    """Return the regular expression of a pattern as fnmatch(3) without flags has it: `*` and `?` match a slash too."""
    found, place = [], 0
    while place < len(pattern):
        character = pattern[place]
        end = _bracket_end(pattern, place) if character == "[" else 0
        if character == "*":
            found.append(".*")
        elif character == "?":
            found.append(".")
        elif end:
            found.append(_set(pattern[place + 1 : end]))
            place = end
        elif character == "\\" and place + 1 < len(pattern):
            place += 1
            found.append(re.escape(pattern[place]))
        else:
            found.append(re.escape(character))
        place += 1
    return "".join(found)


def _bracket_end(pattern: str, start: int) -> int:
    """Return where the set that begins at `start` ends, 0 when it does not end: then the bracket stands for itself."""
    place = start + 1
    if pattern[place : place + 1] in ("!", "^"):
        place += 1
    if pattern[place : place + 1] == "]":
        place += 1
    while place < len(pattern):
        if pattern.startswith("[:", place) and ":]" in pattern[place + 2 :]:
            place = pattern.index(":]", place + 2) + 2
        elif pattern[place] == "\\":
            place += 2
        elif pattern[place] == "]":
            return place
        else:
            place += 1
    return 0


CLASSES = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "blank": r" \t",
    "digit": "0-9",
    "lower": "a-z",
    "space": r"\s",
    "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
    "punct": r"!-/:-@\[-`{-~",
}


def _set(text: str) -> str:
    """Return the regular expression of what stands between brackets."""
    negated = text[:1] in ("!", "^")
    inner = text[1:] if negated else text
    inner = re.sub(r"\[:(\w+):\]", lambda match: f"\0{match.group(1)}\0", inner)
    inner = re.sub(r"\\(.)", r"\1", inner).replace("\\", r"\\").replace("[", r"\[").replace("]", r"\]").replace("&&", r"&\&")
    inner = re.sub(r"^\^", r"\^", inner)
    inner = re.sub("\0(\\w+)\0", lambda match: CLASSES.get(match.group(1), ""), inner)
    return f"[{'^' if negated else ''}{inner}]"


def matcher(patterns: Iterable[Pattern], included: bool) -> re.Pattern[str] | None:
    """Return what matches the paths of all patterns of one kind, None when there is none."""
    found = [expression(pattern.text) for pattern in patterns if pattern.included == included]
    return re.compile("|".join(f"(?:{text})" for text in found), re.DOTALL) if found else None


def select(entries: Mapping[str, stat_result], patterns: Sequence[Pattern]) -> Selection:
    """Return what goes of `entries`: paths as find tells them, `./etc/hosts`, each after its directory.

    A path goes when a pattern excludes it and none includes it again, whatever their order. A directory in which something is kept
    is kept, so that it has its own mode and owner on the node.
    """
    out, back = matcher(patterns, False), matcher(patterns, True)
    if out is None:
        return Selection((), 0, 0)
    kept: set[str] = set()
    gone = []
    for path in sorted(entries, key=lambda each: each.split("/"), reverse=True):
        if path in kept or not out.fullmatch(path) or (back is not None and back.fullmatch(path)):
            kept.add(path)
            kept.add(path.rpartition("/")[0])
        else:
            gone.append(path)
    contents = {(entries[path].st_dev, entries[path].st_ino) for path in kept if path in entries}
    saved: dict[tuple[int, int], int] = {}
    for path in gone:
        found = entries[path]
        if not S_ISDIR(found.st_mode) and (found.st_dev, found.st_ino) not in contents:
            saved[found.st_dev, found.st_ino] = found.st_size
    return Selection(gone, sum(not S_ISDIR(entries[path].st_mode) for path in gone), sum(saved.values()))
