# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel and initramfs of an image below the TFTP directory, replaced as a pair in one step."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..apply.files import sync_directory
from ..errors import Fault, SiteError

EXCHANGE = 2
"""RENAME_EXCHANGE of renameat2(2)."""

AT_CWD = -100
MOVE_AWAY = "Move it away, then run this again"


@dataclass(frozen=True)
class Pair:
    """A kernel and an initramfs, and the directory below the TFTP root that nodes fetch both from."""

    directory: str
    sources: Mapping[str, str]

    def path(self, name: str) -> str:
        """Return the path of one of the two as a boot file names it."""
        return f"{self.directory}/{name}"

    def differs(self, tftpdir: str) -> bool:
        """Return whether the copies are missing or are not those of the sources (size and time of change), or a run was cut off."""
        if os.path.isdir(self._staging(tftpdir)):
            return True
        for name, source in self.sources.items():
            try:
                copy = os.lstat(os.path.join(tftpdir, self.directory, name))
            except (FileNotFoundError, NotADirectoryError):
                return True
            own = os.stat(source)
            if (copy.st_size, copy.st_mtime_ns) != (own.st_size, own.st_mtime_ns):
                return True
        return False

    def obstacles(self, tftpdir: str) -> list[Fault]:
        """Return what stands where `put` needs a directory."""
        target, staging = os.path.join(tftpdir, self.directory), self._staging(tftpdir)
        what = "is a file or a link, and a directory with a boot loader's files belongs there"
        found = [path for path in (target, staging) if os.path.islink(path) or os.path.isfile(path)]
        return [Fault(path, what, MOVE_AWAY) for path in found] or no_directories([os.path.dirname(target)])

    def put(self, tftpdir: str) -> None:
        """Copy both into a new directory and put it in place by one rename; what else was in the old one moves along."""
        target, staging = os.path.join(tftpdir, self.directory), self._staging(tftpdir)
        parent = os.path.dirname(target)
        os.makedirs(parent, exist_ok=True)
        if os.path.isdir(staging):
            # Of a run that was killed: it may be the old one by now.
            self._move_along(staging, target)
        os.mkdir(staging, 0o755)
        for name, source in self.sources.items():
            copy = os.path.join(staging, name)
            shutil.copyfile(source, copy)
            shutil.copystat(source, copy)
            os.chmod(copy, 0o644)
            with open(copy, "rb") as stream:
                os.fsync(stream.fileno())
        sync_directory(staging)
        if os.path.isdir(target) and not os.path.islink(target):
            exchange(staging, target)
            self._move_along(staging, target)
        else:
            os.rename(staging, target)
        sync_directory(parent)

    def _staging(self, tftpdir: str) -> str:
        above, name = os.path.split(os.path.join(tftpdir, self.directory))
        return os.path.join(above, f".{name}.new")

    def _move_along(self, old: str, target: str) -> None:
        """Remove the old directory; what is not of the pair goes into the target, where that has no such name."""
        for name in sorted(set(os.listdir(old)) - set(self.sources)):
            place = os.path.join(target, name)
            if os.path.isdir(target) and not os.path.lexists(place):
                os.rename(os.path.join(old, name), place)
        shutil.rmtree(old)


def no_directories(paths: Iterable[str]) -> list[Fault]:
    """Return the fault of what is no directory and stands nearest at or above each path, where a directory is to be."""
    found: dict[str, None] = {}
    for path in paths:
        near = os.path.abspath(path)
        while not os.path.lexists(near):
            near = os.path.dirname(near)
        if not os.path.isdir(near):
            found[near] = None
    return [Fault(near, "is not a directory, and boot files belong below it", MOVE_AWAY) for near in found]


def exchange(one: str, other: str) -> None:
    """Swap two paths of one file system in one step, so that a reader finds either pair whole."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.renameat2(AT_CWD, os.fsencode(one), AT_CWD, os.fsencode(other), EXCHANGE) != 0:
        code = ctypes.get_errno()
        raise SiteError.of(other, f"cannot be replaced in one step ({os.strerror(code)})", _exchange_mend(code))


def _exchange_mend(code: int) -> str:
    if code in (errno.EINVAL, errno.ENOSYS):
        return "Put the TFTP directory on a file system that can exchange directories, such as ext4, xfs or btrfs"
    return "Remove it and run nodeset again"
