# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What DHCP has no words for is told by table and row, alike for dnsmasq and Kea: servers without an IPv4 address, IPv6 networks.

And what it does have words for: a loader for each method.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site
from ansible_collections.diskless.statelite.plugins.module_utils.serve import dnsmasq, kea
from ansible_collections.diskless.statelite.plugins.module_utils.serve.hosts import hosts, left_out

NET = {"netname": "lab", "net": "10.77.0.0", "mask": "255.255.255.0", "mgtifname": "lo"}
SIX = {"netname": "six", "net": "fd00:77::", "mask": "/64", "mgtifname": "lo"}
TABLES: dict[str, list[dict[str, str]]] = {
    "site": [{"key": "master", "value": "10.77.0.1"}],
    "networks": [NET],
    "nodelist": [{"node": "n1"}, {"node": "n2"}],
    "noderes": [{"node": "n1", "netboot": "grub2"}],
    "mac": [{"node": "n1", "mac": "52:54:00:77:00:11"}, {"node": "n2", "mac": "52:54:00:77:00:12"}],
    "hosts": [
        {"node": "n1", "ip": "10.77.0.11"},
        {"node": "n2", "ip": "10.77.0.12"},
        {"node": "ns1", "ip": "10.77.0.5"},
        {"node": "ns6", "ip": "fd00:77::5"},
    ],
}
Planned = Callable[..., str]


@pytest.fixture(params=["dnsmasq", "kea"])
def told(request: pytest.FixtureRequest, tmp_path: Path) -> Planned:
    """Return what writes the files of one of the two daemons, has the daemon test them, and gives their texts."""

    def of_dnsmasq(tables: dict[str, Any]) -> str:
        params = {name: spec.get("default") for name, spec in dnsmasq.SPEC.items()}
        params.update(path=str(tmp_path / "d/statelite.conf"), main_file=str(tmp_path / "dnsmasq.conf"))
        decided = dnsmasq.plan(Site({**TABLES, **tables}), params, ["10.77.0.1"])
        (tmp_path / "d").mkdir(exist_ok=True)
        decided.validate()
        return decided.text

    def of_kea(tables: dict[str, Any]) -> str:
        params = {name: spec.get("default") for name, spec in kea.SPEC.items()}
        params.update(main_file=str(tmp_path / "kea-dhcp4.conf"), directory=str(tmp_path / "pieces"), reload=False)
        decided = kea.plan(Site({**TABLES, **tables}), params, ["10.77.0.1"])
        decided.validate()
        return "".join(decided.texts.values())

    return of_dnsmasq if request.param == "dnsmasq" else of_kea


def test_servers_may_be_names_that_the_table_hosts_has(told: Planned) -> None:
    text = told({"networks": [{**NET, "gateway": "ns1", "nameservers": "ns1, 10.77.0.6"}]})
    assert "ns1," not in text.replace(" ", "").split("host-record")[0]
    assert "10.77.0.5,10.77.0.6" in text.replace(" ", "")


@pytest.mark.parametrize(
    ("cells", "match"),
    [
        ({"gateway": "gw"}, "net 10.77.0.0, column gateway: the server 'gw' has no address in the hosts table"),
        ({"nameservers": "10.77.0.5,fd00:77::5"}, "net 10.77.0.0, column nameservers: 'fd00:77::5' is at fd00:77::5, and DHCP tells"),
        ({"ntpservers": "ns6"}, "net 10.77.0.0, column ntpservers: 'ns6' is at fd00:77::5"),
        ({"logservers": "log.example"}, "column logservers: the server 'log.example' has no address"),
        ({"mtu": "big"}, "column mtu: 'big' is no size of packets"),
        ({"mtu": "60"}, "column mtu: '60' is no size of packets"),
    ],
)
def test_what_is_no_address_of_ipv4_is_refused_by_its_row(cells: dict[str, str], match: str, told: Planned) -> None:
    with pytest.raises(SiteError, match=match):
        told({"networks": [{**NET, **cells}]})


def test_every_such_row_is_told_at_once(told: Planned) -> None:
    with pytest.raises(SiteError) as refusal:
        told({"networks": [{**NET, "gateway": "gw", "nameservers": "a,b", "mtu": "0"}]})
    assert len(refusal.value.faults) == 4


def test_a_server_of_boot_files_without_an_address_of_ipv4_is_refused_once_for_all_its_nodes(told: Planned) -> None:
    with pytest.raises(SiteError) as refusal:
        told({"noderes": [{"node": node, "tftpserver": "fd00:77::5"} for node in ("n1", "n2")]})
    assert [fault.where for fault in refusal.value.faults] == ["nodes n1, n2"]
    assert "fd00:77::5" in refusal.value.faults[0].what


def test_networks_and_nodes_of_ipv6_are_told_by_name_and_the_others_served(told: Planned) -> None:
    tables = {"networks": [NET, SIX], "hosts": [{"node": "n1", "ip": "fd00:77::11"}, TABLES["hosts"][1]]}
    assert "52:54:00:77:00:12" in told(tables)
    site = Site({**TABLES, **tables})
    sentences = left_out(site, hosts(site, ["10.77.0.1"]))
    assert [each.split(": ")[0] for each in sentences] == [
        "table networks, net fd00:77::",
        "no DHCP for n1, whose addresses are of IPv6",
    ]


def test_a_network_of_ipv6_in_which_nobody_asks_is_nobodys_business() -> None:
    site = Site({**TABLES, "networks": [NET, {**SIX, "mgtifname": ""}]})
    assert left_out(site, hosts(site, ["10.77.0.1"])) == []


def test_a_node_without_an_address_is_told_as_before() -> None:
    site = Site({**TABLES, "hosts": TABLES["hosts"][1:]})
    assert left_out(site, hosts(site, [])) == ["no DHCP for n1: no MAC, or no address in a declared network"]


@pytest.mark.parametrize(("osvers", "loader"), [("rhels6.10", "yb/rhels6.10/yaboot"), ("rhels5.9", "yaboot"), ("", "yaboot")])
def test_a_machine_of_yaboot_gets_the_loader_that_comes_with_its_system(osvers: str, loader: str, told: Planned) -> None:
    image = {"imagename": "power", "osvers": osvers, "osarch": "ppc64", "profile": "compute", "provmethod": "statelite"}
    tables = {
        "osimage": [image] if osvers else [],
        "nodetype": [{"node": "n1", "provmethod": "power"}],
        "noderes": [{"node": "n1", "netboot": "yaboot"}],
    }
    text = told(tables)
    assert f",{loader}\n" in text or f'"boot-file-name": "{loader}"' in text
