# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Noderanges in the original's syntax (behaviour.md h.3), and Ansible's patterns of hosts: text to a sorted list of node names.

Where the two mean different things by one text, the original's meaning holds: `n1:n4` is a range (docs/noderange.md).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from ..errors import Fault, SiteError, raise_faults
from ..tables.schema import TABLES
from .expressions import compiled, fullmatch, search
from .names import LIMIT, closed_at, names_of, natural, plain, span, split
from .site import split_list
from .values import attribute

if TYPE_CHECKING:
    from .site import Site

SHORT_NAMES = {"groups": ("nodelist", "groups"), "tags": ("nodelist", "groups"), "mgt": ("nodehm", "mgt")}
SELECTION = re.compile(r"(?:(\w+)\.)?(\w+)(==|=~|!=|!~|=)(.*)", re.DOTALL)
SUBSCRIPT = re.compile(r"(.+)\[(?:(-?[0-9]+)|([0-9]+):([0-9]*))\]", re.DOTALL)
SIGNS = "-!@&"
NO_RANGE = frozenset("[](){}*?~")
"""What stands in no name: a colon between such parts joins them."""
EVERY, UNGROUPED = "all", "ungrouped"
DEPTH = 40
"""Most parentheses in one another."""
SHOWN = 20
"""Most unknown names of one part that an error lists."""
LENGTH = 80
"""Most letters of a noderange that an error repeats."""
MEND = "Correct the names, or define the nodes first"


def read_names(path: str) -> str:
    """Return the text of a file that ^FILE names, for whoever may read files of this machine; raises OSError."""
    with open(path, encoding="utf-8", errors="replace") as stream:
        return stream.read()


class _Index(NamedTuple):
    """What every noderange of a site asks: its nodes in their order, and who lists each group; a group may have nobody."""

    nodes: dict[str, None]
    groups: dict[str, list[str]]


def _index_of(site: Site) -> _Index:
    nodes = dict.fromkeys(site.nodes())
    groups: dict[str, list[str]] = {}
    for node in nodes:
        for group in site.groups(node):
            groups.setdefault(group, []).append(node)
    for row in site.rows("nodegroup"):
        groups.setdefault(row.get("groupname") or "", [])
    return _Index(nodes, groups)


def _is_whole(part: str) -> bool:
    """Tell whether a part is an expression of its own, in which signs of a noderange mean nothing."""
    return part.startswith(("/", "^")) or (not part.startswith("(") and SELECTION.fullmatch(part) is not None)


def _signed(part: str) -> list[tuple[str, str]]:
    """Return each operand of a part with its sign: `a:b:&c:!d` of Ansible has three, others have one.

    After & and ! a colon ends the operand, as in Ansible.
    """
    if _is_whole(part):
        return [("", part)]
    found: list[tuple[str, str]] = []
    for number, piece in enumerate(split(part, ":", "&!")):
        signs = SIGNS if number == 0 else "!&"
        sign, body = (piece[0], piece[1:].strip()) if piece[0] in signs else ("", piece)
        if sign and sign in "!&" and not _is_whole(body):
            first, *rest = split(body, ":") or [""]
            found.append((sign, first))
            found += [("", ":".join(rest))] if rest else []
        else:
            found.append((sign, body))
    return found


