# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A private copy of a root tree, brought to what is packed: entries back in their places, excluded paths gone, times settled.

The tree that nodes may be running from is only read. Every format is made of the copy, so they all hold the same.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256

from ..apply.commands import run_command
from ..errors import Fault, SiteError, raise_faults

LARGEST_IN_CPIO = 0xFFFFFFFF
"""Bytes of a file: the newc format has eight hexadecimal digits for them."""

XATTR_ARCHIVE = ".statelite-xattrs.tar"
"""In a cpio, which has no place for extended attributes, and in a squashfs, which has none for access lists: the files that have
some, as a tar that the node unpacks last, into its own memory."""

LABEL = "security.selinux"
ACL_PREFIX = "system.posix_acl_"


@dataclass(frozen=True)
class Found:
    """What stands in a tree: paths as find tells them (`.`, `./etc`, `./etc/hosts`), and what lstat(2) says."""

    entries: Mapping[str, os.stat_result]

    @property
    def size(self) -> int:
        """Bytes of all files, each counted once however many names it has."""
        sizes = {(found.st_dev, found.st_ino): found.st_size for found in self.entries.values() if stat.S_ISREG(found.st_mode)}
        return sum(sizes.values())

    @property
    def files(self) -> int:
        """Names that are no directories."""
        return sum(not stat.S_ISDIR(found.st_mode) for found in self.entries.values())

    @property
    def newest(self) -> int:
        """The latest time of change, in seconds."""
        return max(int(found.st_mtime) for found in self.entries.values())


@contextmanager
def opened(tree: str) -> Iterator[int]:
    """Give the descriptor of a tree: everything below is reached from it, and no link is followed."""
    descriptor = os.open(tree, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _directories(descriptor: int) -> Iterator[tuple[str, list[str], list[str], int]]:
    """Yield each directory with its path, deepest first: directories and others in it, and a descriptor of it."""

    def refuse(error: OSError) -> None:
        raise error

    yield from os.fwalk(".", topdown=False, onerror=refuse, follow_symlinks=False, dir_fd=descriptor)


def look(tree: str) -> Found:
    """Return everything in a tree; raises SiteError when something is mounted in it."""
    entries: dict[str, os.stat_result] = {}
    with opened(tree) as descriptor:
        entries["."] = os.fstat(descriptor)
        for path, directories, others, held in _directories(descriptor):
            for name in (*directories, *others):
                entries[f"{path}/{name}"] = os.stat(name, dir_fd=held, follow_symlinks=False)
    device = entries["."].st_dev
    mounted = sorted(path for path, found in entries.items() if found.st_dev != device)
    if mounted:
        raise SiteError.of(tree, f"something is mounted at {mounted[0]}", "Unmount it and run packimage again")
    return Found(entries)


def stamp(tree: str) -> str:
    """Return a digest that changes whenever anything in the tree does: made of what lstat(2) says, no content is read."""
    digest = sha256()
    entries = look(tree).entries
    for path in sorted(entries):
        found = entries[path]
        said = (found.st_ino, found.st_mode, found.st_uid, found.st_gid, found.st_size, found.st_rdev, found.st_ctime_ns)
        digest.update(f"{path}\0{said}\0".encode("utf-8", "surrogateescape"))
    return f"sha256:{digest.hexdigest()}"


def copy(tree: str, target: str, limit: float) -> None:
    """Copy a tree with owners, modes, times, attributes, hard links and device nodes; stretches of zeros become holes."""
    mend = "Make room on the file system of the images, and run packimage again"
    run_command(["cp", "--archive", "--sparse=always", "--no-target-directory", "--", tree, target], limit=limit, mend=mend)


def remove(tree: str, gone: Sequence[str]) -> None:
    """Remove the paths, deepest first, each by the directory that holds it; no link is followed."""
    if not gone:
        return
    leaving = set(gone)
    with opened(tree) as descriptor:
        for path, directories, others, held in _directories(descriptor):
            for name in (*others, *directories):
                if f"{path}/{name}" not in leaving:
                    continue
                # A link to a directory is told among the directories.
                if stat.S_ISDIR(os.stat(name, dir_fd=held, follow_symlinks=False).st_mode):
                    os.rmdir(name, dir_fd=held)
                else:
                    os.unlink(name, dir_fd=held)


def settle(tree: str, entries: Mapping[str, os.stat_result], newest: int) -> None:
    """Give everything in whole seconds the time that `entries` have, but none after `newest`, and attributes in one order."""
    with opened(tree) as descriptor:
        for path, directories, others, held in _directories(descriptor):
            for name in (*directories, *others):
                _settle_attributes(f"/proc/self/fd/{held}/{name}")
                _settle_time(name, held, entries[f"{path}/{name}"], newest)
        _settle_time(".", descriptor, entries["."], newest)


def _settle_time(name: str, held: int, found: os.stat_result, newest: int) -> None:
    moment = min(int(found.st_mtime), newest)
    os.utime(name, (moment, moment), dir_fd=held, follow_symlinks=name == ".")


def _settle_attributes(path: str) -> None:
    """Set several attributes of one file again in the order of their names: tools list them in the order they were set in."""
    names = attributes(path)
    if len(names) > 1:
        values = {name: os.getxattr(path, name, follow_symlinks=False) for name in sorted(names)}
        for name in values:
            os.removexattr(path, name, follow_symlinks=False)
        for name, value in values.items():
            os.setxattr(path, name, value, follow_symlinks=False)


def attributes(path: str) -> list[str]:
    """Return the names of a file's extended attributes; none where the file system has none."""
    try:
        return os.listxattr(path, follow_symlinks=False)
    except OSError:
        return []


def with_attributes(tree: str, entries: Iterable[str]) -> dict[str, list[str]]:
    """Return the paths that have extended attributes, with their names."""
    found = {path: attributes(f"{tree}/{path}") for path in entries}
    return {path: sorted(names) for path, names in found.items() if names}


def with_lists(attributed: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    """Return the paths that have access lists (POSIX ACL)."""
    return {path: names for path, names in sorted(attributed.items()) if any(name.startswith(ACL_PREFIX) for name in names)}


def unfit(
    entries: Mapping[str, os.stat_result], attributed: Mapping[str, Sequence[str]], method: str, tree: str, read_only: bool = False
) -> None:
    """Raise SiteError for what the format cannot hold, each by its path: nothing is left out of a pack without a word.

    `read_only` says that the node mounts the file system without a layer, so that nothing can be added to it there.
    """
    faults = []
    if method == "cpio":
        mend = "Pack as tar, squashfs or erofs, or exclude the file"
        faults += [
            Fault(f"{tree}{path[1:]}", f"a cpio holds no file of {found.st_size} bytes", mend)
            for path, found in entries.items()
            if stat.S_ISREG(found.st_mode) and found.st_size > LARGEST_IN_CPIO
        ]
    if f"./{XATTR_ARCHIVE}" in entries:
        faults.append(Fault(f"{tree}/{XATTR_ARCHIVE}", "the name is packimage's own", "Remove or exclude it"))
    if method == "squashfs" and read_only:
        mend = "Pack as cpio, tar or erofs, or take the access list away (setfacl --remove-all)"
        faults += [Fault(f"{tree}{path[1:]}", "squashfs holds no access lists (POSIX ACL)", mend) for path in with_lists(attributed)]
    raise_faults(faults)
