# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which boot loader DHCP names to a node: by its boot method, and by the machine that asks (RFC 4578, option 93)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ..errors import SiteError
from ..nodes.attributes import attribute
from ..nodes.images import architecture, find_image, image_of, yaboot_directory
from ..nodes.servers import TFTP_ON_WEB, behind_server, bracketed

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
YABOOT = "yaboot"
USER_CLASSES = ("iPXE", "xNBA")
"""What a machine that runs iPXE says that it is (option 77)."""

WEB_CLIENT = "HTTPClient"
"""What a machine that boots over HTTP says that it is (option 60), and wants to hear."""

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
    """Return how a node boots: noderes.netboot; GRUB on POWER by a name of its own, as such machines do not say what they are.

    So is the yaboot that comes with a system, by the name of that.
    """
    value = attribute(site, node, "noderes", "netboot")
    method = value.text if value else "pxe"
    if method == YABOOT:
        directory = _yaboot_directory(site, node)
        return f"{YABOOT}-{directory.rpartition('/')[2]}" if directory else YABOOT
    if not method.startswith("grub2"):
        return method
    return POWER if architecture(site, node).startswith("ppc") else "grub2"


def _yaboot_directory(site: Site, node: str) -> str | None:
    try:
        image = find_image(site, image_of(site, node))
    except SiteError:  # no image is no fault of its address; nodeset tells of it
        return None
    return yaboot_directory(image.osvers) if image else None


def tag_of(method: str) -> str:
    """Return the tag of the hosts of a boot method."""
    return f"statelite-{method}"


def server_tag(server: str) -> str:
    """Return the tag of the hosts of a server of boot files."""
    return f"statelite-{server.replace(':', '-')}" if server else "statelite"


def network_tag(network: ipaddress.IPv4Network) -> str:
    """Return the tag of the hosts in a network."""
    return "statelite-" + str(network.network_address).replace(".", "-")


@dataclass(frozen=True)
class Loader:
    """A boot loader and who is given it: a kind of machine (a tag of MACHINES; empty for all), and iPXE alone, all but iPXE, or either."""

    file: str
    machine: str = ""
    ipxe: bool | None = None


def loaders(method: str, bios_loader: str) -> list[Loader]:
    """Return the loaders of a method, by their paths below the TFTP directory."""
    if method == "pxe":
        return [Loader(bios_loader, BIOS)]
    if method == "xnba":
        return [
            Loader(f"{XNBA}/boot.ipxe", ipxe=True),
            Loader(f"{XNBA}/undionly.kpxe", BIOS, False),
            Loader(f"{XNBA}/snponly.efi", EFI_X64, False),
        ]
    if method == "grub2":
        return [Loader(f"{GRUB}.x86_64", EFI_X64), Loader(f"{GRUB}.aarch64", EFI_ARM64)]
    if method.startswith(YABOOT):
        system = method[len(YABOOT) + 1 :]
        return [Loader(f"yb/{system}/yaboot" if system else "yaboot")]
    return [Loader(f"{GRUB}.ppc")] if method == POWER else []


def web_loaders(method: str, place: str) -> list[Loader]:
    """Return the loaders that machines fetch by HTTP from the beginning, by their URLs; `place` is where the TFTP directory is."""
    named = ((HTTP_X64, "x86_64"), (HTTP_ARM64, "aarch64")) if method == "grub2" else ()
    return [Loader(f"{place}{GRUB}.{arch}", machine) for machine, arch in named]


def path_prefix(method: str, place: str) -> str:
    """Return the path prefix (option PATH_PREFIX) of a method, empty for none."""
    return place if method == "petitboot" else ""


def on_web(address: str, port: str) -> str:
    """Return where the TFTP directory is on the web server."""
    return f"http://{bracketed(address)}{behind_server(port)}{TFTP_ON_WEB}/"


def is_asked(tag: str, methods: Iterable[str]) -> bool:
    """Return whether a loader of some method depends on the machine being of this kind."""
    return any(tag == loader.machine for method in methods for loader in (*loaders(method, ""), *web_loaders(method, "")))


def lines(hosts: Sequence[Asking], networks: Sequence[ipaddress.IPv4Network], bios_loader: str, own: Sequence[str], port: str) -> list[str]:
    """Return dnsmasq's lines that tell machines apart, and those that name a boot loader to each kind.

    `own` are the addresses of this machine: what is fetched by HTTP is named by the one in the host's network, at `port`.
    """
    methods = {host.method for host in hosts}
    found = [f"dhcp-match=set:{tag},option:client-arch,{number}" for tag, number in MACHINES if is_asked(tag, methods)]
    if "xnba" in methods:
        found += [f"dhcp-userclass=set:{IPXE},{name}" for name in USER_CLASSES]
    if "grub2" in methods:
        found += [f"dhcp-vendorclass=set:{HTTP},{WEB_CLIENT}", f"dhcp-option-force=tag:{HTTP},option:vendor-class,{WEB_CLIENT}"]
    for method, server in sorted({(host.method, host.server) for host in hosts}):
        end = f",,{server}" if server else ""
        tags = f"tag:{server_tag(server)},tag:{tag_of(method)}"
        found += [f"dhcp-boot={tags}{_tags(loader)},{loader.file}{end}" for loader in loaders(method, bios_loader)]
        for network in networks:
            address = server or next((each for each in own if is_in(each, [network])), "")
            if address and any(host.method == method and host.server == server and is_in(host.address, [network]) for host in hosts):
                place, inside = on_web(address, port), f"{tags},tag:{network_tag(network)}"
                found += [f"dhcp-boot={inside}{_tags(loader)},{loader.file}" for loader in web_loaders(method, place)]
                prefix = path_prefix(method, place)
                found += [f'dhcp-option-force={inside},{PATH_PREFIX},"{prefix}"'] if prefix else []
    return found


def _tags(loader: Loader) -> str:
    """Return the tags of whoever is given a loader."""
    ipxe = {True: f",tag:{IPXE}", False: f",tag:!{IPXE}", None: ""}[loader.ipxe]
    return ipxe + (f",tag:{loader.machine}" if loader.machine else "")


def is_in(address: str, networks: Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    """Return whether one of the networks holds an address."""
    try:
        own = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(own in network for network in networks)
