# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one TFTP directory holds of ours: nodes' boot files with all their names, and each image's kernel and initramfs as a pair."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from ..apply.files import read_bytes, write_all
from ..errors import Fault
from . import pxelinux
from .method import NodeFiles
from .pairs import MOVE_AWAY, Pair, no_directories
from .record import UNKNOWN, Names, Paths, digest


@dataclass
class BootFiles:
    """What is wanted in one TFTP directory; nodes of `known` that are not named keep what they have.

    `recorded` are the paths that were written here before, by node, with their digests. A path that is not recorded is somebody
    else's, and so is one that somebody wrote over ours; but what stands at the own path of a node that is named is that node's.
    `watched` are paths elsewhere that the files depend on.
    """

    tftpdir: str
    known: frozenset[str]
    wanted: dict[str, NodeFiles] = field(default_factory=dict)
    own: dict[str, list[str]] = field(default_factory=dict)
    pairs: dict[str, Pair] = field(default_factory=dict)
    recorded: Mapping[str, Paths] = field(default_factory=dict)
    watched: list[str] = field(default_factory=list)
    written: dict[str, str] = field(default_factory=dict, init=False)
    linked: dict[str, str] = field(default_factory=dict, init=False)
    joined: dict[str, str] = field(default_factory=dict, init=False)
    removed: list[str] = field(default_factory=list, init=False)
    copied: list[str] = field(default_factory=list, init=False)
    dropped: dict[str, Paths] = field(default_factory=dict, init=False)
    _digests: dict[int, dict[str, str]] = field(default_factory=dict, init=False)
    _files: dict[str, int] = field(default_factory=dict, init=False)
    _links: dict[str, str] = field(default_factory=dict, init=False)
    _directories: set[str] = field(default_factory=set, init=False)

    def compare(self, named: Collection[str]) -> None:
        """Read the directories and note what is to be done.

        Of the nodes `named` in this run, those without files here have another directory or method now, or are offline: what they
        had goes, like that of nodes that are no more.
        """
        self.copied = sorted(name for name, pair in self.pairs.items() if pair.differs(self.tftpdir))
        self._list()
        for files in self.wanted.values():
            self._compare(files)
        self._mark_gone(frozenset(named))

    def _compare(self, files: NodeFiles) -> None:
        for path, text in files.texts.items():
            if path not in self._files or self._read(path) != text:
                self.written[path] = text
        for path, main in files.same.items():
            inode = self._files.get(path)
            if main in self.written or inode is None or (inode != self._files[main] and self._read(path) != files.texts[main]):
                self.joined[path] = main
        for path, target in files.links.items():
            if self._links.get(path) != target:
                self.linked[path] = target

    def _mark_gone(self, named: frozenset[str]) -> None:
        taken = {path for files in self.wanted.values() for path in files.paths}
        removed: list[str] = []
        for node, known in self.recorded.items():
            if node in self.wanted:
                wanted = self.digests(self.wanted[node])
            elif node in named or node not in self.known:
                wanted = {}
            else:
                lost = {path: digests for path, digests in known.items() if path in taken}
                if lost:
                    self.dropped[node] = lost
                continue
            paths = self._with_older_links(node, known)
            stale = {path: digests for path, digests in paths.items() if path not in wanted}
            removed += self._going(stale, paths, bool(wanted), taken)
            gone = {path: _others(digests, wanted.get(path, "")) for path, digests in paths.items()}
            self.dropped[node] = {path: digests for path, digests in gone.items() if digests}
        for own in self.own.values():
            removed += self._own(own, taken)
        self.removed = sorted(dict.fromkeys(removed))

    def _own(self, paths: Iterable[str], taken: Collection[str]) -> list[str]:
        """Return what stands at the own paths of a node that is to have none, with further names of the first."""
        found = [path for path in paths if path in self._files and path not in taken]
        inode = self._files.get(found[0]) if found else None
        return found + [path for path, other in self._files.items() if other == inode and path not in taken]

    def _going(self, stale: Paths, paths: Paths, stays: bool, taken: Collection[str]) -> list[str]:
        """Return which stale paths are still as they were written; a link stays with a file that somebody wrote over."""
        ours = [path for path, digests in stale.items() if path not in taken and self._is_as_written(path, digests)]
        main = next(iter(paths), "")
        if stays or main in ours or main not in self._files:
            return ours
        return []

    def _is_as_written(self, path: str, digests: str) -> bool:
        if path in self._links:
            return f"-> {self._links[path]}" in digests.split("|")
        if path not in self._files:
            return False
        text = self._read(path) or ""
        return pxelinux.is_ours(text) if digests == UNKNOWN else digest(text) in digests.split("|")

    def _with_older_links(self, node: str, paths: Paths) -> Paths:
        """Return the paths with the links to a file that was recorded without them."""
        if UNKNOWN not in paths.values():
            return paths
        names = (path for path, target in self._links.items() if target == node and os.path.dirname(path) == pxelinux.DIRECTORY)
        return {**paths, **{path: f"-> {node}" for path in names if pxelinux.is_link_name(os.path.basename(path))}}

    def digests(self, files: NodeFiles) -> dict[str, str]:
        """Return what the record says of a node's files."""
        known = self._digests.get(id(files))
        if known is None:
            known = self._digests[id(files)] = self._made_digests(files)
        return known

    @staticmethod
    def _made_digests(files: NodeFiles) -> dict[str, str]:
        found = {path: digest(text) for path, text in files.texts.items()}
        found.update({path: found[main] for path, main in files.same.items()})
        found.update({path: f"-> {target}" for path, target in files.links.items()})
        return found

    def faults(self) -> list[Fault]:
        """Return what stands where something of ours belongs and would not give way to it; to be asked after `compare`."""
        changed = sorted({*self.written, *self.joined, *self.linked})
        found = no_directories(sorted({os.path.dirname(f"{self.tftpdir}/{path}") for path in changed}))
        found += [fault for name in self.copied for fault in self.pairs[name].obstacles(self.tftpdir)]
        what = "is a directory, and a boot file belongs there"
        return found + [Fault(f"{self.tftpdir}/{path}", what, MOVE_AWAY) for path in changed if path in self._directories]

    @property
    def added(self) -> dict[str, Paths]:
        """What has to be in the record before anything is written."""
        return {node: self.digests(files) for node, files in self.wanted.items() if files.paths}

    @property
    def unrecorded(self) -> bool:
        """Whether the record is all that is to be changed for some node: a file that is as wanted, or one that is gone already."""
        added = self.added
        same = all(self.recorded.get(node) == paths or self._is_written(paths) for node, paths in added.items())
        gone = set(self.removed)
        return not same or any(
            not self._is_written(added.get(node, {})) and not gone & dropped.keys() for node, dropped in self.dropped.items() if dropped
        )

    @property
    def changing(self) -> list[str]:
        """Nodes of which a file is written or removed."""
        gone = set(self.removed)
        written = [node for node, files in self.wanted.items() if self._is_written(files.paths)]
        return written + [node for node, paths in {**self.dropped, **self.own}.items() if gone.intersection(paths)]

    def _is_written(self, paths: Iterable[str]) -> bool:
        return any(path in self.written or path in self.joined or path in self.linked for path in paths)

    def _list(self) -> None:
        """Note files with their inodes and links with their targets in every directory that has a path of ours."""
        paths = [path for files in self.wanted.values() for path in files.paths]
        paths += [path for known in self.recorded.values() for path in known]
        paths += [path for own in self.own.values() for path in own]
        for directory in sorted({path.rpartition("/")[0] for path in paths}):
            above = f"{directory}/" if directory else ""
            with suppress(FileNotFoundError, NotADirectoryError), os.scandir(os.path.join(self.tftpdir, directory)) as entries:
                for entry in entries:
                    if entry.is_symlink():
                        self._links[above + entry.name] = os.readlink(entry.path)
                    elif entry.is_file(follow_symlinks=False):
                        self._files[above + entry.name] = entry.inode()
                    elif entry.is_dir(follow_symlinks=False):
                        self._directories.add(above + entry.name)

    def _read(self, path: str) -> str | None:
        content = read_bytes(f"{self.tftpdir}/{path}")
        return None if content is None else content.decode(errors="surrogateescape")

    def lines(self) -> list[str]:
        """Return one line a change."""
        states = {path: files.state for files in self.wanted.values() for path in files.texts}
        here = self.tftpdir
        return [
            *(f"+ {here}/{self.pairs[name].directory}: kernel and initramfs of {name}" for name in self.copied),
            *(f"+ {here}/{path}: {states[path]}" for path in sorted(self.written)),
            *(f"+ {here}/{path} = {os.path.basename(main)}" for path, main in sorted(self.joined.items())),
            *(f"+ {here}/{path} -> {target}" for path, target in sorted(self.linked.items())),
            *(f"- {here}/{path}" for path in self.removed),
        ]

    def apply(self) -> None:
        """Pairs first, then files, then their other names: a node never finds a file whose kernel is not there."""
        for name in self.copied:
            self.pairs[name].put(self.tftpdir)
        texts = _by_directory(self.written)
        for directory, names in texts.items():
            place = os.path.join(self.tftpdir, directory)
            os.makedirs(place, exist_ok=True)
            write_all(place, {name: text.encode(errors="surrogateescape") for name, text in names.items()}, {})
        links, joined = _by_directory(self.linked), _by_directory(self.joined)
        for directory in sorted({*links, *joined}):
            place = os.path.join(self.tftpdir, directory)
            os.makedirs(place, exist_ok=True)
            same = {name: f"{self.tftpdir}/{main}" for name, main in joined.get(directory, {}).items()}
            write_all(place, {}, links.get(directory, {}), same)
        for path in self.removed:
            with suppress(FileNotFoundError):
                os.unlink(os.path.join(self.tftpdir, path))


def _others(digests: str, kept: str) -> str:
    return "|".join(each for each in digests.split("|") if each != kept)


def _by_directory(paths: Mapping[str, str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for path, value in paths.items():
        directory, _slash, name = path.rpartition("/")
        found.setdefault(directory, {})[name] = value
    return found


def names_of(directories: Iterable[BootFiles], what: str) -> Names:
    """Return `added` or `dropped` of every directory, as the record takes them."""
    return {each.tftpdir: getattr(each, what) for each in directories}
