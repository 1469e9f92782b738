# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write whole files and links so that a reader sees the old or the new content, never a part."""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

FEW = 64
"""Up to how many files are synced one by one; a sync of the whole file system waits for what others write too."""

LINK_IN_WORK = ".statelite-link-"
"""How the name of a link begins that has not been renamed to its place yet."""


STAGING = ".statelite-all-"
"""How the name of a directory begins that holds what `write_all` has not renamed to its place yet."""


def read_bytes(path: str) -> bytes | None:
    """Return the content of `path`, or None when there is no such file."""
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except (FileNotFoundError, NotADirectoryError):
        return None


def sync_directory(path: str) -> None:
    """Make renames in the directory `path` durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_file(path: str, content: bytes, mode: int = 0o644, owner: int = -1, group: int = -1) -> None:
    """Replace `path` by `content`: temporary file in the same directory, attributes, fsync, rename."""
    directory = os.path.dirname(path) or "."
    descriptor, temporary = tempfile.mkstemp(prefix=".statelite-", dir=directory)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            os.fchmod(stream.fileno(), mode)
            if owner != -1 or group != -1:
                os.fchown(stream.fileno(), owner, group)
            stream.flush()
            os.fsync(stream.fileno())
        os.rename(temporary, path)
    except BaseException:
        if os.path.lexists(temporary):
            os.unlink(temporary)
        raise
    sync_directory(directory)


def write_link(path: str, target: str) -> None:
    """Make `path` a symbolic link to `target` by one rename."""
    directory = os.path.dirname(path) or "."
    temporary = os.path.join(directory, f"{LINK_IN_WORK}{os.getpid()}")
    if os.path.lexists(temporary):
        os.unlink(temporary)
    os.symlink(target, temporary)
    os.rename(temporary, path)
    sync_directory(directory)


def write_all(
    directory: str, files: Mapping[str, bytes], links: Mapping[str, str], same: Mapping[str, str] | None = None, mode: int = 0o644
) -> None:
    """Replace many files and links of one directory, each in one step; all content is on the disk before the first of them.

    `same` are further names of files that are in their place, by hard links: the path of the file by name. For many files one
    sync of the file system stands for one of each, which takes minutes for the nodes of a large site. What a killed run left
    in the directory is removed first.
    """
    if not files and not links and not same:
        return
    with _alone(directory) as is_alone:
        if is_alone:
            _remove_leftovers(directory)
        _replace(directory, files, links, same or {}, mode)


def _replace(directory: str, files: Mapping[str, bytes], links: Mapping[str, str], same: Mapping[str, str], mode: int) -> None:
    staging = tempfile.mkdtemp(prefix=STAGING, dir=directory)
    place, beside = os.open(directory, os.O_RDONLY | os.O_DIRECTORY), os.open(staging, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for name, content in files.items():
            _write_at(beside, name, content, mode, len(files) <= FEW)
        if len(files) > FEW:
            _sync_file_system(directory)
        for name in files:
            os.rename(name, name, src_dir_fd=beside, dst_dir_fd=place)
        for name, target in links.items():
            _link_at(place, beside, name, target, _symbolic)
        for name, path in same.items():
            _link_at(place, beside, name, path, _hard)
        os.fsync(place)
    finally:
        os.close(beside)
        os.close(place)
        shutil.rmtree(staging)


def _write_at(directory: int, name: str, content: bytes, mode: int, sync: bool) -> None:
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode, dir_fd=directory)
    try:
        left = memoryview(content)
        while left:
            left = left[os.write(descriptor, left) :]
        os.fchmod(descriptor, mode)
        if sync:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _symbolic(directory: int, name: str, target: str) -> None:
    os.symlink(target, name, dir_fd=directory)


def _hard(directory: int, name: str, path: str) -> None:
    os.link(path, name, dst_dir_fd=directory, follow_symlinks=False)


def _link_at(place: int, beside: int, name: str, target: str, make: Callable[[int, str, str], None]) -> None:
    """Make a link: at once where nothing has its name, else beside and by a rename."""
    try:
        make(place, name, target)
    except FileExistsError:
        make(beside, name, target)
        os.rename(name, name, src_dir_fd=beside, dst_dir_fd=place)


@contextmanager
def _alone(directory: str) -> Iterator[bool]:
    """Wait for another writer of the directory and keep others out; False where directories cannot be locked, as over NFS."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            locked = True
        except OSError:
            locked = False
        yield locked
    finally:
        os.close(descriptor)


def _remove_leftovers(directory: str) -> None:
    with os.scandir(directory) as entries:
        left = [entry.path for entry in entries if entry.name.startswith(STAGING) and entry.is_dir(follow_symlinks=False)]
    for path in left:
        shutil.rmtree(path)


def _sync_file_system(path: str) -> None:
    """Put everything that was written to the file system of `path` on its disk (syncfs(2), else sync(2))."""
    syncfs = getattr(ctypes.CDLL(None), "syncfs", None)
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if syncfs is None or syncfs(descriptor) != 0:
            os.sync()
    finally:
        os.close(descriptor)
