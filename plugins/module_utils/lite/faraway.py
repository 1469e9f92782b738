# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories of other servers, mounted by NFS for a moment, read-only, where nobody else sees it, and bounded in time.

Each server is mounted and read by a process of its own (apply/aside.py). A server that does not answer in time is given
up for the rest of the run: what was to be read of it is not known, whatever it would have said later.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..apply.aside import Aside, LateError, Piece
from ..apply.commands import ENVIRONMENT, last_lines
from ..apply.root import Root
from ..errors import SiteError

HOLDER = "/tmp"
"""Covered by a tmpfs in the process's own mounts, for mount points; any directory that is there would do."""
TAKEN = frozenset(
    (
        "vers", "nfsvers", "minorversion", "v3", "v4", "v4.0", "v4.1", "v4.2", "proto", "tcp", "tcp6", "udp", "udp6", "rdma", "port",
        "mountport", "mountproto", "mountvers", "sec", "rsize", "wsize", "resvport", "noresvport", "nconnect",
    )
)  # fmt: skip
"""Options of a row that say how to reach its server (nfs(5)). Others say how a node waits, caches or locks, which is not wanted here."""
OURS = ("ro", "soft", "nolock", "nosuid", "nodev", "noexec", "nosharecache", "retry=0", "retrans=1")
GONE = frozenset(
    (
        errno.EIO, errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.EHOSTDOWN, errno.ENETUNREACH, errno.ENETDOWN, errno.ECONNREFUSED,
        errno.ECONNRESET, errno.ECONNABORTED, errno.ENOTCONN, errno.EPIPE, errno.ESHUTDOWN,
    )
)  # fmt: skip
"""What a soft mount answers when its server does not: one such answer is enough."""
SILENT = (errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.EHOSTDOWN, errno.ENETUNREACH)
"""What mount.nfs says when no server is there; one that refuses may serve another version."""
MOUNT, LIST, READ = "mount", "list", "read"
ROWS, BYTES = 256, 1 << 18

_libc = ctypes.CDLL(None, use_errno=True)


def safe_options(options: str, limit: float) -> str:
    """Return the options of a mount that only reads and gives up: of `options` those that say how to reach the server."""
    kept = [option.strip() for option in options.split(",") if option.strip().split("=")[0] in TAKEN]
    return ",".join([*dict.fromkeys(kept), *OURS, f"timeo={max(10, int(limit * 2))}"])


def nfs_mount(server: str, directory: str, point: str, options: str) -> list[str]:
    """Return the command that mounts a server's directory; raises OSError when this machine has none."""
    program = shutil.which("mount.nfs", path=ENVIRONMENT["PATH"])
    if program is None:
        raise OSError(errno.ENOENT, "this machine has no mount.nfs: install nfs-common (nfs-utils)")
    return [program, f"[{server}]:{directory}" if ":" in server else f"{server}:{directory}", point, "-n", "-o", options]


