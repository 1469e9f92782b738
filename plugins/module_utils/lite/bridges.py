# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Relative links in a linked directory go on leading where they led.

`/etc/os-release -> ../usr/lib/os-release` lies at `/.default/etc/os-release` (and at `/.statelite/tmpfs/etc/os-release`
on the node) once `/etc/` has the link attachment, and would lead to `/.default/usr`. So `/.default/usr -> ../usr` and
`/.statelite/tmpfs/usr -> ../../usr` are put there: one link for each first name that is not mirrored already.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ..tables.lite import LINK
from .layout import DEFAULT, TMPFS, Made, Placed
from .place import OWN, Tree


class Bridges(NamedTuple):
    """`links` to be made in the image; `paths` that the node makes links for in its own /.statelite/tmpfs."""

    links: dict[str, str]
    paths: tuple[str, ...]


def leads_out(directory: str, name: str, text: str) -> str | None:
    """Return the path outside `directory` that the link `name` in it leads to; None when it does not leave it, or is absolute."""
    if text.startswith("/"):
        return None
    home = directory.split("/")[1:]
    here = home + name.split("/")[:-1]
    left = False
    for part in text.split("/"):
        if part in ("", "."):
            continue
        if part != "..":
            here.append(part)
        elif here:
            here.pop()
            left = left or len(here) < len(home)
        else:
            return None
    if not left or not here or here[: len(home)] == home:
        return None
    return "/" + "/".join(here)


def _first_free(base: str, path: str, made: Made, links: dict[str, str]) -> str | None:
    """Return the shortest part of `path` that the mirror below `base` lacks; None when it has the whole way already."""
    parts = path.split("/")[1:]
    for count in range(1, len(parts) + 1):
        place = "/" + "/".join(parts[:count])
        there = base + place
        if there in links or there in made.links or there in made.files or there in made.moves.values():
            return None
        if there not in made.directories:
            return place
    return None


def _ways_out(tree: Tree, placed: Sequence[Placed], made: Made) -> Iterator[str]:
    for entry in placed:
        if entry.attachment == LINK and entry.parent is None and made.moves.get(entry.path) == DEFAULT + entry.path and entry.kind == "d":
            for name, text in tree.links_below(entry.path):
                path = leads_out(entry.path, name, text)
                if path is not None and path.split("/")[1] not in OWN:
                    yield path


def bridges_of(tree: Tree, placed: Sequence[Placed], made: Made) -> Bridges:
    """Return the links that keep relative links out of linked directories working, in the image and on the node."""
    return _bridges(sorted(set(_ways_out(tree, placed, made))), made)


def _bridges(ways: Iterable[str], made: Made) -> Bridges:
    links: dict[str, str] = {}
    paths = []
    for way in ways:
        for base, up in ((DEFAULT, ".."), (TMPFS, "../..")):
            place = _first_free(base, way, made, links)
            if place is not None:
                links[base + place] = "/".join([up] + [".."] * (place.count("/") - 1)) + place
                if base == TMPFS:
                    paths.append(place)
    return Bridges(links, tuple(sorted(paths)))
