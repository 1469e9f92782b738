# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rest of a bundle, taken out into a new directory: nothing is written that the signed list does not have.

Kinds, modes, owners, attributes, targets and device numbers are those of the list; of the archive count the order, the times and
the content of files, and that only where its digest is the signed one. A list that names a path twice, below something that is no
directory, or with `..` is refused before anything is written, so no name can lead out of the directory.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO

from ..apply.files import read_bytes
from ..apply.generations import ROOTIMG
from ..apply.treelist import Line, unpacked
from ..errors import SiteError
from .bundle import REFUSED, plain

PIECE = 1 << 20
HOLE = 4096
LATEST = 1 << 33
"""Seconds since 1970 that every file system can hold; a time says nothing of importance."""

EXACT = re.compile(r"([0-9]{1,10})(?:\.([0-9]*))?")

SPECIAL = {"c": stat.S_IFCHR, "b": stat.S_IFBLK, "p": stat.S_IFIFO, "s": stat.S_IFSOCK}
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def checked_list(lines: Mapping[str, Line], where: str) -> None:
    """Raise SiteError unless the list of a tree is one that a tree can have (pure)."""
    if "/" not in lines or lines["/"][1] != "d":
        raise SiteError.of(where, "the list of the tree has no root", REFUSED)
    for path, line in lines.items():
        names = path.split("/")
        above = lines.get(path.rpartition("/")[0] or "/")
        whole = path == "/" or (names[0] == "" and all(name not in ("", ".", "..") and "\0" not in name for name in names[1:]))
        if not whole or above is None or above[1] != "d":
            raise SiteError.of(f"{where}, {path}", "the list of the tree has a path that no tree can have", REFUSED)
        if not _formed(line, lines):
            raise SiteError.of(f"{where}, {path}", "the list of the tree says nothing that can be made of it", REFUSED)


def _formed(line: Line, lines: Mapping[str, Line]) -> bool:
    try:
        return _has_form(line, lines)
    except (ValueError, TypeError, IndexError):
        return False


def _has_form(line: Line, lines: Mapping[str, Line]) -> bool:
    kind = line[1]
    if kind == "h":
        first = lines.get(line[2]) if isinstance(line[2], str) else None
        return first is not None and first[1] not in ("h", "d")
    length = {"d": 6, "f": 8, "l": 7, "c": 8, "b": 8, "p": 6, "s": 6}.get(kind)
    if length != len(line) or not isinstance(line[5], dict):
        return False
    return int(line[2], 8) <= 0o7777 and line[3] >= 0 and line[4] >= 0 and (kind != "l" or bool(line[6]))


