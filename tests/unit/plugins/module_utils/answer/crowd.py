# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many nodes that ask at once, in one process: each from its own address of 127.0.0.0/8, which all are this machine's."""

from __future__ import annotations

import errno
import selectors
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PATIENCE = 30.0
"""Seconds after which a node gives up."""


@dataclass(frozen=True)
class Client:
    """One node: its address, what it asks, and whether an answer is the one it must get."""

    address: str
    request: bytes
    good: Callable[[bytes], bool]


@dataclass
class Outcome:
    """What came of one crowd: answers and seconds of those that were answered well, in the order in which they were."""

    answers: list[bytes] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    wall: float = 0.0

    @property
    def rate(self) -> float:
        """Connections per wall second."""
        return len(self.seconds) / self.wall


class Talk:
    """One connection, moved on whenever its socket is ready."""

    def __init__(self, client: Client, crowd: Crowd) -> None:
        self.client = client
        self.began = time.monotonic()
        self.received = b""
        self.mask = 0
        self.step = self.connected
        self._crowd = crowd
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((client.address, 0))
        if self.socket.connect_ex(("127.0.0.1", crowd.port)) not in (0, errno.EINPROGRESS):
            raise OSError("no connection")

    def connected(self) -> bool:
        """Begin TLS as soon as the server has taken the connection."""
        error = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, "not connected")
        self.socket = self._crowd.context.wrap_socket(self.socket, server_hostname="127.0.0.1", do_handshake_on_connect=False)
        self.step = self.greeted
        return self.greeted()

    def greeted(self) -> bool:
        self.socket.do_handshake()
        self.socket.sendall(self.client.request)
        self.step = self.heard
        return self.heard()

    def heard(self) -> bool:
        """Read until the server ends; return whether it did."""
        while True:
            part = self.socket.recv(65536)
            if not part:
                return True
            self.received += part


class Crowd:
    """Nodes of a site that has its answer service on `port`; `at_once` of them have a connection at any moment."""

    def __init__(self, port: int, pki: Path, at_once: int) -> None:
        self.port = port
        self.at_once = at_once
        self.context = ssl.create_default_context(cafile=str(pki / "ca.pem"))

    def warm(self, client: Client, patience: float = 60.0) -> None:
        """Wait until the server gives its first answer."""
        ends = time.monotonic() + patience
        while self.run([client]).faults:
            if time.monotonic() > ends:
                raise AssertionError(f"nothing answers on port {self.port}")
            time.sleep(0.05)

    def run(self, clients: Sequence[Client]) -> Outcome:
        """Let every client ask once."""
        outcome, waiting = Outcome(), list(reversed(clients))
        began = time.monotonic()
        with selectors.DefaultSelector() as selector:
            while waiting or selector.get_map():
                while waiting and len(selector.get_map()) < self.at_once:
                    talk = Talk(waiting.pop(), self)
                    selector.register(talk.socket, selectors.EVENT_WRITE, talk)
                ready = selector.select(1.0)
                for key, _mask in ready:
                    self._move(key.data, selector, outcome)
                if not ready or len(outcome.seconds) % 64 == 0:
                    self._give_up(selector, outcome)
        outcome.wall = time.monotonic() - began
        return outcome

    def _move(self, talk: Talk, selector: selectors.BaseSelector, outcome: Outcome) -> None:
        descriptor = talk.socket.fileno()
        fault = ""
        try:
            talk.step()
        except ssl.SSLWantReadError:
            if talk.mask != selectors.EVENT_READ:
                talk.mask = selectors.EVENT_READ
                selector.modify(descriptor, talk.mask, talk)
            return
        except ssl.SSLWantWriteError:
            talk.mask = selectors.EVENT_WRITE
            selector.modify(descriptor, talk.mask, talk)
            return
        except OSError as error:
            fault = repr(error)
        selector.unregister(descriptor)
        talk.socket.close()
        if not fault and not talk.client.good(talk.received):
            fault = f"answered {talk.received[-300:]!r}"
        if fault:
            outcome.faults.append(f"{talk.client.address}: {fault}")
            return
        outcome.answers.append(talk.received)
        outcome.seconds.append(time.monotonic() - talk.began)

    def _give_up(self, selector: selectors.BaseSelector, outcome: Outcome) -> None:
        late = time.monotonic() - PATIENCE
        for key in [key for key in selector.get_map().values() if key.data.began < late]:
            selector.unregister(key.fileobj)
            key.data.socket.close()
            outcome.faults.append(f"{key.data.client.address}: no answer in {PATIENCE:g} s")
