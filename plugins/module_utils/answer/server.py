# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The answer service: booting nodes ask over TLS, known by their address alone, and are answered from the published snapshot.

It never opens the database, runs as a user of its own, and no client can stop it: what is slow, silent, too long or
no request at all only loses its own connection.
"""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import logging
import os
import signal
import socket
import ssl
import sys
from collections import Counter
from dataclasses import dataclass

from ..errors import SiteError
from ..lite.served import Layouts
from ..nodes.site import Site
from ..tables.snapshot import load_snapshot
from . import commands, protocol
from .spool import Spool

LOG = logging.getLogger("statelite-answer")


@dataclass(frozen=True)
class Limits:
    """Seconds and bytes that one connection gets."""

    handshake: float = 15.0
    idle: float = 15.0
    request: float = 60.0
    sending: float = 60.0
    size: int = 4 * 1024 * 1024
    connections: int = 1024
    of_one_address: int = 64


def plain_address(text: str) -> str:
    """Return a peer's address as the hosts table has it: without zone, and IPv4 out of IPv6 (`::ffff:10.1.1.1`)."""
    address = ipaddress.ip_address(text.split("%", maxsplit=1)[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


class Published:
    """The snapshot as it is now: loaded again when the file changed; a bad new one leaves the old in force."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._stamp: tuple[int, int, int] | None = None
        self._tables: dict[str, list[dict[str, str]]] | None = None
        self._sites: dict[str, Site] = {}

    def _changed(self) -> bool:
        try:
            status = os.stat(self.path)
        except OSError:
            return self._tables is None
        stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        return True

    def site(self, here: str) -> Site:
        """Return the site as seen by a node that reached this server at the address `here`.

        Raises SiteError when no snapshot could ever be loaded.
        """
        if self._changed():
            try:
                _version, self._tables = load_snapshot(self.path)
                self._sites = {}
            except SiteError as error:
                LOG.error("%s", error)
                if self._tables is None:
                    self._stamp = None
                    raise
        if here not in self._sites:
            self._sites[here] = Site(self._tables or {}, (here,) if here else ())
        return self._sites[here]


class Service:
    """Connections of nodes."""

    def __init__(self, published: Published, spool: str, limits: Limits | None = None) -> None:
        self.published = published
        self.spool = Spool(spool)
        self.limits = limits or Limits()
        self.source = socket.gethostname().split(".")[0]
        self._layouts = Layouts()
        self.open_connections = 0
        self._of_address: Counter[str] = Counter()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection; nothing that a client does is raised from here."""
        peer = writer.get_extra_info("peername") or ("",)
        self.open_connections += 1
        self._of_address[peer[0]] += 1
        try:
            if self.open_connections > self.limits.connections or self._of_address[peer[0]] > self.limits.of_one_address:
                LOG.warning("%s: too many connections, %d of %d; closed", peer[0], self._of_address[peer[0]], self.open_connections)
                return
            await self._converse(reader, writer, plain_address(peer[0]))
        except (asyncio.TimeoutError, TimeoutError):
            LOG.info("%s: too slow; closed", peer[0])
        except (OSError, ssl.SSLError, EOFError) as error:
            LOG.info("%s: %s", peer[0], error)
        except Exception:
            LOG.exception("%s: a request could not be answered", peer[0])
        finally:
            self.open_connections -= 1
            self._of_address[peer[0]] -= 1
            if not self._of_address[peer[0]]:
                del self._of_address[peer[0]]
            await self._close(writer)

    async def _close(self, writer: asyncio.StreamWriter) -> None:
        try:
            writer.close()
            await asyncio.wait_for(writer.wait_closed(), 5)
        except (asyncio.TimeoutError, TimeoutError, OSError, ssl.SSLError):
            writer.transport.abort()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: str) -> None:
        buffer = b""
        here = plain_address((writer.get_extra_info("sockname") or ("::",))[0])
        loop = asyncio.get_running_loop()
        while True:
            deadline = loop.time() + self.limits.request
            found = protocol.split_request(buffer)
            while found is None:
                left = min(self.limits.idle, deadline - loop.time())
                received = await asyncio.wait_for(reader.read(65536), max(left, 0.01))
                if not received:
                    return
                # Only the end may hold the tag that was cut in two: what came before is not searched again.
                known = max(0, len(buffer) - len(protocol.END))
                buffer += received
                if len(buffer) > self.limits.size:
                    LOG.warning("%s: a request of more than %d bytes; closed", address, self.limits.size)
                    return
                found = protocol.split_request(buffer) if protocol.END in buffer[known:] else None
            content, buffer = found
            reply, goes_on = self._answer(address, here, content)
            writer.write(reply)
            await asyncio.wait_for(writer.drain(), self.limits.sending)
            if not goes_on:
                return

    def _answer(self, address: str, here: str, content: bytes) -> tuple[bytes, bool]:
        """Return the whole answer, and whether the connection stays open for another request."""
        try:
            request = protocol.parse(content)
        except protocol.BadRequestError as error:
            LOG.info("%s: %s", address, error)
            return protocol.trouble(self.source, str(error)), False
        goes_on = request.command not in commands.OURS
        try:
            site = self.published.site(here)
            node = site.node_at(address)
        except SiteError as error:
            return protocol.trouble(self.source, str(error)), False
        if node is None:
            LOG.warning("%s asks %s and is the address of no node", address, request.command)
            return protocol.trouble(self.source, f"{address} is the address of no node: set ip in the table hosts"), False
        LOG.info("%s (%s) asks %s", node, address, request.command)
        desk = commands.Desk(site, self.spool, self._layouts, self.source)
        return commands.answer(desk, node, address, request), goes_on


def tls_context(certificate: str, key: str) -> ssl.SSLContext:
    """Return the server's side of TLS; clients need no certificate (nodes have none)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    return context


async def start(service: Service, context: ssl.SSLContext, hosts: list[str], port: int) -> asyncio.Server:
    """Return the listening server; `hosts` empty means every address."""
    return await asyncio.start_server(
        service.serve, hosts or None, port, ssl=context, ssl_handshake_timeout=service.limits.handshake, limit=65536, backlog=512
    )


async def _until_stopped(service: Service, context: ssl.SSLContext, hosts: list[str], port: int) -> None:
    server = await start(service, context, hosts, port)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    LOG.info("listening on port %d", server.sockets[0].getsockname()[1])
    await stopped.wait()
    server.close()


def main(arguments: list[str] | None = None) -> int:
    """Run the service until SIGTERM."""
    parser = argparse.ArgumentParser(description="Answers booting nodes of a statelite site.")
    parser.add_argument("--snapshot", required=True, help="the published snapshot of the site")
    parser.add_argument("--certificate", required=True, help="certificate chain, PEM")
    parser.add_argument("--key", required=True, help="private key, PEM")
    parser.add_argument("--spool", required=True, help="directory for boot reports")
    parser.add_argument("--port", type=int, required=True, help="TCP port (site.xcatdport)")
    parser.add_argument("--address", action="append", default=[], help="address to listen on; every one when not given")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    service = Service(Published(options.snapshot), options.spool)
    try:
        context = tls_context(options.certificate, options.key)
        asyncio.run(_until_stopped(service, context, options.address, options.port))
    except (OSError, ssl.SSLError) as error:
        LOG.error("%s", error)
        return 1
    return 0
