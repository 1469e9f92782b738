# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections of nodes to one process of the answer service: TLS on sockets that never block, moved on when they are ready.

asyncio's own streams make a connection known only after its handshake; here each counts from the moment it is accepted, so
nobody holds more than the limits say, and who has waited longest without a whole request makes room for who comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Union

from . import protocol

LOG = logging.getLogger("statelite-answer")
READ, WRITE = 1, 2
AT_ONCE = 8
"""Connections that a process accepts before it looks at those that it has: the others are for processes that have less to do."""
SWEEP = 0.25
"""Seconds between two looks at who is late."""
PART = 65536
LINGER = 5.0
"""Seconds that a client gets to close after its answer."""
FULL = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


@dataclass(frozen=True)
class Limits:
    """Seconds and bytes that one connection gets; connections and bytes of all of them in one process."""

    handshake: float = 15.0
    idle: float = 15.0
    request: float = 60.0
    sending: float = 60.0
    size: int = 4 * 1024 * 1024
    connections: int = 1024
    of_one_address: int = 64
    memory: int = 64 * 1024 * 1024


Reply = Union[bytes, Awaitable[bytes]]
Respond = Callable[[str, str, bytes], "tuple[Reply, bool]"]
"""Takes the peer's address as it connected, the address that it reached and a request; gives the answer, and whether more may be asked."""


class Connection:
    """One client, from accept to close. Every step either goes on to the next one, or waits for the socket."""

    def __init__(self, room: Reception, plain: socket.socket, peer: str) -> None:
        self.peer = peer
        self.begun = room.loop.time()
        self.late = self.begun + room.limits.handshake
        self.held = 0
        self._room = room
        self._mask = 0
        self._received = bytearray()
        self._unsent = memoryview(b"")
        self._more = False
        self._here = plain.getsockname()[0]
        self._socket = room.context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
        self._file = self._socket.fileno()
        self._step = self._handshake

    def move(self) -> None:
        """Take the steps that can be taken now; nothing that a client does is raised from here."""
        if self._file < 0:
            return
        try:
            self._step()
        except ssl.SSLWantReadError:
            self._want(READ)
        except ssl.SSLWantWriteError:
            self._want(WRITE)
        except (OSError, EOFError) as error:
            LOG.info("%s: %s", self.peer, error)
            self.close()
        except Exception:
            LOG.exception("%s: a request could not be answered", self.peer)
            self.close()

    def close(self) -> None:
        """End the connection, whatever it was at."""
        if self._file < 0:
            return
        self._want(0)
        self._file = -1
        self._socket.close()
        self._room.left(self)

    def _want(self, mask: int) -> None:
        """Be moved on when the socket can be read or written, or not at all."""
        loop = self._room.loop
        if mask & READ and not self._mask & READ:
            loop.add_reader(self._file, self.move)
        elif self._mask & READ and not mask & READ:
            loop.remove_reader(self._file)
        if mask & WRITE and not self._mask & WRITE:
            loop.add_writer(self._file, self.move)
        elif self._mask & WRITE and not mask & WRITE:
            loop.remove_writer(self._file)
        self._mask = mask

    def _hold(self, held: int) -> None:
        self._room.held += held - self.held
        self.held = held

    def _handshake(self) -> None:
        self._socket.do_handshake()
        self._await_request()
        self._read()

    def _await_request(self) -> None:
        """Give the client its time for a request, from now on."""
        self._step = self._read
        self.begun = self._room.loop.time()
        self._room.waits_anew(self)
        self.late = self.begun + min(self._room.limits.idle, self._room.limits.request)

    def _read(self) -> None:
        limits, loop = self._room.limits, self._room.loop
        part = self._socket.recv(PART)
        if not part:
            self.close()
            return
        # Only the end may hold the tag that was cut in two: what came before is not searched again.
        known = max(0, len(self._received) - len(protocol.END))
        self._received += part
        self._hold(len(self._received))
        if len(self._received) > limits.size:
            LOG.warning("%s: a request of more than %d bytes; closed", self.peer, limits.size)
            self.close()
        elif not self._take(known):
            self.late = min(loop.time() + limits.idle, self.begun + limits.request)
            self._room.spare_memory()
            self._read_on()

    def _read_on(self) -> None:
        """Wait for more, or come back at once for what TLS holds already: the others have their turn before."""
        if self._file >= 0:
            self._want(READ)
            if self._socket.pending():
                self._room.loop.call_soon(self.move)

    def _take(self, known: int = 0) -> bool:
        """Answer the first request of what was received, whose end tag is not before `known`; return whether there is a whole one."""
        end = protocol.end_of_request(self._received, known)
        if not end:
            return False
        content = bytes(self._received[:end])
        del self._received[:end]
        reply, self._more = self._room.respond(self.peer, self._here, content)
        self.late = self._room.loop.time() + self._room.limits.sending
        if isinstance(reply, bytes):
            self._send_whole(reply)
        else:
            self._want(0)
            self._step = self._wait
            self._room.finish(reply, self)
        return True

    def _wait(self) -> None:
        """Do nothing: the answer is being made."""

    def answered(self, reply: bytes) -> None:
        """Send the answer that was waited for, unless the client has gone."""
        if self._file >= 0:
            self._step = lambda: self._send_whole(reply)
            self.move()

    def _send_whole(self, reply: bytes) -> None:
        self._unsent = memoryview(reply)
        self._hold(len(self._received) + len(reply))
        self._room.spare_memory()
        self._step = self._send
        if self._file >= 0:
            self._send()

    def _send(self) -> None:
        # One part at a time, then the others have their turn.
        self._unsent = self._unsent[self._socket.send(self._unsent[:PART]) :]
        self._hold(len(self._received) + len(self._unsent))
        if self._unsent:
            self._want(WRITE)
        elif self._more:
            self._await_request()
            self._want(READ)
            self._step = self._next
            self._room.loop.call_soon(self.move)
        else:
            self._finish()

    def _next(self) -> None:
        """Answer what the client has asked already, behind its last request."""
        self._step = self._read
        if not self._take():
            self._read_on()

    def _finish(self) -> None:
        """Say that this was all, and leave it to the client to close: what it still sent would cut its answer off."""
        self._received.clear()
        self._hold(0)
        with contextlib.suppress(OSError):
            self._socket.unwrap()
        self._socket.shutdown(socket.SHUT_WR)
        self.late = min(self.late, self._room.loop.time() + LINGER)
        self._step = self._linger
        self._want(READ)

    def _linger(self) -> None:
        try:
            if not self._socket.recv(PART):
                self.close()
        except BlockingIOError:
            self._want(READ)


