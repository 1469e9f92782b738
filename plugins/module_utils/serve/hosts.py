# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts that DHCP gives addresses to, and how long they keep them: the same for dnsmasq and Kea."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import Fault, SiteError, raise_faults
from ..nodes.interfaces import ADDRESS, NO_ADDRESS, boot_mac, colons, entries
from ..nodes.servers import XCATMASTER, declared_networks, resolve, tftpserver
from ..nodes.site import split_list
from .netboot import is_in, method_of

if TYPE_CHECKING:
    from ..nodes.site import Site
    from ..tables.columns import Row

INTERFACE = re.compile(r"[A-Za-z0-9_.:@-]{1,64}")
LEASE = re.compile(r"infinite|[0-9]+[mhdw]?")
FILE = re.compile(r"[A-Za-z0-9_./-]+")
SHORTEST = 120
"""dnsmasq gives no lease of less than two minutes."""

SERVERS = ("gateway", "nameservers", "ntpservers", "logservers")
"""Columns of the table networks that DHCP tells as addresses."""

NO_SIXTH = "there is no DHCPv6 here, so such nodes need their addresses from a router or another server"
SECONDS = {"": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@dataclass(frozen=True)
class Host:
    """One interface that gets an address: `server` is where it loads its boot file from, empty for this machine.

    `method` is how it boots, as `netboot` calls it; empty where the table has none. `named` is the server's address in any case.
    """

    mac: str
    address: str
    name: str
    server: str
    method: str = ""
    named: str = ""


def interfaces(site: Site) -> list[str]:
    """Return the interfaces of this server that the networks table names; those behind a relay (`!remote!`) are not here."""
    named = (row.get("mgtifname") or "" for row in site.rows("networks"))
    return list(dict.fromkeys(name for name in named if name and not name.startswith("!")))


def settings_faults(params: dict[str, Any]) -> list[Fault]:
    """Return what is wrong with the options themselves."""
    faults = [
        Fault(f"interfaces, {name!r}", "is no interface name", "Name an interface of this machine, such as eth1")
        for name in params["interfaces"]
        if not INTERFACE.fullmatch(name)
    ]
    if params["dhcp"] and not params["interfaces"]:
        faults.append(
            Fault("interfaces", "none is named", "Set mgtifname in the table networks, or interfaces: DHCP is answered there only")
        )
    lease = params["lease"]
    if not LEASE.fullmatch(lease):
        faults.append(Fault("lease", f"{lease!r} is no time", "Write infinite, or a number with m, h, d or w"))
    elif lease != "infinite" and seconds(lease) < SHORTEST:
        faults.append(Fault("lease", f"{lease} is less than two minutes", "Write 2m or more, or infinite"))
    if not FILE.fullmatch(params["boot_file"]):
        faults.append(Fault("boot_file", f"{params['boot_file']!r} is no file name", "Name a file below the TFTP directory"))
    return faults


def seconds(lease: str) -> int:
    """Return the seconds of a lease that is not infinite."""
    unit = lease.lstrip("0123456789")
    return int(lease[: len(lease) - len(unit)]) * SECONDS[unit]


def networks(site: Site) -> list[tuple[ipaddress.IPv4Network, Row]]:
    """Return the declared IPv4 networks with their rows, in table order."""
    return [(network, row) for network, row in declared_networks(site) if isinstance(network, ipaddress.IPv4Network)]


def holding(site: Site, found: Sequence[Host]) -> list[ipaddress.IPv4Network]:
    """Return the networks that hold some of the hosts, in table order."""
    return [network for network, _row in networks(site) if any(is_in(host.address, [network]) for host in found)]


def used_networks(site: Site, found: Sequence[Host]) -> list[tuple[ipaddress.IPv4Network, Row]]:
    """Return the networks that hold some of the hosts, in table order, with the servers that their rows name as addresses.

    Raises SiteError with every server that has none of IPv4, and every size of packets that is none.
    """
    faults: list[Fault] = []
    wanted = set(holding(site, found))
    used = [(network, {**row, **_servers(site, row, faults)}) for network, row in networks(site) if network in wanted]
    raise_faults(faults)
    return used


def _servers(site: Site, row: Row, faults: list[Fault]) -> Row:
    told: Row = {}
    for column in SERVERS:
        where = f"table networks, net {row.get('net')}, column {column}"
        addresses = []
        for name in split_list(row.get(column)):
            try:
                address = name if name == XCATMASTER else resolve(site, name, where)
            except SiteError as error:
                faults.extend(error.faults)
                continue
            if ":" in address:
                what = f"'{name}' is at {address}, and DHCP tells nodes of an IPv4 network no such address"
                faults.append(Fault(where, what, "Name it by an IPv4 address, or leave it out"))
            addresses.append(address)
        told[column] = ",".join(addresses)
    mtu = row.get("mtu") or ""
    if mtu and not (mtu.isdecimal() and 68 <= int(mtu) <= 65535):
        faults.append(
            Fault(f"table networks, net {row.get('net')}, column mtu", f"'{mtu}' is no size of packets", "Write bytes, such as 1500")
        )
    return told


def left_out(site: Site, found: Sequence[Host]) -> list[str]:
    """Return what a person should know of nodes and networks that get no addresses by DHCP."""
    known = {host.name for host in found}
    missing = [node for node in site.nodes() if node not in known]
    sixth = [node for node in missing if ":" in (site.address(node) or "")]
    rest = [node for node in missing if node not in set(sixth)]
    told = [
        f"table networks, net {row.get('net')}: {NO_SIXTH}"
        for network, row in declared_networks(site)
        if network.version != 4 and (row.get("mgtifname") or any(is_in(site.address(node) or "", [network]) for node in sixth))
    ]
    if sixth:
        told.append(f"no DHCP for {some(sixth)}, whose addresses are of IPv6: {NO_SIXTH}")
    return told + ([f"no DHCP for {some(rest)}: no MAC, or no address in a declared network"] if rest else [])


def some(nodes: Sequence[str]) -> str:
    """Return names for a sentence: the first ten of many."""
    return f"{', '.join(nodes[:10])}{' ...' if len(nodes) > 10 else ''}"


def hosts(site: Site, own: Sequence[str]) -> list[Host]:
    """Return every interface of a node that has an IPv4 address in a declared network.

    Raises SiteError with every address that two of them have, and every server of boot files that DHCP has no words for.
    """
    nets = [network for network, _row in networks(site)]
    here = set(own)
    found: list[Host] = []
    faults: list[Fault] = []
    taken: dict[str, str] = {}
    sixth: dict[str, list[str]] = {}
    for node in site.nodes():
        boot = boot_mac(site, node)
        for mac, written in entries(site, node):
            name = written or node
            if name == NO_ADDRESS or not ADDRESS.fullmatch(mac) or (name == node and mac != boot):
                continue
            address = site.address(name)
            if address is None or not is_in(address, nets):
                continue
            server = tftpserver(site, node)
            if ":" in server and server not in here:
                sixth.setdefault(server, []).append(node)
            host = Host(colons(mac), address, name, "" if server in here or not here else server, method_of(site, node), server)
            for thing in (host.mac, host.address):
                other = taken.setdefault(thing, name)
                if other != name:
                    faults.append(Fault(f"nodes {other} and {name}", f"both have {thing}", "Give each its own in the tables mac and hosts"))
            found.append(host)
    what = "their boot files are on {}, and DHCP tells nodes with IPv4 addresses of IPv4 servers only"
    mend = "Set noderes.tftpserver to that server's IPv4 address"
    faults += [Fault(f"nodes {some(list(dict.fromkeys(nodes)))}", what.format(server), mend) for server, nodes in sixth.items()]
    raise_faults(faults)
    return sorted(found, key=lambda host: (ipaddress.ip_address(host.address), host.mac))
