# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's export files, exports(5): reading any of them line by line, writing ours, and who wins."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from .exporttable import EVERYBODY, Export, as_written, is_inside

HEADER = "# Written by diskless.statelite (module exports). Changes made here are lost.\n"
DEFAULTS = {
    "ro": "rw", "sync": "async", "root_squash": "no_root_squash", "no_all_squash": "all_squash", "no_subtree_check": "subtree_check",
    "secure": "insecure", "hide": "nohide", "wdelay": "no_wdelay", "nocrossmnt": "crossmnt", "acl": "no_acl",
}  # fmt: skip
"""What exports(5) does unless the other word of the pair is said."""

OTHERWISE = {**DEFAULTS, **{other: word for word, other in DEFAULTS.items()}}
VALUES = ("anonuid", "anongid", "sec")
MARK = "# taken over by diskless.statelite: "


@dataclass(frozen=True)
class Line:
    """One entry of one file: `number` is its first line, `end` the one after its last (a backslash continues it)."""

    file: str
    number: int
    end: int
    path: str
    clients: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def writable(self) -> bool:
        """Whether some client may write."""
        return any(access(options) == "rw" for _client, options in self.clients)

    @property
    def place(self) -> str:
        """The file and line as a person looks for it."""
        return f"{self.file} line {self.number}"


def access(options: Sequence[str]) -> str:
    """Return `rw` or `ro`: the last of the two that stands in the options, `ro` when none does (exports(5))."""
    return next((option for option in reversed(options) if option in ("ro", "rw")), "ro")


def said(options: Sequence[str], option: str) -> str:
    """Return what the options say on the subject of `option`: the last word of its pair, or the last value of its name."""
    name, equals, _value = option.partition("=")
    if equals:
        return next((each for each in reversed(options) if each.startswith(f"{name}=")), f"no {name}")
    pair = (option, OTHERWISE[option])
    return next((each for each in reversed(options) if each in pair), option if option in DEFAULTS else OTHERWISE[option])


def unlike(options: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """Return what the options say otherwise than those wanted; words without an opposite are not compared."""
    compared = [option for option in wanted if option in OTHERWISE or option.partition("=")[0] in VALUES]
    meant = list(dict.fromkeys(said(wanted, option) for option in compared))
    return [said(options, option) for option in meant if said(options, option) != option]


def unescaped(text: str) -> str:
    """Return a path with its octal escapes resolved."""
    raw = re.sub(rb"\\([0-7]{3})", lambda match: bytes([int(match.group(1), 8) & 0xFF]), text.encode("utf-8", "surrogateescape"))
    return raw.decode("utf-8", "surrogateescape")


def escaped(text: str) -> str:
    """Return a path as one word of an export file."""
    return "".join(
        character if re.match(r"[A-Za-z0-9/._+:@%,=~-]", character) else "".join(f"\\{byte:03o}" for byte in os.fsencode(character))
        for character in text
    )


def _logical_lines(text: str) -> Iterable[tuple[int, int, str]]:
    """Yield (first line, line after the last, text) with continuations joined and comments cut."""
    lines = text.split("\n")
    number = 0
    while number < len(lines):
        start = number
        whole = lines[number]
        while whole.endswith("\\") and number + 1 < len(lines):
            number += 1
            whole = whole[:-1] + " " + lines[number]
        number += 1
        yield start + 1, number + 1, re.sub(r'("[^"]*")|#.*', lambda match: match.group(1) or "", whole)


def parse(file: str, text: str) -> list[Line]:
    """Return the entries of an export file in order; words that make no sense are taken as clients without options."""
    found = []
    for number, end, whole in _logical_lines(text):
        words = re.findall(r'"[^"]*"\S*|\S+', whole)
        if not words:
            continue
        path = unescaped(words[0].strip('"'))
        defaults: tuple[str, ...] = ()
        clients: list[tuple[str, tuple[str, ...]]] = []
        for word in words[1:]:
            if word.startswith("-"):
                defaults = tuple(word[1:].split(","))
                continue
            match = re.fullmatch(r"([^()]*)(?:\(([^()]*)\))?", word)
            name, options = (match.group(1), match.group(2)) if match else (word, None)
            clients.append((name or EVERYBODY, (*defaults, *(options.split(",") if options else ()))))
        found.append(
            Line(file, number, end, "/" + "/".join(part for part in path.split("/") if part), tuple(clients or [(EVERYBODY, defaults)]))
        )
    return found


def render(exports: Iterable[Export]) -> str:
    """Return our file: one line an export."""
    lines = [HEADER]
    for export in exports:
        options = ",".join(export.options)
        clients = " ".join(f"{client}({options})" for client in export.clients)
        lines.append(f"{escaped(export.path)} {clients}\n")
    return "".join(lines)


def in_the_way(lines: Iterable[Line], exports: Sequence[Export], real: Callable[[str], str] = as_written) -> list[tuple[Line, Export]]:
    """Return the foreign lines that would win over one of ours or open what ours closes.

    A line for the same or an enclosing path wins over a later file (tried, decisions.md). A line below one of
    ours opens it when either of the two is writable or ours is one node's alone. `real` resolves symbolic links.
    """
    found = []
    places = [(export, real(export.path)) for export in exports]
    for line in lines:
        place = real(line.path)
        for export, own in places:
            below = is_inside(place, own)
            if is_inside(own, place) or (below and (line.writable or export.writable or export.own)):
                found.append((line, export))
                break
    return found


def commented(text: str, lines: Iterable[Line]) -> str:
    """Return the text of a file with the given entries taken out of effect, each of their lines kept as a comment."""
    physical = text.split("\n")
    for line in lines:
        for number in range(line.number - 1, line.end - 1):
            physical[number] = MARK + physical[number].rstrip("\\")
    return "\n".join(physical)


def effective(lines: Iterable[Line], real: Callable[[str], str] = as_written) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return (path, client) -> options as the server takes them: the first line for a pair wins; it resolves links by `real`."""
    table: dict[tuple[str, str], tuple[str, ...]] = {}
    for line in lines:
        for client, options in line.clients:
            table.setdefault((real(line.path), client), options)
    return table


def differences(
    table: dict[tuple[str, str], tuple[str, ...]], exports: Sequence[Export], real: Callable[[str], str] = as_written
) -> list[str]:
    """Return how the table in effect differs from ours, in words; pairs that do not touch our paths do not count."""
    places = [(export, real(export.path)) for export in exports]
    wanted = {(place, client): export for export, place in places for client in export.clients}
    found = []
    for (place, client), export in wanted.items():
        options = table.get((place, client))
        other = [] if options is None else unlike(options, export.options)
        if options is None:
            found.append(f"{export.path} is not exported to {client}")
        elif other:
            found.append(f"{export.path} is exported to {client} {', '.join(other)}")
    for (path, client), options in table.items():
        if (path, client) in wanted:
            continue
        touched = [(export, place) for export, place in places if is_inside(place, path) or is_inside(path, place)]
        if any(is_inside(place, path) or access(options) == "rw" or export.own for export, place in touched):
            found.append(f"{path} is exported to {client} {access(options)}, which nothing declares")
    return found
