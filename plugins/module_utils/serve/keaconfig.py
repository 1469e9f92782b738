# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kea's configuration for the nodes we know: client classes by boot method and machine, subnets with reservations alone (pure)."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import Fault, SiteError
from ..nodes.servers import XCATMASTER
from ..nodes.site import split_list
from . import netboot
from .hosts import Host, seconds, used_networks
from .netboot import is_in

if TYPE_CHECKING:
    from ..nodes.site import Site
    from ..tables.columns import Row

HEADER = "// Written by diskless.statelite (module kea). Changes made here are lost."
CLASSES, SUBNETS = "client-classes.json", "subnet4.json"
"""Names of our two pieces, each the elements of a list."""

NO_CLASS = '{"name": "statelite"}'
"""A class of no machine: Kea takes an empty list of subnets, and none of classes."""

FOR_EVER = 4294967295
"""A lease without end (RFC 2131, 3.3)."""

SOCKET = "/run/kea/kea4-ctrl-socket"
ARCHITECTURE, USER_CLASS, VENDOR_CLASS, BOOT_FILE = 93, 77, 60, 67
OPTIONS = (("nameservers", "domain-name-servers"), ("ntpservers", "ntp-servers"), ("logservers", "log-servers"))
"""Columns of the table networks that list servers, and what Kea calls the options."""


@dataclass(frozen=True)
class Kind:
    """Hosts that are given the same loaders: those of one boot method that load from one server."""

    method: str
    server: str

    @property
    def name(self) -> str:
        """The client class of the hosts."""
        return f"statelite-{self.method}-{self.server}"


def kind_of(host: Host, own: Sequence[str], nets: Iterable[ipaddress.IPv4Network]) -> Kind:
    """Return the kind of a host: its server is the one that the tables name, or the address of this machine in its network."""
    near = (net for net in nets if is_in(host.address, [net]))
    here = next((each for net in near for each in own if is_in(each, [net])), host.named)
    return Kind(host.method, host.server or here)


def _by_architecture(tag: str) -> str:
    numbers = [number for machine, number in netboot.MACHINES if machine == tag]
    return " or ".join(f"substring(option[{ARCHITECTURE}].hex, 0, 2) == 0x{number:04x}" for number in numbers)


def _by_ipxe() -> str:
    """Return the expression of who runs iPXE, which writes its user class bare; others write the length before each (RFC 3004)."""
    return " or ".join(
        f"substring(option[{USER_CLASS}].hex, {start}, {len(name)}) == '{name}'" for name in netboot.USER_CLASSES for start in (0, 1)
    )


def _test(kind: Kind, loader: netboot.Loader) -> str:
    """Return the expression of who is given a loader; only what begins with KNOWN is asked after the host has been found."""
    words = ["member('KNOWN')", f"member('{kind.name}')"]
    if loader.ipxe is not None:
        words.append(f"({_by_ipxe()})" if loader.ipxe else f"not ({_by_ipxe()})")
    if loader.machine:
        words.append(f"({_by_architecture(loader.machine)})")
    return " and ".join(words)


def _class(kind: Kind, loader: netboot.Loader, is_web: bool) -> dict[str, Any]:
    suffix = (loader.machine or "all").replace("statelite-", "") if loader.ipxe is not True else "ipxe"
    options: list[dict[str, Any]] = [{"code": BOOT_FILE, "data": loader.file}]
    if is_web:
        options.append({"code": VENDOR_CLASS, "data": netboot.WEB_CLIENT, "always-send": True})
    return {
        "name": f"{kind.name}-{suffix}",
        "test": _test(kind, loader),
        "next-server": kind.server,
        "boot-file-name": loader.file,
        "option-data": options,
    }