class Reader:
    """What the process aside does: mounts directories, and lists and reads what they hold (apply/root.py)."""

    def __init__(self) -> None:
        self.roots: list[Root] = []

    def serve(self, request: Sequence[Any]) -> Iterator[Piece]:
        """Give the pieces of one answer; raises OSError."""
        verb, *rest = request
        if verb == MOUNT:
            yield self.mount(rest)
        elif verb == LIST:
            yield from self.listed(self.roots[rest[0]], rest[1])
        elif verb == READ:
            yield from self.roots[rest[0]].pieces(rest[1], BYTES)

    def listed(self, root: Root, path: str) -> Iterator[Piece]:
        """Give what a directory holds, some rows at a time.

        A directory that is an export of its own (NFSv4 mounts it over the name when it is opened) is not read through the one
        around it: apply/root.py would refuse what is below, and its list alone would show it as empty.
        """
        rows = []
        for name, found, text in root.scan(path):
            rows.append((name, found.st_mode, found.st_uid, found.st_gid, text))
            if len(rows) == ROWS:
                yield rows
                rows = []
        there = root.lstat(path)
        if there is not None and there.st_dev != os.fstat(root.descriptor).st_dev:
            raise OSError(errno.EXDEV, "another directory of the server is mounted there")
        yield rows

    def mount(self, words: Sequence[str]) -> list[int]:
        """Mount a directory; return its number and the mode and owners of its root."""
        if not self.roots and not os.path.ismount(HOLDER) and _libc.mount(b"statelite", HOLDER.encode(), b"tmpfs", 0, None) != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"{HOLDER}: {os.strerror(number)}")
        point = f"{HOLDER}/{len(self.roots)}"
        os.makedirs(point, exist_ok=True)
        server, directory, options = words
        # The mount must not outlive this process: nobody else waits for it.
        command = ["setpriv", "--pdeathsig", "KILL", *nfs_mount(server, directory, point, options)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if done.returncode != 0:
            said = last_lines(done.stdout.decode(errors="replace"), 3).replace("\n", "; ")
            said += " (the kernel here has no NFS)" if "No such device" in said else ""
            gone = next((number for number in SILENT if os.strerror(number) in said), errno.EPERM)
            raise OSError(gone, said or f"mount.nfs ended with status {done.returncode}")
        try:
            root = Root(point)
        except SiteError as error:
            cause = error.__cause__
            raise OSError(errno.EPERM, cause.strerror if isinstance(cause, OSError) else str(error)) from error
        self.roots.append(root)
        found = os.fstat(root.descriptor)
        return [len(self.roots) - 1, found.st_mode, found.st_uid, found.st_gid]


@dataclass
class Server:
    """One server; `gone` is why it is not asked any more."""

    address: str
    limit: float
    gone: str = ""
    _aside: Aside | None = None

    def ask(self, request: list[Any]) -> list[Any]:
        """Return the pieces of an answer; raises OSError, with the reason in words when the server has been given up."""
        if self.gone:
            raise OSError(errno.EHOSTDOWN, self.gone)
        if self._aside is None:
            self._aside = Aside(Reader().serve)
        try:
            return list(self._aside.ask(request, self.limit))
        except LateError as error:
            self.gone = f"{self.address} did not answer within {self.limit:g} s"
            raise OSError(errno.EHOSTDOWN, self.gone) from error
        except OSError as error:
            if error.errno in GONE:
                self.gone = f"{self.address} does not answer: {error.strerror}"
                self.close()
            raise

    def close(self) -> None:
        """End what mounts and reads."""
        if self._aside is not None:
            self._aside.close()
            self._aside = None


@dataclass(frozen=True)
class Mounted:
    """A directory of a server that is mounted, or one below it (`inside`); its paths begin with a slash."""

    name: str
    mode: int
    owner: int
    group: int
    server: Server
    number: int
    inside: str = ""

    def listed(self, path: str) -> list[tuple[str, int, int, int, str]]:
        """Return (name, mode, owner, group, text of a symbolic link) of everything in a directory; raises OSError."""
        place = f"{self.inside}{path}"
        return [tuple(row) for rows in self.server.ask([LIST, self.number, place]) for row in rows]

    def content(self, path: str) -> bytes:
        """Return the content of a file; raises OSError."""
        return b"".join(self.server.ask([READ, self.number, f"{self.inside}{path}"]))

    def below(self, name: str) -> Mounted | None:
        """Return the directory called `name` in this one; None when it is not seen there or can't be read."""
        try:
            row = next((row for row in self.listed("/") if row[0] == name), None)
            found = Mounted(f"{self.name}/{name}", *(row or (name, 0, 0, 0))[1:4], self.server, self.number, f"{self.inside}/{name}")
            if row is not None:
                found.listed("/")
        except OSError:
            return None
        return found if row is not None else None


@dataclass
class FarServers:
    """The servers of one run, and what was mounted of them: each directory once. A context manager."""

    limit: float
    _servers: dict[str, Server] = field(default_factory=dict)
    _known: dict[tuple[str, str, str], Mounted | str] = field(default_factory=dict)

    def __enter__(self) -> FarServers:
        return self

    def __exit__(self, *_given: object) -> None:
        for server in self._servers.values():
            server.close()

    def mounted(self, address: str, directory: str, options: str) -> Mounted | str:
        """Return a server's directory, mounted; or why it can't be."""
        safe = safe_options(options, self.limit)
        key = (address, directory, safe)
        if key not in self._known:
            server = self._servers.setdefault(address, Server(address, self.limit))
            try:
                number, mode, owner, group = server.ask([MOUNT, address, directory, safe])[0]
                self._known[key] = Mounted(f"{address}:{directory}", mode, owner, group, server, number)
            except OSError as error:
                self._known[key] = f"{address}:{directory} can't be mounted here: {error.strerror}"
        return self._known[key]
