# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in an image only while something runs in it: no daemon starts, names are resolved, no machine leaves its traces.

It stands in a copy of the tree that nobody uses yet, so a killed run leaves none of it in an image.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager

from ..apply.files import read_bytes
from ..apply.root import Root
from ..image.identity import left_behind
from ..image.tree import drop

RESOLVER = "/etc/resolv.conf"
KEPT_RESOLVER = "/etc/.resolv.conf.statelite"
POLICY = "/usr/sbin/policy-rc.d"
REFUSES = b"#!/bin/sh\nexit 101\n"
"""Of Debian's invoke-rc.d: whatever a package's script asks for is not done, and that is no failure."""

MACHINE_ID = "/etc/machine-id"
ENVIRONMENT = {"SYSTEMD_OFFLINE": "1", "DEBIAN_FRONTEND": "noninteractive", "INITRD": "No"}
"""For what runs in an image: systemctl only enables and disables, no questions, no initramfs by the kernel package's scripts."""


class _Put:
    """Files of ours in a tree, each taken back unless something else stands in its place by then."""

    def __init__(self, root: Root) -> None:
        self.root = root
        self.ours: dict[str, bytes] = {}
        self.times: dict[str, tuple[int, int, int]] = {}

    def _directory(self, path: str) -> str:
        return path.rpartition("/")[0]

    def begin(self) -> None:
        """Note the times of the directories."""
        for directory in (self._directory(RESOLVER), self._directory(POLICY)):
            found = self.root.lstat(directory)
            if found is not None and stat.S_ISDIR(found.st_mode):
                self.times[directory] = (found.st_atime_ns, found.st_mtime_ns, 0)

    def write(self, path: str, content: bytes, mode: int) -> None:
        """Write one file."""
        self.root.replace(path, content, mode)
        self.ours[path] = content

    def stands(self) -> None:
        """Note the times that the directories have now; one that has them still at the end gets back its own."""
        for directory, (accessed, modified, _now) in self.times.items():
            found = self.root.lstat(directory)
            self.times[directory] = (accessed, modified, found.st_mtime_ns if found is not None else 0)

    def untouched(self) -> set[str]:
        """Return the directories in which nothing came or went."""
        found = {directory: self.root.lstat(directory) for directory in self.times}
        return {directory for directory, status in found.items() if status is not None and status.st_mtime_ns == self.times[directory][2]}

    def take_back(self, path: str) -> bool:
        """Remove our file unless something else took its place; return whether it was still ours."""
        if path not in self.ours or self.root.read(path) != self.ours[path]:
            return False
        self.root.unlink(path)
        return True

    def restore_times(self, directories: set[str]) -> None:
        """Give directories back the times that they had."""
        for directory in directories:
            accessed, modified, _now = self.times[directory]
            self.root.utimes(directory, accessed, modified)


@contextmanager
def guarded(rootimg: str, keep_identity: bool, resolver: str = RESOLVER) -> Iterator[None]:
    """Have the guard in the tree while the body runs. What the body puts in the place of our files stays.

    Traces of one machine that the body leaves (host keys, a machine-id) go again, unless they are to be kept: nodes share the image.
    """
    with Root(rootimg) as root:
        before, identity = set(left_behind(root)), root.read(MACHINE_ID)
        put = _Put(root)
        put.begin()
        if root.lstat(RESOLVER) is not None:
            drop(root, KEPT_RESOLVER)
            root.rename(RESOLVER, KEPT_RESOLVER)
        put.write(RESOLVER, read_bytes(resolver) or b"", 0o644)
        found = root.lstat("/usr/sbin")
        if found is not None and stat.S_ISDIR(found.st_mode) and root.lstat(POLICY) is None:
            put.write(POLICY, REFUSES, 0o755)
        put.stands()
    yield
    with Root(rootimg) as root:
        put.root = root
        untouched = put.untouched()
        put.take_back(POLICY)
        if put.take_back(RESOLVER) and root.lstat(KEPT_RESOLVER) is not None:
            root.rename(KEPT_RESOLVER, RESOLVER)
        drop(root, KEPT_RESOLVER)
        put.restore_times(untouched)
        if not keep_identity:
            _forget_machine(root, before, identity)


def _forget_machine(root: Root, before: set[str], identity: bytes | None) -> None:
    for path in set(left_behind(root)) - before:
        drop(root, path)
    status, now = root.lstat(MACHINE_ID), root.read(MACHINE_ID)
    if identity is not None and status is not None and now not in (None, identity):
        root.replace(MACHINE_ID, identity, stat.S_IMODE(status.st_mode))
