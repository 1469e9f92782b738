# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real answer service on a port of this machine, and the snapshots and certificates it needs."""

from __future__ import annotations

import asyncio
import grp
import json
import os
import socket
import ssl
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from ansible_collections.diskless.statelite.plugins.module_utils.answer import server
from ansible_collections.diskless.statelite.plugins.module_utils.serve.certificate import SPEC, plan_certificate

LIMITS = server.Limits(idle=2.0)
"""As in use, but a client that keeps its connection open waits no longer than a test may take."""


def make_pki(directory: Path) -> Path:
    """Make a CA and a certificate for this machine's own address."""
    params = {name: option.get("default") for name, option in SPEC.items()}
    params.update(directory=str(directory), common_name="mn1", addresses=["127.0.0.1"], group=grp.getgrgid(os.getegid()).gr_name)
    plan_certificate(params, print).apply()
    return directory


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


class Answering:
    """The answer service on a port of this machine, in a thread; `stop` and `start` as often as a test wants."""

    def __init__(self, snapshot: Path, spool: Path, pki: Path, port: int = 0, limits: server.Limits | None = None) -> None:
        spool.mkdir(parents=True, exist_ok=True)
        self.service = server.Service(server.Published(str(snapshot)), str(spool), limits or LIMITS)
        self.context = server.tls_context(str(pki / "server.pem"), str(pki / "server.key"))
        self.port = port
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> Answering:
        ready = threading.Event()

        listening = server.listen(["127.0.0.1"], self.port)
        self.port = listening[0].getsockname()[1]

        def run() -> None:
            self._loop = asyncio.new_event_loop()
            self._loop.call_soon(self.service.open, self.context, listening)
            self._loop.call_soon(ready.set)
            self._loop.run_forever()
            self._loop.run_until_complete(self._closed())
            for each in listening:
                each.close()
            self._loop.close()

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()
        assert ready.wait(60)
        return self

    async def _closed(self) -> None:
        if self.service.reception is not None:
            self.service.reception.close()

    def stop(self) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(60)
            self._loop = None

    def __enter__(self) -> Answering:
        return self.start()

    def __exit__(self, *_ignored: object) -> None:
        self.stop()


def publish(path: Path, tables: Mapping[str, Sequence[Mapping[str, str]]], version: int = 1) -> None:
    """Write a snapshot as the database does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".fresh")
    fresh.write_text(json.dumps({"schema": 1, "version": version, "tables": tables}), encoding="utf-8")
    fresh.rename(path)


def connect(port: int, pki: Path) -> ssl.SSLSocket:
    """Connect as a node does: the server verified by the site's CA and by its address."""
    context = ssl.create_default_context(cafile=str(pki / "ca.pem"))
    plain = socket.create_connection(("127.0.0.1", port), 10)
    return context.wrap_socket(plain, server_hostname="127.0.0.1")


def everything(connection: ssl.SSLSocket) -> str:
    """Return all that comes until the server closes."""
    received = b""
    while True:
        part = connection.recv(65536)
        if not part:
            return received.decode()
        received += part


def ask(port: int, pki: Path, command: str, *arguments: str) -> str:
    """Send one request and return the whole answer."""
    given = "".join(f"<arg>{argument}</arg>\n" for argument in arguments)
    with connect(port, pki) as connection:
        connection.sendall(f"<xcatrequest>\n<command>{command}</command>\n{given}</xcatrequest>\n".encode())
        received = b""
        while not received.endswith(b"</xcatresponse>\n") or b"<serverdone></serverdone>" not in received:
            part = connection.recv(65536)
            if not part:
                break
            received += part
        return received.decode()