def _classes(kinds: Iterable[Kind], bios_loader: str, port: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for kind in sorted(kinds, key=lambda each: each.name):
        place = netboot.on_web(kind.server, port)
        marks: dict[str, Any] = {"name": kind.name, "next-server": kind.server}
        prefix = netboot.path_prefix(kind.method, place)
        if prefix:
            marks["option-data"] = [{"code": netboot.PATH_PREFIX, "csv-format": False, "data": prefix.encode().hex(), "always-send": True}]
        found.append(marks)
        found += [_class(kind, loader, False) for loader in netboot.loaders(kind.method, bios_loader)]
        found += [_class(kind, loader, True) for loader in netboot.web_loaders(kind.method, place)]
    return found


def _server(word: str, network: ipaddress.IPv4Network, own: Sequence[str], column: str) -> str:
    """Return the address of a server of a network; `<xcatmaster>` is this machine, which DHCP names by its address there."""
    if word != XCATMASTER:
        return word
    found = next((each for each in own if is_in(each, [network])), "")
    if not found:
        what = f"{XCATMASTER} is not known: this server has no address in the network"
        raise SiteError.of(f"table networks, net {network.network_address}, column {column}", what, "Write the address itself")
    return found


def _options(network: ipaddress.IPv4Network, row: Row, own: Sequence[str]) -> list[dict[str, str]]:
    gateway = row.get("gateway") or ""
    found = [{"name": "routers", "data": _server(gateway, network, own, "gateway")}] if gateway else []
    for column, option in OPTIONS:
        servers = [_server(word, network, own, column) for word in split_list(row.get(column))]
        if servers:
            found.append({"name": option, "data": ", ".join(servers)})
    if row.get("domain"):
        found.append({"name": "domain-name", "data": row["domain"]})
    if row.get("mtu"):
        found.append({"name": "interface-mtu", "data": row["mtu"]})
    return found


def _subnet(network: ipaddress.IPv4Network, row: Row, lease: str, own: Sequence[str]) -> dict[str, Any]:
    """Return a subnet without its reservations. It has no pool: who has no reservation gets no answer.

    The number is that of its first address and, in the bits that are free there, its size: leases keep their subnet when others
    come and go, and of two networks that begin alike each has its own.
    """
    return {
        "subnet": str(network),
        "id": int(network.network_address) + network.max_prefixlen - network.prefixlen,
        "valid-lifetime": FOR_EVER if lease == "infinite" else seconds(lease),
        "match-client-id": False,
        "option-data": _options(network, row, own),
    }


def _reservation(host: Host, kind: Kind) -> dict[str, Any]:
    return {"hw-address": host.mac, "ip-address": host.address, "hostname": host.name, "client-classes": [kind.name]}


@dataclass(frozen=True)
class Pieces:
    """The texts of our two pieces."""

    classes: str
    subnets: str

    def by_name(self) -> dict[str, str]:
        """Return the texts by the names of their files."""
        return {CLASSES: self.classes, SUBNETS: self.subnets}


def pieces(site: Site, found: Sequence[Host], own: Sequence[str], lease: str, bios_loader: str) -> Pieces:
    """Return what Kea is told of the hosts, a line each, so that a difference is readable.

    Raises SiteError with every network whose servers are not known.
    """
    nets = used_networks(site, found)
    kinds = {host: kind_of(host, own, [network for network, _row in nets]) for host in found}
    faults: list[Fault] = []
    subnets = []
    left = list(found)
    for network, row in sorted(nets, key=lambda each: -each[0].prefixlen):
        try:
            subnet = _subnet(network, row, lease, own)
        except SiteError as error:
            faults += error.faults
            continue
        inside = [host for host in left if is_in(host.address, [network])]
        left = [host for host in left if not is_in(host.address, [network])]
        lines = ",\n".join(f"  {json.dumps(_reservation(host, kinds[host]))}" for host in inside)
        if inside:
            subnets.append(f'{json.dumps(subnet)[:-1]}, "reservations": [\n{lines}\n]}}')
    if faults:
        raise SiteError(*faults)
    classes = [json.dumps(each) for each in _classes(set(kinds.values()), bios_loader, site.setting("httpport"))] or [NO_CLASS]
    return Pieces(*("".join(f"{line}\n" for line in (HEADER, ",\n".join(each))) for each in (classes, subnets)))


NOTHING = Pieces(f"{HEADER}\n{NO_CLASS}\n", f"{HEADER}\n\n")
"""The pieces of no host."""


def reserved(text: str) -> set[tuple[str, str]]:
    """Return the (hardware address, address) pairs of a piece of ours."""
    pairs = set()
    for line in text.splitlines():
        if line.startswith('  {"hw-address"'):
            said = json.loads(line.rstrip(","))
            pairs.add((said["hw-address"], said["ip-address"]))
    return pairs


def inclusion(path: str) -> str:
    """Return the word by which Kea reads another file in its place."""
    return f'<?include "{path}"?>'


def main_text(interfaces: Sequence[str], directory: str, lease_file: str) -> str:
    """Return the main file, where it is ours."""
    return f"""{HEADER}
{{
  "Dhcp4": {{
    "interfaces-config": {{"interfaces": {json.dumps(list(interfaces))}}},
    "control-socket": {{"socket-type": "unix", "socket-name": "{SOCKET}"}},
    "lease-database": {{"type": "memfile", "name": "{lease_file}"}},
    "client-classes": [
      {inclusion(f"{directory}/{CLASSES}")}
    ],
    "subnet4": [
      {inclusion(f"{directory}/{SUBNETS}")}
    ]
  }}
}}
"""
