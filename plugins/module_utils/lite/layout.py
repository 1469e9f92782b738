# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an image must have for its entries, and the record of it in the image, `/.statelite.json`.

The answer service compiles boot plans from that record (decisions.md: a node's plan takes its entries from what the
tree is laid out for), so this file reads it and knows nothing of how a tree is changed. The record stands beside
`/.statelite`, not in it: the service has no rights of its own, and `osimage.permission` may close that directory.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from ..apply.root import Root
from ..errors import SiteError
from . import shape

FORMAT = 1
RECORD = "/.statelite.json"
DEFAULT = "/.default"
STATELITE = "/.statelite"
TMPFS = "/.statelite/tmpfs"
KEPT = "/.statelite/kept"
IMAGE = "/.statelite/image"


class Placed(NamedTuple):
    """An entry where it really lies in the image.

    `kind` is what it is there; `parent` the nearest entry above it; `content` where its default is in the image,
    readable too at `/.default<path>`; `written` the paths of the table that led here.
    """

    path: str
    kind: str
    storage: str
    attachment: str
    required: bool = False
    parent: str | None = None
    content: str = ""
    written: tuple[str, ...] = ()
    implied: bool = False

    @property
    def options(self) -> str:
        """Attachment and storage in the words of the options column."""
        return f"{self.attachment},{self.storage}"


@dataclass(frozen=True)
class Directory:
    """Mode and owner of a directory that liteimg makes."""

    mode: int = 0o755
    owner: int = 0
    group: int = 0


@dataclass(frozen=True)
class Made:
    """Everything by which a laid-out tree differs from the tree it was made of.

    `moves` leads from where something stood to where it stands; `modes` from a directory to its own mode and the new one.
    """

    directories: Mapping[str, Directory] = field(default_factory=dict)
    files: Mapping[str, int] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    moves: Mapping[str, str] = field(default_factory=dict)
    modes: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @cached_property
    def _elsewhere(self) -> dict[str, str]:
        found = dict(self.moves)
        for path in self.links:
            made = DEFAULT + path
            if path not in found and (made in self.files or made in self.directories):
                found[path] = made
        return found

    @cached_property
    def _places(self) -> Whereabouts:
        return Whereabouts(self._elsewhere)

    @cached_property
    def _homes(self) -> Whereabouts:
        return Whereabouts({at: path for path, at in self._elsewhere.items() if path in self.links and at == DEFAULT + path})

    def contents(self) -> set[tuple[str, str]]:
        """Return each place whose content stands elsewhere, with where that is: moved there, or newly made there."""
        return set(self._elsewhere.items())

    def content_of(self, path: str) -> str:
        """Return where what belongs at `path` stands now: below a moved or newly made default, else at its path."""
        return self._places.of(path)

    def home_of(self, content: str) -> str:
        """Return the path of the image that a content belongs to: the inverse of `content_of`."""
        return self._homes.of(content)


class Whereabouts:
    """Where things are that stand elsewhere, or lie in a directory that does; asked for many paths of few directories."""

    def __init__(self, elsewhere: Mapping[str, str]) -> None:
        self.elsewhere = elsewhere
        self._directories: dict[str, str] = {"": ""}

    def of(self, path: str) -> str:
        """Return the place of the nearest thing at or above the path, and below it the rest of the path."""
        moved = self.elsewhere.get(path)
        if moved is not None:
            return moved
        above, _slash, name = path.rpartition("/")
        held = self._directories.get(above)
        if held is None:
            held = self._directories[above] = self.of(above)
        return f"{held}/{name}"


@dataclass(frozen=True)
class Layout:
    """What a tree is laid out for.

    `satisfied` leads from a written path to the place of the node's own that it leads to; `missing` are entries that
    the image had nothing for; `bridges` the paths that need a link of their own name in the node's
    `/.statelite/tmpfs`, because a relative link in a linked directory leads there.
    """

    image: str = ""
    entries: tuple[Placed, ...] = ()
    satisfied: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    bridges: tuple[str, ...] = ()
    made: Made = field(default_factory=Made)

    def text(self) -> str:
        """Return the record as it stands in the image; the same layout has the same text."""
        made = self.made
        kinds = {path: vars(kind) for path, kind in made.directories.items()}
        maps = {"directories": kinds, "files": made.files, "links": made.links, "modes": made.modes, "moves": made.moves}
        parts = {
            "format": json.dumps(FORMAT),
            "image": json.dumps(self.image),
            "entries": _rows(entry._asdict() for entry in self.entries),
            "satisfied": ENCODE(self.satisfied),
            "missing": ENCODE(self.missing),
            "bridges": ENCODE(self.bridges),
            "made": _object({name: ENCODE(dict(sorted(items.items()))) for name, items in maps.items()}),
        }
        return _object(parts) + "\n"


ENCODE = json.JSONEncoder(separators=(", ", ": ")).encode
"""The encoder in C, which knows no indents."""


BREAK = "\x01"
"""Stands for what comes after a comma; in the text of JSON it can't be a part of anything."""
BREAKING = json.JSONEncoder(separators=(f",{BREAK}", ": ")).encode


def _rows(items: Iterable[dict[str, Any]]) -> str:
    """Return a JSON array with one line an object, encoded in one go."""
    return BREAKING(list(items)).replace(f"}},{BREAK}{{", "},\n{").replace(BREAK, " ")


def _object(members: Mapping[str, str]) -> str:
    """Return a JSON object with one line a member."""
    return "{" + ",\n".join(f"{json.dumps(name)}: {text}" for name, text in members.items()) + "}"


def layout_of(text: str, where: str) -> Layout:
    """Return the layout that `text` records; raises SiteError at `where` when it is no such record."""
    try:
        document: dict[str, Any] = json.loads(text)
        if document["format"] != FORMAT:
            raise ValueError(f"format {document['format']}")
        shape.check(document)
        names = set(Placed._fields)
        entries = tuple(
            Placed(**{**{name: entry[name] for name in names & set(entry)}, "written": tuple(entry["written"])})
            for entry in document["entries"]
        )
        made = document["made"]
        return Layout(
            document["image"],
            entries,
            document["satisfied"],
            tuple(document["missing"]),
            tuple(document["bridges"]),
            Made(
                {path: Directory(**item) for path, item in made["directories"].items()},
                made["files"],
                made["links"],
                made["moves"],
                {path: (pair[0], pair[1]) for path, pair in made["modes"].items()},
            ),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SiteError.of(where, f"is not a layout of this program ({error})", "Build the image again") from error


def layout_in(root: Root) -> Layout | None:
    """Return the layout recorded in an open root, None when it was never laid out."""
    content = root.read(RECORD)
    return None if content is None else layout_of(content.decode("utf-8", "replace"), root.path + RECORD)


def read_layout(rootimg: str) -> Layout | None:
    """Return what the tree at `rootimg` is laid out for, None when liteimg has not run on it."""
    with Root(rootimg) as root:
        return layout_in(root)
