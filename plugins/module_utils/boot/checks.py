# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node lacks to be booted by its method: everything is found before anything is written (behaviour.md e.2, e.3)."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable

from ..errors import Fault
from ..nodes.attributes import attribute
from ..nodes.interfaces import ADDRESS, boot_mac, colons, machine_uuid
from ..nodes.servers import is_address, network_of
from ..nodes.site import Site, uniform
from ..tables.rules import UUID
from .method import Method
from .methods import METHODS, NAMES

LONGEST = 2047
"""Bytes of a kernel line: what Linux takes on x86, arm64 and powerpc, without the end mark."""


class Checks:
    """The faults of the nodes of one run, and what a person is to be warned of; `taken` is who has an address."""

    def __init__(self, site: Site, warn: Callable[[str], None]) -> None:
        self.site = site
        self.warn = warn
        self.taken: dict[str, str] = {}
        self._told: dict[str, list[str]] = {}
        self._own_networks_only = site.setting("sharedtftp").lower() in ("0", "n", "no")

    def method(self, node: str, faults: list[Fault]) -> Method | None:
        """Return the boot method of a node; None, with the fault, when it has none that is known."""
        value = attribute(self.site, node, "noderes", "netboot")
        if value is None:
            faults.append(Fault(f"node {node}, noderes.netboot", "is not set", f"Set netboot to one of {NAMES}"))
            return None
        found = METHODS.get(value.text)
        if found is None:
            faults.append(Fault(f"node {node}, noderes.netboot", f"'{value.text}' is no boot method", f"Set netboot to one of {NAMES}"))
        return found

    def name(self, node: str, method: Method) -> list[Fault]:
        """Return the fault of a node whose file other machines would boot, or would take the place of a link of theirs."""
        if not method.reserved.fullmatch(node):
            return []
        return [Fault(f"table nodelist, node {node}", method.looks, "Give the node another name")]

    def node(self, node: str, method: Method | None, arch: str, image: str, tftpdir: str) -> list[Fault]:
        """Return what the node lacks to boot an image of the architecture by the method."""
        return [
            *(self._method(node, method, arch, image, tftpdir) if method else []),
            *self._mac(node),
            *self._address(node),
            *(self._uuid(node) if method and method.by_uuid else []),
        ]

    def _method(self, node: str, method: Method, arch: str, image: str, tftpdir: str) -> list[Fault]:
        found = self.name(node, method)
        if arch and not method.fits(arch):
            fitting = ", ".join(other.name for other in METHODS.values() if other.fits(arch)) or "none"
            found.append(Fault(f"node {node}", f"{method.name} cannot boot {arch}", f"Methods for {arch}: {fitting}"))
        elif arch and method.usual and not arch.startswith(method.usual):
            self.tell(f"{method.name} might be the wrong boot method for {image} ({arch})", node)
        loader = method.loader(arch)
        if loader and method.fits(arch) and not os.path.isfile(os.path.join(tftpdir, loader)):
            mend = f"Have nodetype say that the node is {arch}, by its image or arch; then run the role pxe, which puts it there"
            found.append(Fault(f"node {node}", f"{tftpdir}/{loader} is not there", mend))
        return found

    def line(self, node: str, method: Method, line: str) -> list[Fault]:
        """Return what the loader or the kernel would make of the line that is not meant."""
        where = f"kernel line of node {node}"
        found = []
        unfit = method.forbidden.search(line) if method.forbidden else None
        if unfit:
            found.append(Fault(where, f"{method.name} replaces what begins with {unfit.group(0)}", "Take it out of the tables"))
        if len(line.encode()) > LONGEST:
            found.append(Fault(where, f"has {len(line.encode())} bytes, and Linux takes {LONGEST}", "Take words out of addkcmdline"))
        return found

    def _mac(self, node: str) -> list[Fault]:
        mac = boot_mac(self.site, node)
        if mac is None or not ADDRESS.fullmatch(mac):
            what = f"'{mac}' is no Ethernet address" if mac else "the node has no hardware address"
            return [Fault(f"node {node}, mac.mac", what, "Set mac to the address of the interface that it boots with")]
        return self._twice(node, f"hardware address {colons(mac)}", "table mac, column mac")

    def _uuid(self, node: str) -> list[Fault]:
        uuid = machine_uuid(self.site, node)
        if uuid and not UUID.fullmatch(uuid):
            mend = "Write it as dmidecode says it, such as 4c4c4544-0052-3510-8051-b7c04f4d3232"
            return [Fault(f"node {node}, vpd.uuid", f"'{uuid}' is no UUID", mend)]
        return self._twice(node, f"UUID {uuid}", "table vpd, column uuid") if uuid else []

    def _address(self, node: str) -> list[Fault]:
        address = self.site.address(node)
        if address is None or not is_address(address):
            what = f"'{address}' is no address" if address else "the node has no address"
            return [Fault(f"node {node}, hosts.ip", what, "Set ip: the answer service knows a node by its address")]
        found = self._twice(node, f"address {uniform(address)}", "table hosts, column ip")
        if self._own_networks_only and not self._is_near(address):
            what = "the node is in no network of this server, and site.sharedtftp says that only its own server writes its boot files"
            found.append(Fault(f"node {node}", what, "Run nodeset there, or set sharedtftp to 1"))
        return found

    def _is_near(self, address: str) -> bool:
        network = network_of(self.site, address)
        return network is not None and any(ipaddress.ip_address(here) in network for here in self.site.here)

    def _twice(self, node: str, what: str, where: str) -> list[Fault]:
        """Return the fault of a second node with the same address."""
        other = self.taken.setdefault(what, node)
        return [] if other == node else [Fault(where, f"nodes {other} and {node} have the same {what}", "Give each node its own")]

    def tell(self, what: str, node: str) -> None:
        """Note a warning about a node (or an image)."""
        self._told.setdefault(what, []).append(node)

    def warn_at_once(self) -> None:
        """Give each warning once, with the first of its nodes."""
        for what, nodes in self._told.items():
            more = f" and {len(nodes) - 3} more" if len(nodes) > 3 else ""
            self.warn(f"{what}: {', '.join(nodes[:3])}{more}")