@dataclass
class Unpacking:
    """One tree as it comes out of the archive at `top`; `where` names the bundle."""

    top: str
    lines: Mapping[str, Line]
    where: str
    made: dict[str, str] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    times: list[tuple[str, int]] = field(default_factory=list)

    def take(self, member: tarfile.TarInfo, archive: tarfile.TarFile) -> None:
        """Make what one member stands for; raises SiteError when the list has it not, or otherwise."""
        path = "/" + member.name.partition("/")[2].rstrip("/") if "/" in member.name else "/"
        line = self.lines.get(path)
        if line is None or path in self.seen or not (member.name == ROOTIMG or member.name.startswith(f"{ROOTIMG}/")):
            raise SiteError.of(f"{self.where}, {member.name!r}", "is not in the signed list", REFUSED)
        self.seen.add(path)
        first = line[2] if line[1] == "h" else path
        real = self.lines[first]
        if real[1] == "d":
            self._directory(path)
        elif first in self.made:
            os.link(self.made[first], self.top + path, follow_symlinks=False)
            return
        elif real[1] == "f":
            stream = archive.extractfile(member) if member.isreg() else None
            if stream is None:
                raise SiteError.of(f"{self.where}, {path}", "is no file in the bundle", REFUSED)
            self._file(path, real, stream, member.issparse())
        elif real[1] == "l":
            os.symlink(real[6], self.top + path)
        else:
            device = os.makedev(int(real[6]), int(real[7])) if real[1] in "cb" else 0
            os.mknod(self.top + path, SPECIAL[real[1]] | 0o600, device)
        self.made[first] = self.top + path
        self._dress(path, real)
        self.times.append((path, modified(member)))

    def _directory(self, path: str) -> None:
        if path != "/":
            os.mkdir(self.top + path, 0o700)

    def _file(self, path: str, line: Line, stream: IO[bytes], sparse: bool) -> None:
        opened = os.open(self.top + path, NEW, 0o600)
        with os.fdopen(opened, "wb") as target:
            digest, size = copied(stream, target, sparse, line[6])
        if (size, digest) != (line[6], line[7]):
            raise SiteError.of(f"{self.where}, {path}", "has another content than was signed", REFUSED)

    def _dress(self, path: str, line: Line) -> None:
        """Give owner, mode and attributes; a change of owner takes capabilities away, so they come last."""
        place = self.top + path
        os.chown(place, line[3], line[4], follow_symlinks=False)
        if line[1] != "l":
            os.chmod(place, int(line[2], 8))
        for name, value in line[5].items():
            os.setxattr(place, name, bytes.fromhex(value), follow_symlinks=False)

    def end(self) -> None:
        """Set the times, the deepest first; raises SiteError for what the list has and the bundle had not."""
        missing = sorted(set(self.lines) - self.seen)
        if missing:
            raise SiteError.of(f"{self.where}, {missing[0]}", f"is missing, and {len(missing) - 1} more", REFUSED)
        for path, modified in sorted(self.times, reverse=True):
            os.utime(self.top + path, ns=(modified, modified), follow_symlinks=False)


def modified(member: tarfile.TarInfo) -> int:
    """Return the time of a member in nanoseconds, as exactly as the archive says it: a float of Python holds less."""
    match = EXACT.fullmatch(str(member.pax_headers.get("mtime", member.mtime)))
    if not match or int(match.group(1)) > LATEST:
        return 0
    return int(match.group(1)) * 1_000_000_000 + int((match.group(2) or "")[:9].ljust(9, "0"))


def copied(stream: IO[bytes], target: IO[bytes], sparse: bool, most: int) -> tuple[str, int]:
    """Copy a file, at most a piece beyond `most` bytes, and return digest and size; holes of a sparse one stay holes."""
    digest, size = hashlib.sha256(), 0
    while piece := stream.read(PIECE):
        digest.update(piece)
        size += len(piece)
        if size > most:
            break
        if not sparse:
            target.write(piece)
            continue
        for start in range(0, len(piece), HOLE):
            block = piece[start : start + HOLE]
            if block.strip(b"\0"):
                target.write(block)
            else:
                target.seek(len(block), os.SEEK_CUR)
    target.truncate(min(size, most))
    return digest.hexdigest(), size


def unpack(archive: tarfile.TarFile, files: Mapping[str, Mapping[str, object]], tree_list: str, directory: str, where: str) -> None:
    """Take the files of a generation and its tree out into `directory`; raises SiteError at the first thing that was not signed."""
    for name, one in files.items():
        member, stream = plain(archive, where, name)
        with os.fdopen(os.open(os.path.join(directory, name), NEW, 0o644), "wb") as target:
            digest, size = copied(stream, target, False, int(str(one["size"])))
        if (size, digest) != (one["size"], one["sha256"]) or member.size != size:
            raise SiteError.of(f"{where}, {name}", "has another content than was signed", REFUSED)
    lines = unpacked(read_bytes(os.path.join(directory, tree_list)) or b"", where)
    checked_list(lines, where)
    top = os.path.join(directory, ROOTIMG)
    os.mkdir(top, 0o700)
    tree = Unpacking(top, lines, where)
    following = archive.next()
    while following is not None:
        tree.take(following, archive)
        following = archive.next()
    tree.end()