class Reception:
    """All connections of one process: who comes in, who is late, and who has to go when there are too many."""

    def __init__(self, context: ssl.SSLContext, limits: Callable[[], Limits], respond: Respond) -> None:
        self.loop = asyncio.get_running_loop()
        self.context = context
        self.respond = respond
        self.held = 0
        self._limits = limits
        self._waiting: dict[Connection, None] = {}
        """Everybody, by the time since when they have not asked anything: the first one has waited longest."""
        self._of_address: dict[str, dict[Connection, None]] = {}
        self._making: set[asyncio.Future[bytes]] = set()
        self._suspected: dict[Connection, float] = {}
        self._listening: list[socket.socket] = []
        self._sweep = self.loop.call_later(SWEEP, self._close_late)

    @property
    def limits(self) -> Limits:
        """The limits as they are now."""
        return self._limits()

    def __len__(self) -> int:
        return len(self._waiting)

    def listen(self, listening: list[socket.socket]) -> None:
        """Accept connections from these sockets, which other processes may have too."""
        self._listening = listening
        for each in listening:
            each.setblocking(False)
            self._resume(each)

    def close(self) -> None:
        """Accept nobody any more, and end every connection."""
        self._sweep.cancel()
        for each in self._listening:
            self.loop.remove_reader(each.fileno())
        self._listening = []
        for connection in list(self._waiting):
            connection.close()

    def left(self, connection: Connection) -> None:
        """Forget a connection that is closed."""
        self.held -= connection.held
        self._waiting.pop(connection, None)
        those = self._of_address.get(connection.peer, {})
        those.pop(connection, None)
        if not those:
            self._of_address.pop(connection.peer, None)

    def waits_anew(self, connection: Connection) -> None:
        """Note that a connection begins to wait for a request: it is the last one that has to go."""
        for those in (self._waiting, self._of_address[connection.peer]):
            those.pop(connection, None)
            those[connection] = None

    def spare_memory(self) -> None:
        """Close whoever holds most while all of them hold too much."""
        while self.held > self.limits.memory:
            largest = max(self._waiting, key=lambda each: each.held)
            LOG.warning("%s: all requests together have more than %d bytes, this one most of it; closed", largest.peer, self.limits.memory)
            largest.close()

    def finish(self, made: Awaitable[bytes], connection: Connection) -> None:
        """Give a connection its answer as soon as it is made, and close it when that fails."""

        def done(future: asyncio.Future[bytes]) -> None:
            self._making.discard(future)
            if future.cancelled():
                return
            error = future.exception()
            if error is None:
                connection.answered(future.result())
            else:
                LOG.error("%s: a request could not be answered", connection.peer, exc_info=error)
                connection.close()

        future = asyncio.ensure_future(made, loop=self.loop)
        self._making.add(future)
        future.add_done_callback(done)

    def _accept(self, listening: socket.socket) -> None:
        for _turn in range(AT_ONCE):
            try:
                plain, peer = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._no_room(listening, error)
                return
            try:
                plain.setblocking(False)
                self._enter(plain, peer[0])
            except (OSError, ValueError) as error:
                LOG.info("%s: %s", peer[0], error)
                plain.close()

    def _no_room(self, listening: socket.socket, error: OSError) -> None:
        """Make room in a process that the system gives no more files; it comes back to who waits."""
        LOG.warning("a connection can't be accepted: %s", error)
        if error.errno in FULL and self._waiting:
            next(iter(self._waiting)).close()
            return
        self.loop.remove_reader(listening.fileno())
        self.loop.call_later(SWEEP, self._resume, listening)

    def _resume(self, listening: socket.socket) -> None:
        if listening in self._listening:
            self.loop.add_reader(listening.fileno(), self._accept, listening)

    def _enter(self, plain: socket.socket, peer: str) -> None:
        """Begin a conversation; of one address, and of all, the one that has waited longest makes room for it."""
        those = self._of_address.get(peer, {})
        for crowd, most in ((those, self.limits.of_one_address), (self._waiting, self.limits.connections)):
            if len(crowd) >= most:
                oldest = next(iter(crowd))
                LOG.warning("%s: too many connections, %d of %d; the one that waits longest is closed", peer, len(those), len(self))
                oldest.close()
        connection = Connection(self, plain, peer)
        self._waiting[connection] = None
        self._of_address.setdefault(peer, {})[connection] = None
        connection.move()

    def _close_late(self) -> None:
        """Close who was late at the last look and has done nothing since: what came while this process was busy has been read by now."""
        now = self.loop.time()
        late = {each: each.late for each in self._waiting if each.late < now}
        for connection in [each for each in late if self._suspected.get(each) == late[each]]:
            LOG.info("%s: too slow; closed", connection.peer)
            connection.close()
        self._suspected = late
        self._sweep = self.loop.call_later(SWEEP, self._close_late)
