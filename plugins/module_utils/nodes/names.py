# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names that one part of a noderange stands for: a range, numbers in brackets, a name and so many more. Only text.

`where` names the part in the errors, all of which say how it is to be written.
"""

from __future__ import annotations

import re

from ..errors import SiteError

PREFIX = "node"
"""What stands before a range of digits only."""
LIMIT = 100_000
"""Most names one part may stand for; a typing error like n1-n99999999 is refused."""
DIGITS = 200
"""Most digits of a number in a range."""
OPENING, CLOSING = "([{", ")]}"

Numbers = tuple[object, ...]


def split(text: str, separator: str, before: str = "") -> list[str]:
    """Split at `separator` (where one of `before` comes next, if given) outside of brackets, braces and parentheses.

    Empty parts are dropped.
    """
    parts, depth, begun = [], 0, 0
    enclosing = _enclosing(text) if not text.isalnum() else frozenset()
    for place, character in enumerate(text):
        if place in enclosing:
            depth += 1 if character in OPENING else -1
        elif character == separator and depth == 0 and (not before or text[place + 1 : place + 2] in before):
            parts.append(text[begun:place])
            begun = place + 1
    parts.append(text[begun:])
    return [part.strip() for part in parts if part.strip()]


def _enclosing(text: str) -> frozenset[int]:
    """Return the places of the brackets that are closed, and of what closes them."""
    opened: list[int] = []
    found = []
    for place, character in enumerate(text):
        if character in OPENING:
            opened.append(place)
        elif character in CLOSING and opened:
            found += [opened.pop(), place]
    return frozenset(found)


def closed_at(text: str) -> int:
    """Return the length of what the bracket at the beginning of `text` encloses, with both; 0 when it is not closed."""
    depth = 0
    for place, character in enumerate(text, 1):
        depth += (character in OPENING) - (character in CLOSING)
        if depth == 0:
            return place
    return 0


def natural(name: str) -> Numbers:
    """Return what to sort names by so that n10 comes after n9."""
    return tuple(int(part) if place % 2 else part for place, part in enumerate(re.split(r"(\d+)", name)))


def plain(name: str) -> str:
    """Return a name without capitals and without the zeros before its numbers: what two names that are mistaken have in common."""
    return re.sub(r"\d+", lambda found: found.group().lstrip("0") or "0", name.lower())


def _number(digits: str, where: str) -> int:
    if len(digits) > DIGITS:
        raise SiteError.of(where, f"it has a number of more than {DIGITS} digits", "Correct the number")
    return int(digits)


def _counted(first: str, last: str, where: str) -> list[str]:
    """Return the numbers from `first` to `last` as text, padded like the first."""
    low, high = _number(first, where), _number(last, where)
    if high < low or high - low >= LIMIT:
        raise SiteError.of(where, f"'{first}' to '{last}' is no range", f"Write the smaller number first, at most {LIMIT} apart")
    return [str(number).zfill(len(first)) for number in range(low, high + 1)]


def _bracketed(part: str, where: str) -> list[str]:
    """Return the names of `pre[1-3,7]post`; several brackets give every combination."""
    match = re.fullmatch(r"([^\[\]]*)\[([^\[\]]*)\](.*)", part, re.DOTALL)
    if not match:
        if "[" in part or "]" in part:
            raise SiteError.of(where, "a bracket in it is not closed, or stands in another one", "Write as n[1-9,12] or r[1-3]u[1-4]")
        return [part]
    before, inside, after = match.groups()
    endings = _bracketed(after, where)
    names: list[str] = []
    for item in inside.split(","):
        ends = re.fullmatch(r"(\d+)(?:[-:](\d+))?", item.strip())
        if not ends:
            mend = "Write numbers and ranges of numbers in brackets, as n[1-9,12]"
            raise SiteError.of(where, f"'{item.strip()}' in its brackets is no number and no range of numbers", mend)
        middle = _counted(ends.group(1), ends.group(2), where) if ends.group(2) else [ends.group(1)]
        if len(names) + len(middle) * len(endings) > LIMIT:
            raise SiteError.of(where, f"the brackets stand for more than {LIMIT} names", "Write it in several parts")
        names.extend(f"{before}{number}{rest}" for number in middle for rest in endings)
    return names


def span(part: str, sign: str, where: str) -> list[str] | None:
    """Return the names from one to another around the middle `sign` that differ in exactly one number; None when they do not."""
    places = [place for place, character in enumerate(part) if character == sign]
    if len(places) % 2 == 0 or (sign == ":" and len(places) > 1):
        return None
    middle = places[len(places) // 2]
    left, right = re.split(r"(\d+)", part[:middle]), re.split(r"(\d+)", part[middle + 1 :])
    if len(left) != len(right):
        return None
    different = [place for place, (one, other) in enumerate(zip(left, right)) if one != other]
    if len(different) != 1 or not left[different[0]].isdigit():
        return None
    place = different[0]
    return ["".join([*left[:place], number, *left[place + 1 :]]) for number in _counted(left[place], right[place], where)]


def names_of(part: str, where: str) -> list[str]:
    """Return the names that a part of letters, digits and range signs stands for; raises SiteError for one that stands for none."""
    if "(" in part or ")" in part:
        raise SiteError.of(where, "a parenthesis in it is not closed, or stands in a name", "Write (PART,PART), with operators before it")
    if re.fullmatch(r"[0-9]+", part):
        return [PREFIX + part]
    if "[" in part or "]" in part:
        return _bracketed(part, where)
    more = re.fullmatch(r"(.*?)(\d+)(\D*)\+(\d+)", part)
    if more:
        before, number, after, count = more.groups()
        last = str(_number(number, where) + _number(count, where))
        return [f"{before}{each}{after}" for each in _counted(number, last, where)]
    return span(part, "-", where) or span(part, ":", where) or [part]
