# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who listens on a TCP port of this machine, read from the kernel's own tables (proc(5))."""

from __future__ import annotations

import glob
import ipaddress
import os
import socket
import struct
from dataclasses import dataclass

TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
LISTEN = "0A"
WORD = 8
"""Hexadecimal digits of 32 bits: the kernel prints an address as such words, each in the order of this machine's bytes."""


@dataclass(frozen=True)
class Listener:
    """A socket that connections are taken on; `program` and `pid` are empty and 0 where its process can't be seen."""

    address: str
    port: int
    program: str
    pid: int

    def __str__(self) -> str:
        place = f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"
        return f"{self.program} (process {self.pid}) on {place}" if self.pid else f"a process that can't be seen from here on {place}"


def _address(digits: str) -> str:
    """Return an address as it is written, an IPv4 one that an IPv6 socket stands for as IPv4."""
    words = [digits[place : place + WORD] for place in range(0, len(digits), WORD)]
    raw = b"".join(struct.pack("=I", int(word, 16)) for word in words)
    if len(raw) == len(socket.inet_aton("0.0.0.0")):
        return str(ipaddress.IPv4Address(raw))
    found = ipaddress.IPv6Address(raw)
    return str(found.ipv4_mapped or found)


def sockets(text: str, port: int) -> list[tuple[str, str]]:
    """Return (address, inode) of each socket of a table of the kernel that listens on the port."""
    found = []
    for line in text.splitlines()[1:]:
        words = line.split()
        digits, _colon, number = words[1].partition(":")
        if words[3] == LISTEN and int(number, 16) == port:
            found.append((_address(digits), words[9]))
    return found


def _holders(inodes: set[str]) -> dict[str, int]:
    """Return the process that holds each socket, the first one of several."""
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    found: dict[str, int] = {}
    for path in glob.iglob("/proc/[0-9]*/fd/*"):
        try:
            inode = wanted.get(os.readlink(path))
        except OSError:
            continue  # it has gone meanwhile
        if inode is not None:
            found.setdefault(inode, int(path.split("/")[2]))
            if len(found) == len(wanted):
                break
    return found


def _program(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as stream:
            return stream.read().strip()
    except OSError:
        return ""


def listeners(port: int) -> list[Listener]:
    """Return who listens on a TCP port, in this network namespace, sorted."""
    found: list[tuple[str, str]] = []
    for table in TABLES:
        try:
            with open(table, encoding="ascii") as stream:
                found += sockets(stream.read(), port)
        except FileNotFoundError:
            continue  # a kernel without IPv6
    holders = _holders({inode for _address, inode in found}) if found else {}
    named = [(address, holders.get(inode, 0)) for address, inode in found]
    return sorted({Listener(address, port, _program(pid) if pid else "", pid) for address, pid in named}, key=str)
