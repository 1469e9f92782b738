# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses of this machine, read from the kernel's own tables."""

from __future__ import annotations

import ipaddress
import re

FIB_TRIE = "/proc/net/fib_trie"
IF_INET6 = "/proc/net/if_inet6"


def _text(path: str) -> str:
    try:
        with open(path, encoding="ascii") as stream:
            return stream.read()
    except FileNotFoundError:
        return ""


def local_addresses() -> list[str]:
    """Return the IPv4 and global IPv6 addresses of this machine's interfaces, sorted, without loopback and link-local ones."""
    found = set(re.findall(r"\|-- ([0-9.]+)\n\s+/32 host LOCAL", _text(FIB_TRIE)))
    for line in _text(IF_INET6).splitlines():
        digits = line.split()[0]
        found.add(":".join(digits[place : place + 4] for place in range(0, 32, 4)))
    parsed = sorted({ipaddress.ip_address(address) for address in found}, key=lambda address: (address.version, int(address)))
    return [str(address) for address in parsed if not (address.is_loopback or address.is_link_local)]
