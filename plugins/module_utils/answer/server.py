# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The answer service: booting nodes ask over TLS, known by their address alone, and are answered from the published snapshot.

It never opens the database, runs as a user of its own, and no client can stop it: what is slow, silent, too long or
no request at all only loses its own connection. Several processes share the listening sockets.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import ipaddress
import logging
import os
import signal
import socket
import ssl
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from ..errors import SiteError
from ..lite.served import Layouts
from ..nodes.site import Site
from ..tables.snapshot import load_snapshot
from . import commands, protocol
from .connections import Limits, Reception, Reply
from .processes import keep_working
from .spool import Spool, sweep

LOG = logging.getLogger("statelite-answer")


BACKLOG = 4096
"""Connections that wait in the kernel to be accepted; it may be set to fewer (net.core.somaxconn)."""
MOST = 8
"""Processes that are started unless more are asked for."""
WRITERS = 8
"""Boot reports that one process writes at the same time."""
EVERY4, EVERY6 = "0.0.0.0", "::"


def plain_address(text: str) -> str:
    """Return a peer's address as the hosts table has it: without zone, and IPv4 out of IPv6 (`::ffff:10.1.1.1`)."""
    address = ipaddress.ip_address(text.split("%", maxsplit=1)[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def settle() -> None:
    """Keep the collector from what lives as long as a snapshot is in force: the rows of a large site are a million objects."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


class Published:
    """The snapshot as it is now: loaded again when the file changed; a bad new one leaves the old in force."""

    def __init__(self, path: str, loaded: Callable[[], None] = lambda: None) -> None:
        self.path = path
        self._loaded = loaded
        self._stamp: tuple[int, ...] | None = None
        self._tables: dict[str, list[dict[str, str]]] | None = None
        self._sites: dict[str, Site] = {}

    def _changed(self) -> bool:
        try:
            status = os.stat(self.path)
        except OSError:
            return self._tables is None
        # With ctime: a file that this user may read only now is another one.
        stamp = (status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size)
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        return True

    def load(self) -> None:
        """Load the snapshot, if it can be, before the first node asks."""
        with contextlib.suppress(SiteError):
            self._load()

    def _load(self) -> None:
        if not self._changed():
            return
        try:
            _version, self._tables = load_snapshot(self.path)
            self._sites = {}
        except SiteError as error:
            LOG.error("%s", error)
            if self._tables is None:
                self._stamp = None
                raise
        self._loaded()

    def site(self, here: str) -> Site:
        """Return the site as seen by a node that reached this server at the address `here`.

        Raises SiteError when no snapshot could ever be loaded.
        """
        self._load()
        if here not in self._sites:
            self._sites[here] = Site(self._tables or {}, (here,) if here else ())
        return self._sites[here]


class Service:
    """What nodes are answered, and the connections over which they ask."""

    def __init__(self, published: Published, spool: str, limits: Limits | None = None) -> None:
        self.published = published
        self.spool = Spool(spool)
        self.limits = limits or Limits()
        self.source = socket.gethostname().split(".")[0]
        self._layouts = Layouts()
        self._writing = ThreadPoolExecutor(WRITERS)
        self.reception: Reception | None = None

    @property
    def open_connections(self) -> int:
        """How many clients are connected."""
        return 0 if self.reception is None else len(self.reception)

    def open(self, context: ssl.SSLContext, listening: list[socket.socket]) -> None:
        """Answer whoever connects to these sockets; called in the event loop that shall do it."""
        self.reception = Reception(context, lambda: self.limits, self._respond)
        self.reception.listen(listening)

    def close(self) -> None:
        """End all connections, and wait for reports that are being written."""
        if self.reception is not None:
            self.reception.close()
        self._writing.shutdown()

    def _respond(self, peer: str, reached: str, content: bytes) -> tuple[Reply, bool]:
        """Return the whole answer, and whether the connection stays open for another request."""
        address, here = plain_address(peer), plain_address(reached)
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
        answer = commands.answering(desk, node, address, request)
        if request.command in commands.WRITING:
            return asyncio.get_running_loop().run_in_executor(self._writing, answer), goes_on
        return answer(), goes_on


def tls_context(certificate: str, key: str) -> ssl.SSLContext:
    """Return the server's side of TLS; clients need no certificate (nodes have none)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    # A node asks once in a boot: tickets for a next time would be for nothing.
    context.num_tickets = 0
    return context


def listen(hosts: list[str], port: int) -> list[socket.socket]:
    """Return sockets that listen on a port of these addresses; `hosts` empty means every address."""
    found: list[socket.socket] = []
    try:
        for host in hosts or ([EVERY4, EVERY6] if socket.has_ipv6 else [EVERY4]):
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            try:
                each = socket.socket(family, socket.SOCK_STREAM)
                found.append(each)
                each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    each.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                each.bind((host, port))
            except OSError:
                # A machine whose kernel has no IPv6 answers over IPv4 alone.
                if hosts or host != EVERY6:
                    raise
                found.pop().close()
                continue
            each.listen(BACKLOG)
    except OSError:
        for each in found:
            each.close()
        raise
    return found


async def _until_stopped(service: Service, context: ssl.SSLContext, listening: list[socket.socket], parent: int) -> None:
    """Answer until SIGTERM comes, or the process at the other end of `parent` is no more."""
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    loop.add_reader(parent, stopped.set)
    service.open(context, listening)
    await stopped.wait()
    service.close()


def main(arguments: list[str] | None = None) -> int:
    """Run the service until SIGTERM."""
    parser = argparse.ArgumentParser(description="Answers booting nodes of a statelite site.")
    parser.add_argument("--snapshot", required=True, help="the published snapshot of the site")
    parser.add_argument("--certificate", required=True, help="certificate chain, PEM")
    parser.add_argument("--key", required=True, help="private key, PEM")
    parser.add_argument("--spool", required=True, help="directory for boot reports")
    parser.add_argument("--port", type=int, required=True, help="TCP port (site.xcatdport)")
    parser.add_argument("--address", action="append", default=[], help="address to listen on; every one when not given")
    parser.add_argument("--processes", type=int, default=0, help=f"processes that answer; 0 for one a processor, {MOST} at most")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    count = options.processes if options.processes > 0 else min(len(os.sched_getaffinity(0)), MOST)
    try:
        context = tls_context(options.certificate, options.key)
        listening = listen(options.address, options.port)
    except (OSError, ssl.SSLError) as error:
        LOG.error("%s", error)
        return 1
    sweep(options.spool)

    def work(parent: int) -> None:
        service = Service(Published(options.snapshot, settle), options.spool)
        service.published.load()
        asyncio.run(_until_stopped(service, context, listening, parent))

    return keep_working(work, count, f"listening on port {listening[0].getsockname()[1]}")