class _Range:
    """One noderange against one site. What is wrong with its parts is gathered, to be told at once."""

    def __init__(self, site: Site, where: str, text: str, read_file: Callable[[str], str] | None) -> None:
        self.site = site
        self.where = where
        self.text = text
        self.read_file = read_file
        self.nodes, self.groups = site.once("noderange", lambda: _index_of(site))
        self.faults: list[Fault] = []
        self.unknown: dict[str, None] = {}
        """Names that are neither node nor group and were written as they are."""
        self.count = self.depth = 0

    def nodes_of_all(self) -> set[str]:
        """Return the nodes of the whole text; raises SiteError with all that is wrong with it."""
        try:
            found = self.whole(self.text)
        except RecursionError as error:
            raise SiteError.of(self.where, "its parentheses or brackets are nested too deeply", "Write it in parts") from error
        unknown = [self._unknown(list(self.unknown), self.where)] if self.unknown else []
        raise_faults(list(dict.fromkeys([*unknown, *self.faults])))
        return found

    def _at(self, part: str) -> str:
        return self.where if part == self.text else f"{self.where}, part {part[:LENGTH]}"

    def whole(self, text: str) -> set[str]:
        """Return the nodes of a comma list: unions from left to right, and at the end what & leaves and - and ! take out."""
        found: set[str] = set()
        out: set[str] = set()
        only: list[set[str]] = []
        signs = ""
        for part in split(text, ","):
            for sign, body in _signed(part):
                try:
                    nodes = self.crossed(body)
                except SiteError as error:
                    self.faults.extend(error.faults)
                    nodes = set()
                signs += sign or "+"
                if sign in ("-", "!"):
                    out |= nodes
                elif sign == "&":
                    only.append(nodes)
                else:
                    found = found & nodes if sign == "@" else found | nodes
        if signs and not signs.strip("!&"):
            found = set(self.nodes)
        return found.intersection(*only) - out

    def crossed(self, part: str) -> set[str]:
        """Return the nodes of `a@b@c`. A regular expression or a selection may hold an @ of its own."""
        if _is_whole(part):
            return self.single(part)
        operands = split(part, "@")
        if not operands:
            raise SiteError.of(self.where, "a sign in it has nothing behind it", "Name the nodes behind -, !, & and @")
        found = self.single(operands[0])
        for operand in operands[1:]:
            found &= self.single(operand)
        return found

    def single(self, part: str) -> set[str]:
        """Return the nodes of one part without signs around it."""
        if part in self.nodes:
            return {part}
        if part in self.groups:
            return self.group(part)
        if part in (EVERY, "*"):
            return set(self.nodes)
        if part == UNGROUPED:
            return {node for node in self.nodes if set(self.site.groups(node)) <= {EVERY}}
        if part.startswith("(") and closed_at(part) == len(part):
            return self.within(part)
        if part.startswith("/"):
            return self.matching(part)
        if part.startswith("^"):
            return self.from_file(part)
        selection = SELECTION.fullmatch(part)
        if selection:
            return self.selected(selection, self._at(part))
        several = split(part, ":")
        if len(several) > 1 and (set(part) & NO_RANGE or span(part, ":", self._at(part)) is None):
            return set().union(*map(self.single, several))
        if part.startswith("~"):
            return self.begun_by(part)
        return self.numbered(part) or self.named(part)

    def within(self, part: str) -> set[str]:
        """Return the nodes of what stands in parentheses."""
        self.depth += 1
        if self.depth > DEPTH:
            raise SiteError.of(self.where, "its parentheses are nested too deeply", "Write it in parts")
        found = self.whole(part[1:-1])
        self.depth -= 1
        return found

    def numbered(self, part: str) -> set[str] | None:
        """Return the nodes of `group[0]`, `group[0:9]` or `n*[-1]`, Ansible's way to count hosts from 0 in their natural order.

        None for what is no such part: names with numbers in brackets, as those that exist are meant.
        """
        match = SUBSCRIPT.fullmatch(part)
        if not match:
            return None
        base, one, first, last = match.groups()
        counted = base in self.groups or base == EVERY or "*" in base or "?" in base
        if not counted or (not part.endswith(":]") and not (one or "").startswith("-") and self._knows(part)):
            return None
        members = sorted(self.single(base), key=natural)
        start = int(one if one is not None else first)
        chosen = members[start:] if one is None else members[start : start + 1 or None]
        if last:
            chosen = members[start : int(last) + 1]
        if not chosen or start < -len(members):
            raise SiteError.of(self._at(part), f"{base} has {len(members)} nodes, counted from 0", "Name a number that is there")
        return set(chosen)

    def _knows(self, part: str) -> bool:
        if "*" in part or "?" in part:
            return False
        return any(name in self.nodes or name in self.groups for name in names_of(part, self._at(part)))

    def named(self, part: str) -> set[str]:
        """Return the nodes of a name, a range, numbers in brackets or a wildcard; groups may be numbered too."""
        where = self._at(part)
        found: set[str] = set()
        unknown: list[str] = []
        for name in names_of(part, where):
            if "*" in name or "?" in name:
                fitting = self._fitting(name, where)
                unknown += [name] if fitting is None else []
                found |= fitting or set()
            elif name in self.nodes:
                found.add(name)
            elif name in self.groups:
                found |= self.group(name)
            else:
                unknown.append(name)
        self.count += len(unknown)
        if self.count > LIMIT:
            raise SiteError.of(self.where, f"it stands for more than {LIMIT} names that are neither node nor group", MEND)
        if unknown == [part]:
            self.unknown[part] = None
        elif unknown:
            self.faults.append(self._unknown(list(dict.fromkeys(unknown)), where))
        return found

    def _unknown(self, names: list[str], where: str) -> Fault:
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        mend = MEND
        alike = self.site.once("noderange, alike", lambda: {plain(name): name for name in [*self.groups, *self.nodes]})
        meant = [alike[plain(name)] for name in names[:SHOWN] if plain(name) in alike]
        if meant:
            mend = f"There is {', '.join(meant)}. {MEND}"
        elif any(" " in name for name in names):
            mend = "Put commas between the names"
        return Fault(where, f"there are no nodes and no groups called {', '.join(names[:SHOWN])}{more}", mend)

    def _fitting(self, pattern: str, where: str) -> set[str] | None:
        """Return the nodes whose name, or a group's they are in, fits a wildcard; None when there is no such name."""
        text = "".join({"*": ".*", "?": "."}.get(character) or re.escape(character) for character in pattern)
        expression = compiled(f"(?s:{text})", where)
        groups = [name for name in self.groups if fullmatch(expression, name, where)]
        nodes = {node for node in self.nodes if fullmatch(expression, node, where)}
        return nodes.union(*map(self.group, groups)) if nodes or groups else None

    def group(self, name: str, seen: set[str] | None = None) -> set[str]:
        """Return the members of a group: listed by nodes, chosen by a dynamic group's wherevals, or of its membergroups.

        `seen` gathers the groups on the way, each of which is asked once: groups may be members of each other.
        """
        seen = set() if seen is None else seen
        seen.add(name)
        found = set(self.groups[name])
        row = self.site.row("nodegroup", groupname=name)
        if row and (row.get("grouptype") or "") == "dynamic":
            where = f"table nodegroup, groupname {name}, column wherevals"
            chosen = set(self.nodes)
            wherevals = [each for each in (row.get("wherevals") or "").split("::") if each.strip()]
            for condition in wherevals:
                match = SELECTION.fullmatch(condition.strip())
                if not match:
                    mend = "Write table.column==value, !=value, =~regex or !~regex, several joined by ::"
                    raise SiteError.of(where, f"'{condition}' is no condition", mend)
                chosen &= self.selected(match, where)
            found |= chosen if wherevals else set()
        elif row:
            for member in split_list(row.get("membergroups")):
                if member in self.groups and member not in seen:
                    found |= self.group(member, seen)
        return found

    def matching(self, part: str) -> set[str]:
        """Return the nodes whose whole name matches `/REGEX`; a closing slash does not belong to the expression."""
        where = self._at(part)
        expression = compiled(part[1:].removesuffix("/"), where)
        return {node for node in self.nodes if fullmatch(expression, node, where)}

    def begun_by(self, part: str) -> set[str]:
        """Return the nodes whose name, or a group's they are in, begins with what `~REGEX` of Ansible matches."""
        where = self._at(part)
        expression = compiled(part[1:], where)

        def begins(name: str) -> bool:
            found = search(expression, name, where)
            return found is not None and found.start() == 0

        groups = [name for name in self.groups if begins(name)]
        return {node for node in self.nodes if begins(node)}.union(*map(self.group, groups))

    def from_file(self, part: str) -> set[str]:
        """Return the nodes of `^FILE` with a noderange a line, up to a blank or colon; `#` and `^` lines are skipped.

        Each line stands for itself: one that begins with a sign would take nothing from the others, and is refused.
        """
        where = self._at(part)
        if self.read_file is None:
            raise SiteError.of(where, "a file cannot be read here", "Write the names themselves")
        try:
            text = self.read_file(part[1:])
        except OSError as error:
            raise SiteError.of(
                where, f"the file cannot be read ({error.strerror or error})", "Name a file with a noderange a line"
            ) from error
        found: set[str] = set()
        for number, line in enumerate(text.splitlines(), 1):
            first = re.split(r"[ \t:]", line.strip(), maxsplit=1)[0]
            if first.startswith(tuple("-!&@")):
                mend = f"Put it behind what it is to act on: 'compute,{first}' on one line, or '{part},{first}' in the noderange"
                self.faults.append(Fault(f"{where}, line {number}", f"'{first[:LENGTH]}' begins with a sign", mend))
            elif first and not first.startswith(("#", "^")):
                found |= self.whole(first)
        return found

    def selected(self, match: re.Match[str], where: str) -> set[str]:
        """Return the nodes whose attribute fits; an unset one counts as empty."""
        table, column, operator, wanted = match.groups()
        mend = "Write table.column==value, !=value, =~regex or !~regex"
        if table is None:
            if column not in SHORT_NAMES:
                raise SiteError.of(where, f"'{column}' is no attribute", mend)
            table, column = SHORT_NAMES[column]
        known = TABLES.get(table)
        if known is None or known.columns[0].name != "node" or column not in known.names:
            raise SiteError.of(where, f"there is no node attribute {table}.{column}", mend)
        pattern = compiled(wanted, where) if operator in ("=~", "!~") else None
        found = set()
        for node in self.nodes:
            value = attribute(self.site, node, table, column)
            text = value.text if value else ""
            fits = bool(search(pattern, text, where)) if pattern else text == wanted
            if fits != operator.startswith("!"):
                found.add(node)
        return found


def expand(site: Site, text: str, read_file: Callable[[str], str] | None = None) -> list[str]:
    """Return the nodes of a noderange, sorted as strings; an empty text is every node.

    `read_file` reads the file of a `^FILE` part. `site.excludenodes` is taken out of every result.
    Raises SiteError with all that is wrong, by part: names that are neither node nor group, and what can't be read.
    """
    bare = text.replace("'", "").replace('"', "").strip()
    where = f"noderange {bare[:LENGTH]}"
    if bare.startswith("-"):
        raise SiteError.of(where, "begins with an exclusion", "Name the nodes first, then what to leave out")
    found = _Range(site, where, bare, read_file).nodes_of_all() if bare else set(site.nodes())
    excluded = site.setting("excludenodes")
    if excluded:
        found -= _Range(site, "table site, key excludenodes", excluded, read_file).nodes_of_all()
    return sorted(found)
