# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Noderanges in the original's syntax (behaviour.md h.3): text to a sorted list of node names."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..errors import SiteError
from ..tables.schema import TABLES
from .expressions import compiled, fullmatch, search
from .site import split_list
from .values import attribute

if TYPE_CHECKING:
    from .site import Site

PREFIX = "node"
"""What stands before a range of digits only."""

SHORT_NAMES = {"groups": ("nodelist", "groups"), "tags": ("nodelist", "groups"), "mgt": ("nodehm", "mgt")}
SELECTION = re.compile(r"(?:(\w+)\.)?(\w+)(==|=~|!=|!~|=)(.*)", re.DOTALL)
LIMIT = 100_000
"""Most names one element may stand for; a typing error like n1-n99999999 is refused."""
DIGITS = 200
"""Most digits of a number in a range."""
SHOWN = 20
"""Most unknown names that an error lists."""
MEND = "Correct the names, or define the nodes first"


class _Range:
    """One noderange against one site. Names that are neither node nor group are gathered in `unknown`."""

    def __init__(self, site: Site, read_file: Callable[[str], str] | None) -> None:
        self.site = site
        self.read_file = read_file
        self.nodes = dict.fromkeys(site.nodes())
        self.groups: dict[str, list[str]] = {}
        for node in self.nodes:
            for group in site.groups(node):
                self.groups.setdefault(group, []).append(node)
        for row in site.rows("nodegroup"):
            self.groups.setdefault(row.get("groupname") or "", [])
        self.unknown: dict[str, None] = {}

    def whole(self, text: str) -> set[str]:
        """Return the nodes of a comma list: unions from left to right, exclusions at the end."""
        found: set[str] = set()
        out: set[str] = set()
        for element in _split(text, ","):
            if element.startswith("-"):
                out |= self.crossed(element[1:])
            elif element.startswith("@"):
                found &= self.crossed(element[1:])
            else:
                found |= self.crossed(element)
        return found - out

    def crossed(self, element: str) -> set[str]:
        """Return the nodes of `a@b@c`. A regular expression or a selection may hold an @ of its own."""
        if element.startswith(("/", "^")) or (not element.startswith("(") and SELECTION.fullmatch(element)):
            return self.single(element)
        parts = _split(element, "@")
        found = self.single(parts[0]) if parts else set()
        for part in parts[1:]:
            found &= self.single(part)
        return found

    def single(self, element: str) -> set[str]:
        """Return the nodes of one element without operators around it."""
        if element in self.nodes:
            return {element}
        if element in self.groups:
            return self.group(element)
        if element.startswith("(") and element.endswith(")"):
            return self.whole(element[1:-1])
        if element.startswith("/"):
            return self.matching(element[1:])
        if element.startswith("^"):
            return self.from_file(element[1:])
        selection = SELECTION.fullmatch(element)
        if selection:
            return self.selected(selection)
        return self.named(element)

    def named(self, element: str) -> set[str]:
        """Return the nodes of a name, a range or a bracketed list; groups may be numbered too."""
        found: set[str] = set()
        for name in _names(element):
            if name in self.nodes:
                found.add(name)
            elif name in self.groups:
                found |= self.group(name)
            else:
                self.unknown[name] = None
        if len(self.unknown) > LIMIT:
            raise SiteError.of(f"noderange {element}", f"it stands for more than {LIMIT} names that are neither node nor group", MEND)
        return found

    def group(self, name: str, seen: set[str] | None = None) -> set[str]:
        """Return the members of a group: listed by nodes, chosen by a dynamic group's wherevals, or of its membergroups.

        `seen` gathers the groups on the way, each of which is asked once: groups may be members of each other.
        """
        seen = set() if seen is None else seen
        seen.add(name)
        found = set(self.groups[name])
        row = self.site.row("nodegroup", groupname=name)
        if row and (row.get("grouptype") or "") == "dynamic":
            chosen = set(self.nodes)
            wherevals = [each for each in (row.get("wherevals") or "").split("::") if each.strip()]
            for condition in wherevals:
                match = SELECTION.fullmatch(condition.strip())
                if not match:
                    raise SiteError.of(
                        f"table nodegroup, groupname {name}, column wherevals",
                        f"'{condition}' is no condition",
                        "Write table.column==value, !=value, =~regex or !~regex, several joined by ::",
                    )
                chosen &= self.selected(match)
            found |= chosen if wherevals else set()
        elif row:
            for member in split_list(row.get("membergroups")):
                if member in self.groups and member not in seen:
                    found |= self.group(member, seen)
        return found

    def matching(self, pattern: str) -> set[str]:
        """Return the nodes whose whole name matches; a closing slash does not belong to the pattern."""
        where = f"noderange /{pattern}"
        expression = compiled(pattern.removesuffix("/"), where)
        return {node for node in self.nodes if fullmatch(expression, node, where)}

    def from_file(self, path: str) -> set[str]:
        """Return the nodes of a file with a noderange a line, up to a blank or colon; `#` and `^` lines are skipped."""
        if self.read_file is None:
            raise SiteError.of(f"noderange ^{path}", "a file cannot be read here", "Write the names themselves")
        try:
            text = self.read_file(path)
        except OSError as error:
            raise SiteError.of(
                f"noderange ^{path}", f"the file cannot be read ({error.strerror or error})", "Name a file with a noderange a line"
            ) from error
        found: set[str] = set()
        for line in text.splitlines():
            first = re.split(r"[ \t:]", line.strip(), maxsplit=1)[0]
            if first and not first.startswith(("#", "^")):
                found |= self.whole(first)
        return found

    def selected(self, match: re.Match[str]) -> set[str]:
        """Return the nodes whose attribute fits; an unset one counts as empty."""
        table, column, operator, wanted = match.groups()
        if table is None:
            if column not in SHORT_NAMES:
                raise SiteError.of(f"noderange {match.group(0)}", f"'{column}' is no attribute", "Write table.column==value")
            table, column = SHORT_NAMES[column]
        known = TABLES.get(table)
        if known is None or known.columns[0].name != "node" or column not in known.names:
            raise SiteError.of(f"noderange {match.group(0)}", f"there is no node attribute {table}.{column}", "Write table.column==value")
        where = f"noderange {match.group(0)}"
        pattern = compiled(wanted, where) if operator in ("=~", "!~") else None
        found = set()
        for node in self.nodes:
            value = attribute(self.site, node, table, column)
            text = value.text if value else ""
            fits = bool(search(pattern, text, where)) if pattern else text == wanted
            if fits != operator.startswith("!"):
                found.add(node)
        return found


