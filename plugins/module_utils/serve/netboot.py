# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which boot loader DHCP names to a node: by its boot method, and by the machine that asks (RFC 4578, option 93)."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from ..nodes.attributes import attribute
from ..nodes.images import architecture
from ..nodes.servers import TFTP_ON_WEB, behind_server

if TYPE_CHECKING:
    from ..nodes.site import Site

BIOS, EFI_X64, EFI_ARM64, HTTP_X64, HTTP_ARM64, IPXE, HTTP = (
    f"statelite-{name}" for name in ("bios", "efi-x64", "efi-arm64", "http-x64", "http-arm64", "ipxe", "http")
)
MACHINES = ((BIOS, 0), (EFI_X64, 7), (EFI_X64, 9), (EFI_ARM64, 11), (HTTP_X64, 16), (HTTP_ARM64, 19))
"""Tags by the number of the architecture that a machine says that it is (IANA, Processor Architecture Types)."""

GRUB = "boot/grub2/grub2"
XNBA = "xcat/xnba"
POWER = "grub2-power"
PATH_PREFIX = 210
"""RFC 5071: what a petitboot machine puts before the names that it looks for."""


class Asking(Protocol):
    """A host as far as it matters here."""

    @property
    def address(self) -> str:
        """Its address."""

    @property
    def server(self) -> str:
        """The server of its boot files, empty for this machine."""

    @property
    def method(self) -> str:
        """Its boot method."""


def method_of(site: Site, node: str) -> str:
    """Return how a node boots: noderes.netboot; GRUB on POWER by a name of its own, as such machines do not say what they are."""
    value = attribute(site, node, "noderes", "netboot")
    method = value.text if value else "pxe"
    if not method.startswith("grub2"):
        return method
    return POWER if architecture(site, node).startswith("ppc") else "grub2"


def tag_of(method: str) -> str:
    """Return the tag of the hosts of a boot method."""
    return f"statelite-{method}"


def server_tag(server: str) -> str:
    """Return the tag of the hosts of a server of boot files."""
    return f"statelite-{server.replace(':', '-')}" if server else "statelite"


def network_tag(network: ipaddress.IPv4Network) -> str:
    """Return the tag of the hosts in a network."""
    return "statelite-" + str(network.network_address).replace(".", "-")


def lines(hosts: Sequence[Asking], networks: Sequence[ipaddress.IPv4Network], bios_loader: str, own: Sequence[str], port: str) -> list[str]:
    """Return the lines that tell machines apart, and those that name a boot loader to each kind.

    `own` are the addresses of this machine: what is fetched by HTTP is named by the one in the host's network, at `port`.
    """
    found = [f"dhcp-match=set:{tag},option:client-arch,{number}" for tag, number in MACHINES if _asked(tag, hosts)]
    methods = {host.method for host in hosts}
    if "xnba" in methods:
        found += [f"dhcp-userclass=set:{IPXE},{name}" for name in ("iPXE", "xNBA")]
    if "grub2" in methods:
        found += [f"dhcp-vendorclass=set:{HTTP},HTTPClient", f"dhcp-option-force=tag:{HTTP},option:vendor-class,HTTPClient"]
    for method, server in sorted({(host.method, host.server) for host in hosts}):
        end = f",,{server}" if server else ""
        by_server = f"dhcp-boot=tag:{server_tag(server)},tag:{tag_of(method)}"
        found += [f"{by_server}{tags},{loader}{end}" for tags, loader in _loaders(method, bios_loader)]
        for network in networks:
            address = server or next((each for each in own if _is_in(each, network)), "")
            if address and any(host.method == method and host.server == server and _is_in(host.address, network) for host in hosts):
                found += _by_http(method, server, network, f"http://{address}{behind_server(port)}{TFTP_ON_WEB}/")
    return found


def _asked(tag: str, hosts: Sequence[Asking]) -> bool:
    """Return whether some host's loader depends on the machine being of this kind."""
    needed = {"pxe": (BIOS,), "xnba": (BIOS, EFI_X64), "grub2": (EFI_X64, EFI_ARM64, HTTP_X64, HTTP_ARM64)}
    return any(tag in needed.get(host.method, ()) for host in hosts)


def _loaders(method: str, bios_loader: str) -> list[tuple[str, str]]:
    """Return (further tags, path below the TFTP directory) of the loaders of a method."""
    if method == "pxe":
        return [(f",tag:{BIOS}", bios_loader)]
    if method == "xnba":
        return [
            (f",tag:{IPXE}", f"{XNBA}/boot.ipxe"),
            (f",tag:!{IPXE},tag:{BIOS}", f"{XNBA}/undionly.kpxe"),
            (f",tag:!{IPXE},tag:{EFI_X64}", f"{XNBA}/snponly.efi"),
        ]
    if method == "grub2":
        return [(f",tag:{EFI_X64}", f"{GRUB}.x86_64"), (f",tag:{EFI_ARM64}", f"{GRUB}.aarch64")]
    return [("", f"{GRUB}.ppc")] if method == POWER else []


def _by_http(method: str, server: str, network: ipaddress.IPv4Network, place: str) -> list[str]:
    """Return the lines of the methods that begin with HTTP, for the hosts of one network."""
    tags = f"tag:{server_tag(server)},tag:{tag_of(method)},tag:{network_tag(network)}"
    if method == "grub2":
        named = ((HTTP_X64, "x86_64"), (HTTP_ARM64, "aarch64"))
        return [f"dhcp-boot={tags},tag:{machine},{place}{GRUB}.{arch}" for machine, arch in named]
    if method == "petitboot":
        return [f'dhcp-option-force={tags},{PATH_PREFIX},"{place}"']
    return []


def _is_in(address: str, network: ipaddress.IPv4Network) -> bool:
    try:
        return ipaddress.ip_address(address) in network
    except ValueError:
        return False
