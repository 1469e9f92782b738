# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process beside this one, with mounts of its own, that is asked over a socket and may be given up at any moment.

What it mounts nobody else sees, and the kernel drops it with the process, whatever ends that: it is killed when an answer
is late, and by the kernel when this process dies. So a file system whose server is gone can stop this process only.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import struct
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Union

from .commands import ENVIRONMENT

CLONE_NEWNS = 0x00020000
MS_REC, MS_PRIVATE = 0x4000, 1 << 18
PR_SET_PDEATHSIG = 1
HEAD = struct.Struct("!cI")
VALUE, BYTES, END, TROUBLE = b"v", b"b", b".", b"!"
BURIAL = 2.0
"""Seconds in which a killed process is waited for; one that the kernel holds longer is left to it."""

Piece = Union[bytes, Any]
Serve = Callable[[list[Any]], Iterable[Piece]]

_libc = ctypes.CDLL(None, use_errno=True)


class LateError(Exception):
    """Raised when no piece of an answer came in time, or the process ended; it is gone then."""


def _checked(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def own_mounts() -> None:
    """Give this process mounts of its own: none that it makes is seen elsewhere, and none made elsewhere comes in."""
    _checked(_libc.unshare(CLONE_NEWNS))
    _checked(_libc.mount(b"none", b"/", None, ctypes.c_ulong(MS_REC | MS_PRIVATE), None))


def _send(link: socket.socket, kind: bytes, content: bytes = b"") -> None:
    link.sendall(HEAD.pack(kind, len(content)) + content)


def _take(link: socket.socket, length: int) -> bytes:
    taken = b""
    while len(taken) < length:
        piece = link.recv(length - len(taken))
        if not piece:
            raise EOFError
        taken += piece
    return taken


def _answer(link: socket.socket, serve: Serve, request: list[Any], separate: bool) -> bool:
    """Answer one request; return whether this process has mounts of its own, which the first request gives it."""
    try:
        if not separate:
            own_mounts()
            separate = True
        for piece in serve(request):
            if isinstance(piece, bytes):
                _send(link, BYTES, piece)
            else:
                _send(link, VALUE, json.dumps(piece).encode("ascii"))
        _send(link, END)
    except OSError as error:
        _send(link, TROUBLE, json.dumps([error.errno or 0, error.strerror or str(error)]).encode("ascii"))
    return separate


def _become_aside(link: socket.socket, serve: Serve, above: int) -> None:
    """What the process does from its birth on; it holds nothing of this one but the socket, so nobody waits for it."""
    os.setsid()
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != above:
        return
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) != link.fileno():
            with contextlib.suppress(OSError):
                os.close(int(name))
    os.chdir("/")
    os.environ.clear()
    os.environ.update(ENVIRONMENT)
    separate = False
    while True:
        request = json.loads(_take(link, HEAD.unpack(_take(link, HEAD.size))[1]))
        separate = _answer(link, serve, request, separate)


class Aside:
    """The process; `serve` runs in it: it takes a request and gives the pieces of its answer, bytes or what JSON can hold."""

    def __init__(self, serve: Serve) -> None:
        self.link, other = socket.socketpair()
        above = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self.link.close()
                _become_aside(other, serve, above)
            finally:
                os._exit(0)
        other.close()

    def ask(self, request: list[Any], limit: float) -> Iterator[Piece]:
        """Give the pieces of the answer as they come; each, and the end, within `limit` seconds of the one before.

        Raises OSError as `serve` raised it, and LateError, with the process killed, when a piece is late.
        An answer that is not taken to its end ends the process.
        """
        ended = False
        try:
            self._request(request, limit)
            while not ended:
                kind, content = self._frame()
                ended = kind in (END, TROUBLE)
                if kind == TROUBLE:
                    number, text = json.loads(content)
                    raise OSError(number, text)
                if kind != END:
                    yield content if kind == BYTES else json.loads(content)
        finally:
            if not ended:
                self.close()

    def _request(self, request: list[Any], limit: float) -> None:
        if self.pid == 0:
            raise LateError
        try:
            self.link.settimeout(limit)
            _send(self.link, VALUE, json.dumps(request).encode("ascii"))
        except OSError as error:
            raise LateError from error

    def _frame(self) -> tuple[bytes, bytes]:
        try:
            kind, length = HEAD.unpack(_take(self.link, HEAD.size))
            return kind, _take(self.link, length)
        except (OSError, EOFError) as error:
            raise LateError from error

    def close(self) -> None:
        """End the process, and with it what it mounted and what it runs."""
        if self.pid == 0:
            return
        pid, self.pid = self.pid, 0
        self.link.close()
        for kill in (os.killpg, os.kill):
            with contextlib.suppress(ProcessLookupError):
                kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + BURIAL
        while time.monotonic() < deadline:
            try:
                if os.waitpid(pid, os.WNOHANG)[0]:
                    return
            except ChildProcessError:
                return
            time.sleep(0.005)
