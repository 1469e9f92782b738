# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Leases of dnsmasq that stand in a node's way: its address leased to another card, or the address of a node that is gone.

dnsmasq gives no address that somebody else has leased, for ever when leases are infinite (tried with 2.90). It holds
its leases in memory and writes the file over at each change, so they are dropped while it is stopped.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..apply.commands import run_command
from ..apply.files import read_bytes, write_file

LEASES = "/var/lib/misc/dnsmasq.leases"
"""Where Debian's dnsmasq keeps its leases."""

DAEMON = "dnsmasq.service"
LIMIT = 60.0


@dataclass(frozen=True)
class Lease:
    """One IPv4 lease: the line as it stands, and what it gives to whom."""

    line: str
    mac: str
    address: str


def parse(text: str) -> list[Lease]:
    """Return the IPv4 leases of a lease file: `expiry mac address name client-id`, those before the line `duid`."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["duid"]:
            break
        if len(words) >= 3:
            found.append(Lease(line, words[1].lower(), words[2]))
    return found


def given(text: str) -> set[tuple[str, str]]:
    """Return the (hardware address, address) pairs of the hosts in a drop-in of ours."""
    pairs = set()
    for line in text.splitlines():
        key, _equals, value = line.partition("=")
        words = value.split(",")
        if key == "dhcp-host" and len(words) >= 5:
            pairs.add((words[0], words[-3]))
    return pairs


def stale(leases: Iterable[Lease], wanted: Iterable[tuple[str, str]], before: Iterable[tuple[str, str]]) -> list[Lease]:
    """Return the leases that have to go: an address of ours with a card that is not its own, and pairs given before and no more."""
    pairs = set(wanted)
    ours = {address for _mac, address in pairs}
    gone = set(before) - pairs
    return [
        lease
        for lease in leases
        if (lease.address in ours and (lease.mac, lease.address) not in pairs) or (lease.mac, lease.address) in gone
    ]


def is_running() -> bool:
    """Return whether systemd runs the daemon."""
    if not os.path.isdir("/run/systemd/system"):
        return False
    command = ["systemctl", "show", "--property=ActiveState", "--value", DAEMON]
    return run_command(command, limit=LIMIT, mend="Start systemd").strip() in ("active", "activating", "reloading")


def stop() -> None:
    """Stop the daemon; nodes keep their addresses meanwhile."""
    run_command(["systemctl", "stop", DAEMON], limit=LIMIT, mend=f"See journalctl -u {DAEMON}")


def start() -> None:
    """Start the daemon again."""
    run_command(["systemctl", "start", DAEMON], limit=LIMIT, mend=f"See journalctl -u {DAEMON}")


def drop(path: str, gone: Sequence[tuple[str, str]]) -> None:
    """Take the leases of the (hardware address, address) pairs out of the file, whatever else came into it meanwhile."""
    raw = read_bytes(path)
    if raw is None:
        return
    text = raw.decode("utf-8", "surrogateescape")
    lines = {lease.line for lease in parse(text) if (lease.mac, lease.address) in set(gone)}
    kept = "".join(line for line in text.splitlines(keepends=True) if line.rstrip("\n") not in lines)
    place = os.stat(path)
    write_file(path, kept.encode("utf-8", "surrogateescape"), place.st_mode & 0o777, place.st_uid, place.st_gid)
