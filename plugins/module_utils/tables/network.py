# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of the site as a whole: networks, policy, site."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from . import rules
from .columns import CellRule, Column, Problem, Row, Table

POLICY_RULES = ("allow", "accept", "trusted", "deny")


def _network_rule(row: Row) -> Iterable[tuple[str, str, str]]:
    net, mask = row.get("net") or "", row.get("mask") or ""
    if not net or not mask or rules.network(net) or rules.netmask(mask):
        return
    try:
        ipaddress.ip_network(f"{net}/{mask.lstrip('/')}", strict=False)
    except ValueError:
        mend = "Write a length such as /64" if ":" in net else "Write a mask such as 255.255.255.0, or a length up to /32"
        yield "mask", f"{mask!r} is no mask of {net}", mend


NETWORKS = Table(
    "networks",
    (
        Column("netname", "Name of the network.", rule=rules.name),
        Column("net", "First address of the network.", required=True, rule=rules.network),
        Column("mask", "Network mask, such as V(255.255.255.0) or V(/24).", required=True, rule=rules.netmask),
        Column("mgtifname", "Interface of the management node in this network, or C(!remote!)NAME behind a relay."),
        Column("gateway", "Default gateway, or C(<xcatmaster>)."),
        Column("dhcpserver", "Server that answers DHCP in this network."),
        Column("tftpserver", "Server of boot files in this network."),
        Column("nameservers", "Name servers of the nodes, separated by commas."),
        Column("ntpservers", "Time servers of the nodes, separated by commas."),
        Column("logservers", "Log servers of the nodes, separated by commas."),
        Column("dynamicrange", "Addresses for unknown machines, C(FIRST-LAST), several separated by commas.", rule=rules.address_ranges),
        Column("staticrange", "Addresses to give to newly discovered nodes, C(FIRST-LAST).", rule=rules.address_ranges),
        Column("staticrangeincrement", "Distance between addresses taken from the static range."),
        Column("nodehostname", "Pattern that makes a host name in this network from a node's name."),
        Column("ddnsdomain", "Domain for dynamic DNS updates."),
        Column("vlanid", "VLAN of the network."),
        Column("domain", "DNS domain of the network."),
        Column("mtu", "Largest packet of the network in bytes."),
    ),
    ("net", "mask"),
    "The networks that nodes boot in.",
    _network_rule,
)


def _policy_rule(row: Row) -> Iterable[tuple[str, str, str]]:
    rule = row.get("rule", "")
    if rule and rule.lower() not in POLICY_RULES:
        yield "rule", f"{rule!r} is no rule", "Use " + ", ".join(POLICY_RULES)


POLICY = Table(
    "policy",
    (
        Column(
            "priority", "Order of the rows, the lowest number first; the first row that matches decides.", required=True, rule=rules.number
        ),
        Column("name", "User that asks; blank for anyone, as booting nodes are."),
        Column("host", "Host that asks; blank or V(*) for any."),
        Column("commands", "Requests that the row is about, separated by commas; blank or V(*) for all."),
        Column("noderange", "Nodes that the request may be about; blank for all."),
        Column("parameters", "Regular expression found in the request's arguments; blank for any."),
        Column("time", "Not used."),
        Column("rule", "What happens: V(allow), V(accept) or V(trusted) permit, V(deny) refuses.", required=True),
    ),
    ("priority",),
    "Who may ask the answer service for what.",
    _policy_rule,
)


def _attachment(text: str) -> Problem | None:
    return None if text in ("link", "bind") else (f"{text!r} is no attachment", "Use link (the statelite document) or bind (later xCAT)")


def _port(text: str) -> Problem | None:
    return None if text.isdecimal() and 0 < int(text) < 65536 else (f"{text!r} is no port", "Use a number from 1 to 65535")


SETTING_RULES: dict[str, CellRule] = {
    "liteattach": _attachment,
    "installdir": rules.absolute_path,
    "tftpdir": rules.absolute_path,
    "xcatdport": _port,
    "xcatiport": _port,
    "httpport": _port,
    "litedisklabel": rules.disk_label,
    "litediskformat": rules.devices,
    "litediskopts": rules.writable_options,
    "litediskwait": rules.seconds,
}


def setting_problem(key: str, value: str) -> Problem | None:
    """Return what is wrong with a setting, and the mend; None for a lawful one, and for one without value."""
    return SETTING_RULES[key](value) if value and key in SETTING_RULES else None


def _site_rule(row: Row) -> Iterable[tuple[str, str, str]]:
    problem = setting_problem(row.get("key", ""), row.get("value", ""))
    if problem is not None:
        yield ("value", *problem)


SITE = Table(
    "site",
    (
        Column("key", "Name of the setting.", required=True, rule=rules.name),
        Column("value", "Value of the setting."),
    ),
    ("key",),
    "Settings of the whole site, such as C(installdir), C(tftpdir), C(master), C(domain) and C(liteattach).",
    _site_rule,
)