def _split(text: str, separator: str) -> list[str]:
    """Split at `separator` outside of brackets and parentheses; empty elements are dropped."""
    parts = [""]
    depth = 0
    for character in text:
        depth += (character in "([") - (character in ")]")
        if character == separator and depth <= 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]


def _number(digits: str, element: str) -> int:
    if len(digits) > DIGITS:
        raise SiteError.of(f"noderange {element[:80]}", f"it has a number of more than {DIGITS} digits", MEND)
    return int(digits)


def _counted(first: str, last: str, element: str) -> list[str]:
    """Return the numbers from `first` to `last` as text, padded like the first."""
    low, high = _number(first, element), _number(last, element)
    if high < low or high - low >= LIMIT:
        raise SiteError.of(
            f"noderange {element}", f"'{first}' to '{last}' is no range", f"Write the smaller number first, at most {LIMIT} apart"
        )
    return [str(number).zfill(len(first)) for number in range(low, high + 1)]


def _bracketed(element: str) -> list[str]:
    """Return the names of `pre[1-3,7]post`; several brackets give every combination."""
    match = re.fullmatch(r"([^\[\]]*)\[([^\[\]]+)\](.*)", element, re.DOTALL)
    if not match:
        return [element]
    before, inside, after = match.groups()
    endings = _bracketed(after)
    names: list[str] = []
    for part in inside.split(","):
        ends = re.fullmatch(r"(\d+)(?:[-:](\d+))?", part.strip())
        if not ends:
            return [element]
        middle = _counted(ends.group(1), ends.group(2), element) if ends.group(2) else [ends.group(1)]
        if len(names) + len(middle) * len(endings) > LIMIT:
            raise SiteError.of(f"noderange {element}", f"the brackets stand for more than {LIMIT} names", MEND)
        names.extend(f"{before}{number}{rest}" for number in middle for rest in endings)
    return names


def _span(first: str, last: str, element: str) -> list[str] | None:
    """Return the names from one to another that differ in exactly one number, or None when they do not."""
    left, right = re.split(r"(\d+)", first), re.split(r"(\d+)", last)
    if len(left) != len(right):
        return None
    different = [place for place, (one, other) in enumerate(zip(left, right)) if one != other]
    if len(different) != 1 or not left[different[0]].isdigit() or not right[different[0]].isdigit():
        return None
    place = different[0]
    middle = _counted(left[place], right[place], element)
    return ["".join([*left[:place], number, *left[place + 1 :]]) for number in middle]


def _names(element: str) -> list[str]:
    """Return the names that an element of letters, digits and range signs stands for."""
    if re.fullmatch(r"\d+", element):
        return [PREFIX + element]
    if "[" in element:
        return _bracketed(element)
    more = re.fullmatch(r"(.*?)(\d+)(\D*)\+(\d+)", element)
    if more:
        before, number, after, count = more.groups()
        last = str(_number(number, element) + _number(count, element))
        return [f"{before}{each}{after}" for each in _counted(number, last, element)]
    for sign in ("-", ":"):
        places = [place for place, character in enumerate(element) if character == sign]
        if len(places) % 2 == 1:
            middle = places[len(places) // 2]
            names = _span(element[:middle], element[middle + 1 :], element)
            if names:
                return names
    return [element]


def expand(site: Site, text: str, read_file: Callable[[str], str] | None = None) -> list[str]:
    """Return the nodes of a noderange, sorted as strings; an empty text is every node.

    `read_file` reads the file of a `^FILE` element. `site.excludenodes` is taken out of every result.
    Raises SiteError that lists every name that is neither a node nor a group.
    """
    parser = _Range(site, read_file)
    bare = text.replace("'", "").replace('"', "").strip()
    if bare.startswith("-"):
        raise SiteError.of(f"noderange {text}", "begins with an exclusion", "Name the nodes first, then what to leave out")
    try:
        found = parser.whole(bare) if bare else set(parser.nodes)
    except RecursionError as error:
        raise SiteError.of(f"noderange {text[:80]}", "its parentheses or brackets are nested too deeply", "Write it in parts") from error
    excluded = site.setting("excludenodes")
    if excluded:
        found -= parser.whole(excluded)
    if parser.unknown:
        names = list(parser.unknown)
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        raise SiteError.of(f"noderange {text}", f"there are no nodes and no groups called {', '.join(names[:SHOWN])}{more}", MEND)
    return sorted(found)
