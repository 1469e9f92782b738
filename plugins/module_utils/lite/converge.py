# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the layout that stands to the one that is wanted: the operations, in an order that never loses anything (pure).

A layout is the tree as it was plus four maps (Made). What both layouts have stays untouched, unless something above it
moves. Everything else is taken back, deepest first, and then what is wanted is made, from the top down; so any table
edit ends in the tree that a first run would have given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..apply.operations import (
    ChangeMode,
    KeepTimes,
    MakeDirectory,
    MakeFile,
    MakeLink,
    Move,
    Operation,
    RemoveDirectory,
    RemoveFile,
    RemoveLink,
)
from .layout import DEFAULT, IMAGE, KEPT, STATELITE, Directory, Made
from .place import OWN, Tree, ancestors


class Change:
    """The difference of two layouts of one tree."""

    def __init__(self, old: Made, new: Made) -> None:
        self.old = old
        self.new = new
        moved = old.contents() ^ new.contents()
        self._moved = {place for pair in moved for place in pair}

    def _stays(self, path: str) -> bool:
        return not self._moved or not any(place in self._moved for place in (path, *ancestors(path)))

    def _less(self, these: Mapping[str, Any], those: Mapping[str, Any]) -> list[str]:
        """Return what `these` have and `those` have not in the same place and form."""
        return [path for path, form in these.items() if not (path in those and those[path] == form and self._stays(path))]

    def _fewer_directories(self, these: Mapping[str, Directory], those: Mapping[str, Directory]) -> list[str]:
        return [path for path in these if not (path in those and self._stays(path))]

    def dropped(self) -> tuple[list[str], list[str]]:
        """Return the files and the directories that will be taken back."""
        return self._less(self.old.files, self.new.files), self._fewer_directories(self.old.directories, self.new.directories)

    def taken_back(self) -> list[Operation]:
        """Return how what is not wanted any more goes: links first, then from the deepest path up."""
        old, new = self.old, self.new
        links = sorted(self._less(old.links, new.links))
        found: list[Operation] = [RemoveLink(path, old.links[path], word_of(path, old)) for path in links]
        files, directories = self.dropped()
        deep: dict[str, Operation] = {path: RemoveFile(path, old.files[path]) for path in files}
        for path in directories:
            deep[path] = _directory(RemoveDirectory, path, old)
        gone = {path: content for path, content in old.moves.items() if new.moves.get(path) != content}
        first = _at_or_below(deep, gone)
        found += [deep.pop(path) for path in sorted(first, reverse=True)]
        deep.update({content: Move(content, path, "restore") for path, content in gone.items()})
        return found + [deep[path] for path in sorted(deep, reverse=True)]

    def made(self) -> list[Operation]:
        """Return how what is wanted comes: from the top down, links last."""
        old, new = self.old, self.new
        high: dict[str, Operation] = {path: MakeFile(path, new.files[path]) for path in self._less(new.files, old.files)}
        for path in self._fewer_directories(new.directories, old.directories):
            high[path] = _directory(MakeDirectory, path, new)
        come = {path: content for path, content in new.moves.items() if old.moves.get(path) != content}
        late = [high.pop(path) for path in sorted(_at_or_below(high, come))]
        high.update({content: Move(path, content, "keep" if content.startswith(KEPT) else "default") for path, content in come.items()})
        links = [MakeLink(path, new.links[path], word_of(path, new)) for path in sorted(self._less(new.links, old.links))]
        return [high[path] for path in sorted(high)] + late + links

    def modes(self) -> list[Operation]:
        """Return the modes that differ: of directories that both layouts made, and of /.statelite."""
        old, new = self.old, self.new
        found: list[Operation] = []
        for path, kind in new.directories.items():
            was = old.directories.get(path)
            if was is not None and was.mode != kind.mode and self._stays(path):
                found.append(ChangeMode(path, kind.mode, was.mode))
        for path in sorted({*old.modes, *new.modes}):
            before, after = old.modes.get(path), new.modes.get(path)
            has = before[1] if before else (after[0] if after else 0)
            wants = after[1] if after else (before[0] if before else 0)
            if has != wants:
                found.append(ChangeMode(path, wants, has))
        return found


def _at_or_below(paths: Iterable[str], moved: Mapping[str, str]) -> list[str]:
    """Return those of `paths` that take the place of something moved, or lie in what does: mount points where links stood."""
    return [path for path in paths if any(place in moved for place in (path, *ancestors(path)))]


def _directory(kind: type[MakeDirectory], path: str, made: Made) -> MakeDirectory:
    """Return the operation; mirrors of the image's directories in liteimg's own are nothing that a person has to read."""
    form = made.directories[path]
    mirror = path.split("/")[1] in OWN and path.count("/") > 1 and made.home_of(path) == path
    return kind(path, form.mode, form.owner, form.group, mirror)


def word_of(path: str, made: Made) -> str:
    """Return what a link of liteimg's own is for, as a plan says it; links in /.statelite are the other half of one named already."""
    if path.startswith(DEFAULT + "/"):
        return "mount point" if IMAGE in made.links.get(path, "") and made.links[path].endswith(IMAGE + path[len(DEFAULT) :]) else "default"
    return "" if path.startswith(STATELITE) else "link"


def times(changes: Iterable[Operation], old: Made, new: Made, tree: Tree) -> tuple[list[Operation], list[Operation]]:
    """Return what keeps the times of the image's own directories: operations to stand before and after `changes`.

    The first ones do nothing unless the changes are taken back.
    """
    touched = [change.path for change in changes]
    touched += [change.target for change in changes if isinstance(change, Move)]
    directories = {path.rpartition("/")[0] or "/" for path in touched}
    homes = {made.home_of(directory) for directory in directories for made in (old, new)}
    before: list[Operation] = []
    after: list[Operation] = []
    for home in sorted(homes):
        found = tree.look(home) if home else None
        if found is not None and found.kind == "d":
            before.append(KeepTimes(old.content_of(home), found.accessed, found.modified, True))
            after.append(KeepTimes(new.content_of(home), found.accessed, found.modified))
    return before, after
