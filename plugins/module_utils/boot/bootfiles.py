# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one TFTP directory holds of ours: nodes' boot files and links, and each image's kernel and initramfs as a pair."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from ..apply.files import read_bytes, sync_directory, write_all
from ..errors import SiteError
from . import pxelinux

EXCHANGE = 2
"""RENAME_EXCHANGE of renameat2(2)."""

AT_CWD = -100


@dataclass(frozen=True)
class Pair:
    """A kernel and an initramfs, and the directory below the TFTP root that nodes fetch both from."""

    directory: str
    sources: Mapping[str, str]

    def path(self, name: str) -> str:
        """Return the path of one of the two as a boot file names it."""
        return f"{self.directory}/{name}"

    def differs(self, tftpdir: str) -> bool:
        """Return whether the copies are missing or are not those of the sources (size and time of change)."""
        for name, source in self.sources.items():
            try:
                copy = os.lstat(os.path.join(tftpdir, self.directory, name))
            except (FileNotFoundError, NotADirectoryError):
                return True
            own = os.stat(source)
            if (copy.st_size, copy.st_mtime_ns) != (own.st_size, own.st_mtime_ns):
                return True
        return False

    def put(self, tftpdir: str) -> None:
        """Copy both into a new directory and put it in place by one rename; what else was in the old one moves along."""
        target = os.path.join(tftpdir, self.directory)
        parent = os.path.dirname(target)
        os.makedirs(parent, exist_ok=True)
        staging = os.path.join(parent, f".{os.path.basename(target)}.new")
        shutil.rmtree(staging, ignore_errors=True)
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
            for name in set(os.listdir(staging)) - set(self.sources):
                os.rename(os.path.join(staging, name), os.path.join(target, name))
            shutil.rmtree(staging)
        else:
            os.rename(staging, target)
        sync_directory(parent)


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


@dataclass
class BootFiles:
    """What is wanted in one TFTP directory; nodes of `known` that are not named keep what they have.

    `texts` is the text of each node's file, `links` the node that each link leads to, `recorded` the nodes whose files were
    written here before. A file that is not recorded is somebody else's, and so is one that somebody wrote over ours.
    """

    tftpdir: str
    known: frozenset[str]
    texts: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    pairs: dict[str, Pair] = field(default_factory=dict)
    recorded: frozenset[str] = frozenset()
    written: list[str] = field(default_factory=list, init=False)
    linked: list[str] = field(default_factory=list, init=False)
    removed: list[str] = field(default_factory=list, init=False)
    copied: list[str] = field(default_factory=list, init=False)
    going: set[str] = field(default_factory=set, init=False)

    @property
    def directory(self) -> str:
        """The directory of boot files."""
        return os.path.join(self.tftpdir, pxelinux.DIRECTORY)

    def compare(self, named: Collection[str]) -> None:
        """Read the directory and note what is to be done.

        Of the nodes `named` in this run, those without a text here have another directory now: they go, like nodes that are no more.
        """
        self.copied = sorted(name for name, pair in self.pairs.items() if pair.differs(self.tftpdir))
        files, links = self._present()
        self.written = sorted(node for node, text in self.texts.items() if self._read(node) != text)
        self.linked = sorted(name for name, node in self.links.items() if links.get(name) != node)
        self.going = {name for name in self.recorded if name not in self.texts and (name not in self.known or name in named)}
        gone = {name for name in self.going if name in files and self._is_ours(name)}
        left = self.going - (files - gone)
        stale = {
            name
            for name, node in links.items()
            if name not in self.links and pxelinux.is_link_name(name) and (node in left or node in self.texts)
        }
        self.removed = sorted(gone) + sorted(stale)

    @property
    def unrecorded(self) -> bool:
        """Whether the record is all that is to be changed for some node: a file that is as wanted, or one that is gone already."""
        return bool(self.texts.keys() - self.recorded - set(self.written) or self.going - set(self.removed))

    def _present(self) -> tuple[set[str], dict[str, str]]:
        """Return the names of plain files and the targets of links in the directory."""
        files: set[str] = set()
        links: dict[str, str] = {}
        try:
            with os.scandir(self.directory) as entries:
                for entry in entries:
                    if entry.is_symlink():
                        links[entry.name] = os.readlink(entry.path)
                    elif entry.is_file():
                        files.add(entry.name)
        except FileNotFoundError:
            pass
        return files, links

    def _read(self, name: str) -> str | None:
        path = os.path.join(self.directory, name)
        content = None if os.path.islink(path) else read_bytes(path)
        return None if content is None else content.decode(errors="replace")

    def _is_ours(self, name: str) -> bool:
        return pxelinux.is_ours(self._read(name) or "")

    def lines(self) -> list[str]:
        """Return one line a change."""
        below = pxelinux.DIRECTORY
        return [
            *(f"+ {self.tftpdir}/{self.pairs[name].directory}: kernel and initramfs of {name}" for name in self.copied),
            *(f"+ {self.tftpdir}/{below}/{node}: {self.texts[node].splitlines()[0][1:]}" for node in self.written),
            *(f"+ {self.tftpdir}/{below}/{name} -> {self.links[name]}" for name in self.linked),
            *(f"- {self.tftpdir}/{below}/{name}" for name in self.removed),
        ]

    def apply(self) -> None:
        """Pairs first, then files, then links: a node never finds a file whose kernel is not there."""
        for name in self.copied:
            self.pairs[name].put(self.tftpdir)
        if self.written or self.linked:
            os.makedirs(self.directory, exist_ok=True)
        write_all(
            self.directory, {node: self.texts[node].encode() for node in self.written}, {name: self.links[name] for name in self.linked}
        )
        for name in self.removed:
            with suppress(FileNotFoundError):
                os.unlink(os.path.join(self.directory, name))
