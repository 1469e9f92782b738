# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tree on disk, read as if liteimg had never run on it; and what has become of the things it made there.

A layout is always planned from the tree as it was, so an edited table gives the tree that a first run would give. And
whatever an administrator did to the tree since, a run makes of it what it would after the layout had been given back: so
what would then stay behind as the image's own counts as the image's own before anything is planned.
"""

from __future__ import annotations

import os
import stat
from bisect import bisect_left
from collections.abc import Container, Iterable
from dataclasses import dataclass, field, replace

from ..apply.root import Root
from .layout import KEPT, Made
from .place import OWN, Found, above, ancestors

MODE = 0o7777
UNSEEN = Found("")
KINDS = {stat.S_IFDIR: "d", stat.S_IFREG: "f", stat.S_IFLNK: "l"}


def found_at(root: Root, path: str) -> Found | None:
    """Return what stands at `path` itself on disk."""
    here = root.lstat(path)
    if here is None:
        return None
    mode = here.st_mode
    kind = KINDS.get(mode & ~MODE, "o")
    text = root.readlink(path) if kind == "l" else ""
    return Found(kind, mode & MODE, here.st_uid, here.st_gid, text, here.st_atime_ns, here.st_mtime_ns)


class Original:
    """The tree in `root` without what `made` says of it and without the paths in `gone` (place.Tree)."""

    def __init__(self, root: Root, made: Made, gone: Iterable[str] = ()) -> None:
        self.root = root
        self.made = made
        self.gone = frozenset(gone)
        self.walked: set[str] = set()
        self._seen: dict[str, Found | None] = {}
        self._missing: set[str] = set()
        self._contents = {content for _place, content in made.contents()}
        self._moved = sorted(made.moves)
        self._is_bare = not (made.directories or made.files or made.links or made.moves or made.modes or self.gone)

    def look(self, path: str) -> Found | None:
        """Return what stood at `path`; None when nothing did."""
        found = self._seen.get(path, UNSEEN)
        if found is UNSEEN:
            found = self._seen[path] = self._on_disk(path) if self._is_bare else self._look(path)
        return found

    def _look(self, path: str) -> Found | None:
        made = self.made
        content = made.content_of(path)
        if content in made.directories or content in made.files or (content in made.links and content == path):
            return None
        if path.split("/")[1] in OWN and any(place in self._contents or place in self.gone for place in (path, *ancestors(path))):
            return None
        found = self._on_disk(content)
        if found is not None and path in made.modes:
            return found._replace(mode=made.modes[path][0])
        return found

    def _on_disk(self, path: str) -> Found | None:
        """Return what stands at a path; the kernel is asked once for all that would lie in a directory that is missing."""
        directory = path.rpartition("/")[0] or "/"
        found = None if directory in self._missing else found_at(self.root, path)
        if found is not None:
            return found
        self._missing.add(path)
        while directory != "/" and directory not in self._missing and self.root.lstat(directory) is None:
            self._missing.add(directory)
            directory = above(directory)
        return None

    def links_below(self, path: str) -> Iterable[tuple[str, str]]:
        """Give the symbolic links in a directory as it was."""
        whole = self.made.content_of(path)
        found = self._links_in(path, whole)
        for place in self._moved[bisect_left(self._moved, f"{path}/") : bisect_left(self._moved, f"{path}0")]:
            # What stood in the directory and was moved out of it: a link itself, or a directory that has some.
            name, content = place[len(path) + 1 :], self.made.moves[place]
            there = None if content.startswith(f"{whole}/") else self._on_disk(content)
            if there is not None and there.kind == "l":
                found.append((name, there.text))
            elif there is not None and there.kind == "d":
                found += [(f"{name}/{inner}", text) for inner, text in self._links_in(place, content)]
        return found

    def _links_in(self, path: str, content: str) -> list[tuple[str, str]]:
        passed: list[str] = []
        found = [(name, text) for name, text in self.root.links_below(content, passed) if f"{content}/{name}" not in self.made.links]
        self.walked.update((path, *(f"{path}/{name}" for name in passed)))
        return found

    def looked(self) -> dict[str, Found | None]:
        """Return every path that was asked for, with what stood there."""
        return self._seen


@dataclass
class Standing:
    """What of a recorded layout still stands, and what an administrator's newer things have pushed aside.

    `made` is it without what is lived in since, `kept` with that.
    """

    made: Made
    aside: list[str] = field(default_factory=list)
    kept: Made = field(default_factory=Made)


class _Inspection:
    """Copies of the five maps, corrected by what the disk says."""

    def __init__(self, root: Root, made: Made) -> None:
        self.root = root
        self.was = made
        self.directories = dict(made.directories)
        self.files = dict(made.files)
        self.links = dict(made.links)
        self.moves = dict(made.moves)
        self.aside: list[str] = []

    def result(self) -> Standing:
        """Return the corrected maps."""
        kept = replace(self.was, directories=self.directories, files=self.files, links=self.links, moves=self.moves)
        return Standing(_without_lived_in(self.root, kept, self.aside), self.aside, kept)

    def _push_aside(self, path: str) -> None:
        """What liteimg kept for `path` gives way to the newer thing that stands at `path`."""
        content = self.was.content_of(path)
        self.links.pop(path, None)
        self.moves.pop(path, None)
        self.files.pop(path, None)
        self.directories.pop(path, None)
        if content != path:
            self.files.pop(content, None)
            for place in [place for place in self.directories if place == content or place.startswith(content + "/")]:
                del self.directories[place]
            for place in [place for place in self.files if place.startswith(content + "/")]:
                del self.files[place]
            if self.root.lstat(content) is not None:
                self.aside.append(content)

    def links_stand(self) -> None:
        """A link that was replaced gives way when it stood for an entry; one of liteimg's own is put aside and made again."""
        for path, text in self.was.links.items():
            found = found_at(self.root, path)
            if found is not None and (found.kind, found.text) == ("l", text):
                continue
            self.links.pop(path, None)
            if found is None:
                continue
            if path.split("/")[1] in OWN:
                self.aside.append(path)
            else:
                self._push_aside(path)

    def rest_stands(self) -> None:
        """Forget what is gone or has become something else, which is then the image's own."""
        for path, mode in list(self.files.items()):
            found = found_at(self.root, path)
            if found is None or found.kind != "f" or found.mode != mode:
                del self.files[path]
                self._adopt(path, found)
        for path in list(self.directories):
            found = found_at(self.root, path)
            if found is None or found.kind != "d":
                del self.directories[path]
                self._adopt(path, found)
        for path, content in list(self.moves.items()):
            if self.root.lstat(content) is None:
                del self.moves[path]
        for path in [path for path, content in self.moves.items() if path not in self.links and content.startswith(KEPT)]:
            if not self._is_mount_point(path):
                self._push_aside(path)

    def _is_mount_point(self, path: str) -> bool:
        """Tell whether the empty thing that took the place of a link still stands there as it was made, or nothing does."""
        found = self.root.lstat(path)
        if found is None:
            return True
        if path in self.directories:
            return all(self._is_mount_point(name) for name in names_in(self.root, path))
        return path in self.files and found.st_size == 0

    def _adopt(self, path: str, found: Found | None) -> None:
        if found is None:
            return
        home = self.was.home_of(path)
        if home != path and home in self.links:
            self.moves[home] = path
        elif path.split("/")[1] in OWN and (home == path or home in self.was.links):
            self.aside.append(path)


