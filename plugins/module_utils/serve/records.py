# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names that the table hosts gives to addresses, as a name server tells them forward and back: pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import Fault, raise_faults
from ..nodes.attributes import attribute
from ..nodes.interfaces import other_names
from ..nodes.servers import declared_networks, is_address
from ..nodes.site import split_list, uniform

if TYPE_CHECKING:
    from ..nodes.site import Site

NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?")
DOMAIN = re.compile(r"[A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Record:
    """One address, of IPv4 or IPv6, and its names; the first one is what the address is asked for."""

    address: str
    names: tuple[str, ...]

    def line(self) -> str:
        """Return the line that tells dnsmasq."""
        return f"host-record={','.join(self.names)},{self.address}"


class _Domains:
    """Which domain an address is in: that of the smallest network with one that holds it, else that of the site."""

    def __init__(self, site: Site) -> None:
        self.site = site.setting("domain")
        said = {"table site, key domain": self.site}
        said.update({f"table networks, net {row.get('net')}, column domain": row.get("domain") or "" for row in site.rows("networks")})
        mend = "Use letters, digits, '-', '_' and dots"
        self.faults = [Fault(where, f"{text!r} is no domain", mend) for where, text in said.items() if not DOMAIN.fullmatch(text)]
        self.networks = [(network, row.get("domain") or self.site) for network, row in declared_networks(site)]
        self.networks.sort(key=lambda each: -each[0].prefixlen)

    def of(self, address: str) -> str:
        """Return the domain of an address, empty for none."""
        own = ipaddress.ip_address(address)
        return next((domain for network, domain in self.networks if own in network), self.site)


def _holders(site: Site) -> list[str]:
    """Return whom the table hosts may have an address for: nodes, further names of their interfaces, other hosts; no groups."""
    groups = {row.get("groupname") for row in site.rows("nodegroup")}
    nodes = site.nodes()
    for node in nodes:
        groups.update(site.groups(node))
    known = set(nodes) | groups
    others = [row["node"] for row in site.rows("hosts") if row.get("node") and row["node"] not in known]
    return list(dict.fromkeys([*nodes, *(name for node in nodes for name in other_names(site, node)), *others]))


def _further(site: Site, holder: str) -> list[tuple[str, str]]:
    """Return (name, address) of the further interfaces; `-name` is a suffix of the holder's own."""
    value = attribute(site, holder, "hosts", "otherinterfaces")
    found = []
    for item in split_list(value.text if value else ""):
        name, _colon, address = item.partition(":")
        found.append((f"{holder}{name}" if name.startswith("-") else name, address.strip("[]")))
    return found


def _aliases(site: Site, holder: str) -> list[str]:
    value = attribute(site, holder, "hosts", "hostnames")
    return (value.text if value else "").replace(",", " ").split()


def _full(name: str, domain: str) -> list[str]:
    """Return a name with its domain before it alone; one with a dot has its own."""
    return [name] if "." in name or not domain else [f"{name}.{domain}", name]


def records(site: Site) -> list[Record]:
    """Return a record for each address of the table hosts, sorted.

    Raises SiteError with every name and address that is none, and every alias that is the name of another host.
    """
    domains = _Domains(site)
    found: dict[Record, None] = {}
    faults: list[Fault] = domains.faults
    holders = _holders(site)
    taken = {holder.lower() for holder in holders}
    for holder in holders:
        own = site.address(holder)
        entries = [(holder, own, _aliases(site, holder))] if own else []
        entries += [(name, address, []) for name, address in _further(site, holder)]
        for name, address, aliases in entries:
            where = f"table hosts, node {holder}"
            wrong = [word for word in (name, *aliases) if not NAME.fullmatch(word)]
            faults += [Fault(where, f"{word!r} is no host name", "Use letters, digits, '-', '_' and dots") for word in wrong]
            if "%" in address or not is_address(address):  # what is behind a % may be anything
                faults.append(Fault(where, f"{name} has no address: {address!r}", "Write an IPv4 or IPv6 address"))
                continue
            clash = [alias for alias in aliases if alias.lower() in taken and alias.lower() != holder.lower()]
            mend = "Take the alias out, or rename one of the two"
            faults += [Fault(f"{where}, column hostnames", f"{alias} is the name of another host", mend) for alias in clash]
            names = [full for word in (name, *aliases) for full in _full(word, domains.of(address))]
            found[Record(address, tuple(dict.fromkeys(names)))] = None
    raise_faults(faults)
    return sorted(found, key=_order)


def _order(record: Record) -> tuple[int, int, tuple[str, ...]]:
    address = ipaddress.ip_address(record.address)
    return address.version, int(address), record.names


def conflicts(found: Iterable[Record], others: Sequence[tuple[str, str]]) -> list[Fault]:
    """Return a fault for each line of others (place, text) by which one of our names would lead elsewhere as well."""
    ours: dict[str, set[str]] = {}
    for record in found:
        for name in record.names:
            ours.setdefault(name.lower(), set()).add(uniform(record.address))
    faults = []
    for place, line in others:
        key, _equals, value = line.partition("=")
        words = [word.strip().lower() for word in value.split(",")]
        names = words[:-1] if key.strip() == "cname" else words if key.strip() == "host-record" else []
        addresses = {uniform(word) for word in words if is_address(word)}
        for name in names:
            if name in ours and not addresses & ours[name]:
                what = f"says something else of {name}, which the table hosts has at {', '.join(sorted(ours[name]))}"
                faults.append(Fault(place, what, "Remove the line, or the name from the table hosts"))
    return faults
