# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever listens on a port is named with its process and its address."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.apply.listeners import Listener, listeners, sockets

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


def test_only_sockets_that_listen_on_the_port_are_found() -> None:
    rest = "00000000:00000000 00:00000000 00000000     0        0"
    lines = [f"   0: 0100007F:0050 00000000:0000 {state} {rest} {inode} 1" for state, inode in (("0A", 11), ("01", 12))]
    lines.append(f"   1: 00000000:1F90 00000000:0000 0A {rest} 13 1")
    assert sockets(HEAD + "\n".join(lines), 80) == [(socket.inet_ntoa((0x0100007F).to_bytes(4, sys.byteorder)), "11")]


@pytest.mark.parametrize(
    ("family", "address", "seen"),
    [(socket.AF_INET, "127.0.0.1", "127.0.0.1"), (socket.AF_INET6, "::1", "::1"), (socket.AF_INET6, "::ffff:127.0.0.1", "127.0.0.1")],
)
def test_a_listener_is_named(family: socket.AddressFamily, address: str, seen: str) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as server:
        server.bind((address, 0))
        port = server.getsockname()[1]
        assert listeners(port) == []
        server.listen()
        program = Path("/proc/self/comm").read_text(encoding="utf-8").strip()
        assert listeners(port) == [Listener(seen, port, program, os.getpid())]
    assert listeners(port) == []


def test_a_listener_tells_its_place_and_that_its_process_is_not_seen() -> None:
    assert str(Listener("10.0.0.1", 80, "httpd", 7)) == "httpd (process 7) on 10.0.0.1:80"
    assert str(Listener("::", 80, "", 0)) == "a process that can't be seen from here on [::]:80"