def inspect(root: Root, made: Made) -> Standing:
    """Return what of `made` still stands on disk."""
    work = _Inspection(root, made)
    work.links_stand()
    work.rest_stands()
    return work.result()


def is_own(made: Made, path: str) -> bool:
    """Tell whether a directory that liteimg made is for nothing but its own: no content of the image belongs there."""
    return path.split("/")[1] in OWN and made.home_of(path) == path


def foreign_in(root: Root, made: Made, path: str, ours: Container[str]) -> list[str]:
    """Return the paths of what is in a directory and neither liteimg's own (`ours`) nor on its way back to another place."""
    holds = path in made.moves.values()
    return [name for name in names_in(root, path) if name not in ours or (name in made.moves and not holds)]


def ours_of(made: Made, aside: Iterable[str]) -> set[str]:
    """Return every path at which something stands because of a layout."""
    return {*made.links, *made.files, *made.directories, *made.moves.values(), *aside}


def _without_lived_in(root: Root, made: Made, aside: Iterable[str]) -> Made:
    """Return `made` without the files and directories that have got a content of their own: they stay when the rest is given back."""
    while True:
        ours = ours_of(made, aside)
        lived_in = [path for path in made.files if _has_content(root, path)]
        lived_in += [path for path in made.directories if not is_own(made, path) and foreign_in(root, made, path, ours)]
        if not lived_in:
            return made
        for path in lived_in:
            made = _adopted(made, path)


def _has_content(root: Root, path: str) -> bool:
    found = root.lstat(path)
    return found is not None and (not stat.S_ISREG(found.st_mode) or found.st_size > 0)


def _adopted(made: Made, path: str) -> Made:
    """Return `made` with the file or directory at `path`, which got a content of its own, taken as the image's."""
    home = made.home_of(path)
    moves = dict(made.moves)
    if home != path and home in made.links:
        moves[home] = path
    files = {place: mode for place, mode in made.files.items() if place != path}
    directories = {place: kind for place, kind in made.directories.items() if place != path}
    return replace(made, moves=moves, files=files, directories=directories)


def names_in(root: Root, path: str) -> list[str]:
    """Return the full paths of what is in a directory; none when it is no directory."""
    found = root.lstat(path)
    if found is None or not stat.S_ISDIR(found.st_mode):
        return []
    return [os.path.join(path, name) for name in root.listdir(path)]
