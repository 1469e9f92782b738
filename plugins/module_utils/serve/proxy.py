# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""dnsmasq beside somebody else's DHCP server: it gives no addresses, and tells PXE clients that we know their boot loader (proxy DHCP)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from ..errors import Fault
from .hosts import some
from .netboot import IPXE, MACHINES, USER_CLASSES, Asking, Loader, loaders, server_tag, tag_of

CLIENT, NODE = "statelite-client", "statelite-node"
"""Tags of whoever asks as a PXE client does, and of the network cards that we know."""

VENDOR = "PXEClient"
MENU = "statelite"
"""What the entry is called in the menu that a client makes of its boot loaders; with a single one it asks nobody."""

BARE = "a proxy's clients take a name without a dot for the first part of one and ask for it with .0 at its end"


class Card(Asking, Protocol):
    """A host as far as it matters here."""

    @property
    def mac(self) -> str:
        """Its hardware address."""

    @property
    def name(self) -> str:
        """Its name."""


def faults(params: dict[str, Any]) -> list[Fault]:
    """Return what is wrong with the module's options where a proxy is asked for."""
    if not params["proxy"]:
        return []
    found = []
    if not params["dhcp"]:
        found.append(Fault("proxy", "is said with dhcp off, and a proxy answers DHCP too", "Leave dhcp at true, or proxy at false"))
    if "." not in params["boot_file"]:
        found.append(Fault("boot_file", f"'{params['boot_file']}' has no dot, and {BARE}", "Name it as lpxelinux.0 is"))
    return found


def is_told(method: str) -> bool:
    """Return whether nodes of a boot method ask as PXE clients do, so that a proxy can name them a loader."""
    return bool(_services(method, ""))


def left_out(silent: Iterable[Card]) -> list[str]:
    """Return a sentence for each boot method of nodes that a proxy can't tell anything."""
    by_method: dict[str, list[str]] = {}
    for host in silent:
        by_method.setdefault(host.method, []).append(host.name)
    return [
        f"{some(names)}: nodes of the boot method {method} are no PXE clients; the other DHCP server has to tell them what they need"
        for method, names in sorted(by_method.items())
    ]


def lines(hosts: Sequence[Card], networks: Sequence[ipaddress.IPv4Network], interfaces: Sequence[str], bios_loader: str) -> list[str]:
    """Return dnsmasq's lines: networks without addresses, who is answered, a loader for each kind of machine, and the cards.

    Who is no PXE client, or not ours, is not answered on our interfaces, not even the question for options alone (DHCPINFORM).
    """
    found = [f"dhcp-range={network.network_address},proxy,{network.netmask}" for network in networks]
    found.append(f"dhcp-vendorclass=set:{CLIENT},{VENDOR}")
    for name in interfaces:
        device = name.partition(":")[0]
        found += [f"dhcp-ignore=tag:{device},tag:!{tag}" for tag in (CLIENT, NODE)]
    if any(host.method == "xnba" for host in hosts):
        found += [f"dhcp-userclass=set:{IPXE},{name}" for name in USER_CLASSES]
    for method, server in sorted({(host.method, host.server) for host in hosts}):
        end = f",{server}" if server else ""
        tags = f"tag:{server_tag(server)},tag:{tag_of(method)}"
        services = _services(method, bios_loader)
        found += [f"pxe-service={tags}{_stage(loader)},{number},{MENU},{loader.file}{end}" for loader, number in services]
    return found + [f"dhcp-host={host.mac},set:{NODE},set:{server_tag(host.server)},set:{tag_of(host.method)}" for host in hosts]


def _services(method: str, bios_loader: str) -> list[tuple[Loader, int]]:
    """Return the loaders of a method with the number of each architecture that they are for; iPXE's script is for all that iPXE is for."""
    offered = [loader for loader in loaders(method, bios_loader) if loader.machine or loader.ipxe]
    kinds = {loader.machine for loader in offered}
    return [
        (loader, number) for loader in offered for tag, number in MACHINES if tag == loader.machine or (not loader.machine and tag in kinds)
    ]


def _stage(loader: Loader) -> str:
    return {True: f",tag:{IPXE}", False: f",tag:!{IPXE}", None: ""}[loader.ipxe]
