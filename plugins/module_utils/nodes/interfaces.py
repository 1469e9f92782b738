# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network interface a node boots from: the mac table's entries and the names they stand for (behaviour.md a, e.5)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .values import attribute

if TYPE_CHECKING:
    from .site import Site

ADDRESS = re.compile(r"[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}")
NO_ADDRESS = "*NOIP*"
"""Stands for a host name where an interface gets no address by DHCP."""


def entries(site: Site, node: str) -> list[tuple[str, str]]:
    """Return `(address, name)` of each entry of mac.mac, `name` empty where none is written."""
    return site.once(("mac", node), lambda: _entries(site, node))


def _entries(site: Site, node: str) -> list[tuple[str, str]]:
    value = attribute(site, node, "mac", "mac")
    found = []
    for entry in (value.text if value else "").split("|"):
        address, _mark, name = entry.strip().partition("!")
        if address:
            found.append((address, name))
    return found


def boot_mac(site: Site, node: str) -> str | None:
    """Return the hardware address the node boots with, as written, or None.

    It is the entry named after the node, else the last one without a name.
    """
    plain = None
    for address, name in entries(site, node):
        if name == node:
            return address
        if not name:
            plain = address
    return plain


def other_names(site: Site, node: str) -> list[str]:
    """Return the further host names of the node's interfaces, without the node's own."""
    return [name for _address, name in entries(site, node) if name not in ("", node, NO_ADDRESS)]


def machine_uuid(site: Site, node: str) -> str:
    """Return the UUID of the machine as the table vpd has it, in lower case; empty where it has none."""
    found = attribute(site, node, "vpd", "uuid") if site.rows("vpd") else None
    return found.text.lower() if found else ""


def colons(address: str) -> str:
    """Return a hardware address in lower case with colons."""
    return address.lower().replace("-", ":")
