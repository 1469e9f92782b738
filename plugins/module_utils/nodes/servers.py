# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who serves a node what, as addresses: an initramfs has no hosts file (decisions.md, Tables; behaviour.md e.4, i)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

from ..errors import Fault, SiteError, raise_faults
from .site import split_list, uniform
from .values import Value, attribute

if TYPE_CHECKING:
    from ..tables.columns import Row
    from .site import Site

XCATMASTER = "<xcatmaster>"
TFTP_ON_WEB = "/tftpboot"
"""The TFTP directory on the web server, whatever its own path is: the original's boot files say so."""


@lru_cache(maxsize=65536)
def is_address(text: str) -> bool:
    """Return whether `text` is an IPv4 or IPv6 literal (without brackets)."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def bracketed(address: str) -> str:
    """Return an address as it stands before a colon: an IPv6 one in brackets."""
    return f"[{address}]" if ":" in address else address


def behind_server(port: str) -> str:
    """Return the port of a web server as it stands behind the server's address: nothing for the usual one."""
    return "" if port == "80" else f":{port}"


def tftp_directory(site: Site, node: str) -> str:
    """Return where the node's boot files are: noderes.tftpdir, else site.tftpdir."""
    value = attribute(site, node, "noderes", "tftpdir")
    return (value.text if value else site.setting("tftpdir")).rstrip("/") or "/"


def resolve(site: Site, name: str, where: str) -> str:
    """Return the address of a server named in a table: a literal, a node, or a name or alias of the hosts table.

    Raises SiteError naming `where` when the hosts table does not know the name.
    """
    bare = name[1:-1] if name.startswith("[") and name.endswith("]") else name
    if is_address(bare):
        return uniform(bare)
    found = site.address(bare)
    if found is None:
        for row in site.rows("hosts"):
            if bare in (row.get("hostnames") or "").replace(",", " ").split():
                found = site.address(row["node"])
                break
    if found is None or not is_address(found):
        raise SiteError.of(
            where,
            f"the server '{bare}' has no address in the hosts table",
            f"Write its address, or add a row for {bare} with its ip to the table hosts",
        )
    return uniform(found)


def declared_networks(site: Site) -> list[tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, Row]]:
    """Return the networks of the table, of either kind of addresses, with their rows, in table order; no row that is none."""
    found = []
    for row in site.rows("networks"):
        try:
            found.append((ipaddress.ip_network(f"{row.get('net')}/{(row.get('mask') or '').lstrip('/')}", strict=False), row))
        except ValueError:
            continue
    return found


def network_of(site: Site, address: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """Return the declared network that holds `address`, the smallest when several do; none holds what is no address."""
    if not is_address(address):
        return None
    own = ipaddress.ip_address(address)
    found = [network for network, _row in declared_networks(site) if own in network]
    return max(found, key=lambda network: network.prefixlen, default=None)


def _this_server(site: Site, node: str) -> str | None:
    """Return the address of the server that looks, in the node's network when it has one there."""
    own = site.address(node)
    network = network_of(site, own) if own else None
    for address in site.here:
        if network is None or ipaddress.ip_address(address) in network:
            return address
    return site.here[0] if site.here else None


def xcatmaster(site: Site, node: str, facing: str | None = None) -> str:
    """Return the address of the node's management or service node: noderes.xcatmaster, noderes.servicenode, site.master, this server.

    Of several service nodes it is the one that looks, if it is one of them: each tells nodes its own address (behaviour.md i).
    `facing` stands in place of the last three where a boot loader knows the server that answers it by a word of its own.
    """
    value = attribute(site, node, "noderes", "xcatmaster")
    if value:
        return _resolved(site, value, "xcatmaster")
    if facing is not None:
        return facing
    serving = service_nodes(site, node)
    if serving:
        return next((address for address in serving if address in site.here), serving[0])
    master = site.setting("master")
    if master:
        return site.once(("server", master), lambda: resolve(site, master, "table site, key master"))
    here = _this_server(site, node)
    if here is None:
        raise SiteError.of(
            f"table noderes, node {node}, column xcatmaster",
            "nothing says which server the node belongs to",
            "Set the key master in the site table to the management node's address",
        )
    return here


def service_nodes(site: Site, node: str) -> tuple[str, ...]:
    """Return the addresses of the service nodes that serve a node, as noderes.servicenode has them; none where the management node does."""
    value = attribute(site, node, "noderes", "servicenode")
    if value is None:
        return ()
    where = f"table noderes, {value.source}, column servicenode"

    def look_up() -> tuple[str, ...]:
        return tuple(resolve(site, name, where) for name in split_list(value.text))

    return site.once(("service nodes", value.text), look_up)


def own_nodes(site: Site, nodes: Iterable[str]) -> list[str]:
    """Return those of `nodes` that this server serves: whose servicenode names it, and, for the management node, those without one.

    A server that no row names as a service node is the management node; one that is both is told by site.master.
    Raises SiteError with every service node that has no address.
    """
    faults: list[Fault] = []
    serving: dict[str, tuple[str, ...]] = {}
    for node in site.nodes():
        try:
            serving[node] = service_nodes(site, node)
        except SiteError as error:
            faults.extend(error.faults)
    raise_faults(dict.fromkeys(faults))
    here = set(site.here)
    manages = not any(here.intersection(addresses) for addresses in serving.values()) or _is_master(site)
    return [node for node in nodes if (here.intersection(serving[node]) if serving.get(node) else manages)]


def _is_master(site: Site) -> bool:
    master = site.setting("master")
    return bool(master) and resolve(site, master, "table site, key master") in site.here


def own_view(site: Site) -> Site:
    """Return the site with no other nodes than those that this server serves; servers and groups are the same."""
    own = set(own_nodes(site, site.nodes()))
    return site.with_rows_of("nodelist", [row for row in site.rows("nodelist") if row.get("node") in own])


def _resolved(site: Site, value: Value, column: str) -> str:
    """Return the address of a server that a row of noderes names, looked up once."""
    where = f"table noderes, {value.source}, column {column}"
    return site.once(("server", value.text), lambda: resolve(site, value.text, where))


def _server(site: Site, node: str, *columns: str, facing: str | None = None) -> str:
    for column in columns:
        value = attribute(site, node, "noderes", column)
        if value and value.text != XCATMASTER:
            return _resolved(site, value, column)
    return xcatmaster(site, node, facing)


def nfsserver(site: Site, node: str) -> str:
    """Return the address of the node's NFS server: noderes.nfsserver, else the node's xcatmaster."""
    return _server(site, node, "nfsserver")


def tftpserver(site: Site, node: str) -> str:
    """Return the address of the node's TFTP server: noderes.tftpserver, else the node's xcatmaster."""
    return _server(site, node, "tftpserver")


def image_server(site: Site, node: str, facing: str | None = None) -> str:
    """Return the address that the root image comes from: nfsserver, else tftpserver, else xcatmaster (behaviour.md e.4)."""
    return _server(site, node, "nfsserver", "tftpserver", facing=facing)
