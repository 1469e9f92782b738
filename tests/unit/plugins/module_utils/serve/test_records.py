# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the table hosts names is told forward and back, and nobody else's words about it are talked over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site
from ansible_collections.diskless.statelite.plugins.module_utils.serve.dnsmasq import SPEC, DnsmasqPlan, plan
from ansible_collections.diskless.statelite.plugins.module_utils.serve.records import conflicts, records

TABLES = {
    "site": [{"key": "master", "value": "10.77.0.1"}, {"key": "domain", "value": "site.test"}],
    "networks": [
        {"net": "10.77.0.0", "mask": "255.255.255.0", "domain": "lab.test"},
        {"net": "10.0.0.0", "mask": "/8", "domain": "wide.test"},
        {"net": "fd00:77::", "mask": "/64", "domain": "six.test"},
    ],
    "nodelist": [{"node": "n1", "groups": "compute"}, {"node": "n2", "groups": "compute"}],
    "mac": [{"node": "n1", "mac": "52:54:00:77:00:11|52:54:00:77:00:1b!n1-b"}],
    "hosts": [
        {"node": "n1", "ip": "10.77.0.11", "hostnames": "first,login other.example", "otherinterfaces": "-ib:10.78.0.11,six1:fd00:77::11"},
        {"node": "n1-b", "ip": "192.0.2.11"},
        {"node": "compute", "ip": r"|n(\d+)|10.77.0.(10+$1)|"},
        {"node": "storage", "ip": "fd00:77::5", "hostnames": "login"},
    ],
}


def lines(tables: dict[str, Any] | None = None) -> list[str]:
    return [record.line() for record in records(Site({**TABLES, **(tables or {})}))]


def planned(root: Path, tables: dict[str, Any] | None = None, **options: Any) -> DnsmasqPlan:
    params = {name: spec.get("default") for name, spec in SPEC.items()}
    params.update(dhcp=False, path=str(root / "dnsmasq.d/statelite.conf"), main_file=str(root / "dnsmasq.conf"))
    return plan(Site({**TABLES, **(tables or {})}), {**params, **options}, ["10.77.0.1"])


def test_each_address_has_its_names_with_the_domain_of_its_network() -> None:
    assert lines() == [
        "host-record=n1.lab.test,n1,first.lab.test,first,login.lab.test,login,other.example,10.77.0.11",
        "host-record=n2.lab.test,n2,10.77.0.12",
        "host-record=n1-ib.wide.test,n1-ib,10.78.0.11",
        "host-record=n1-b.site.test,n1-b,192.0.2.11",
        "host-record=storage.six.test,storage,login.six.test,login,fd00:77::5",
        "host-record=six1.six.test,six1,fd00:77::11",
    ]


def test_without_a_domain_names_stand_alone() -> None:
    assert lines({"site": [], "networks": []})[1] == "host-record=n2,10.77.0.12"


def test_an_alias_that_is_another_host_and_a_name_that_is_none_are_refused_together() -> None:
    hosts = [
        {"node": "n1", "ip": "10.77.0.11", "hostnames": "n2 a_b/c"},
        {"node": "n2", "ip": "10.77.0.12", "otherinterfaces": "x:nowhere"},
    ]
    with pytest.raises(SiteError) as error:
        lines({"hosts": hosts})
    assert [(fault.where, fault.what) for fault in error.value.faults] == [
        ("table hosts, node n1", "'a_b/c' is no host name"),
        ("table hosts, node n1, column hostnames", "n2 is the name of another host"),
        ("table hosts, node n2", "x has no address: 'nowhere'"),
    ]


@pytest.mark.parametrize("options", [{"dns": False}, {"records": False}])
def test_records_are_told_only_where_they_are_wanted(tmp_path: Path, options: dict[str, bool]) -> None:
    assert "host-record" in planned(tmp_path).text
    assert "host-record" not in planned(tmp_path, **options).text


def test_what_others_say_of_our_names_is_refused_unless_it_is_the_same(tmp_path: Path) -> None:
    (tmp_path / "dnsmasq.d").mkdir()
    (tmp_path / "dnsmasq.d/old.conf").write_text(
        "host-record=N1,10.77.0.11\nhost-record=printer,n2.lab.test,192.0.2.7\ncname=www,login,printer\ncname=mail,n1\naddress=/lab.test/\n"
    )
    with pytest.raises(SiteError) as error:
        planned(tmp_path)
    assert [(fault.where, fault.what.split(",")[0]) for fault in error.value.faults] == [
        (f"{tmp_path}/dnsmasq.d/old.conf line 2", "says something else of n2.lab.test"),
        (f"{tmp_path}/dnsmasq.d/old.conf line 3", "says something else of login"),
    ]


def test_a_server_that_serves_some_nodes_tells_the_names_of_all(tmp_path: Path) -> None:
    params = {name: spec.get("default") for name, spec in SPEC.items()}
    params.update(dhcp=False, path=str(tmp_path / "d/statelite.conf"), main_file=str(tmp_path / "dnsmasq.conf"))
    some = Site({**TABLES, "nodelist": []})
    assert "host-record=n2.lab.test,n2,10.77.0.12\n" in plan(some, params, ["10.77.0.1"], Site(TABLES)).text


def test_dnsmasq_takes_the_records(tmp_path: Path) -> None:
    planned(tmp_path).apply()
    assert planned(tmp_path).lines() == []


@pytest.mark.parametrize(
    ("tables", "where"),
    [
        ({"hosts": [{"node": "n1", "ip": "fe80::1%x,n9,10.0.0.9"}]}, "table hosts, node n1"),
        ({"site": [{"key": "domain", "value": "lab,evil,10.9.9.9"}]}, "table site, key domain"),
        ({"networks": [{"net": "10.77.0.0", "mask": "/24", "domain": "a b"}]}, "table networks, net 10.77.0.0, column domain"),
    ],
)
def test_no_cell_says_more_to_dnsmasq_than_its_own_word(tables: dict[str, Any], where: str) -> None:
    with pytest.raises(SiteError) as refused:
        lines(tables)
    assert [fault.where for fault in refused.value.faults] == [where]


def test_capitals_make_no_other_name() -> None:
    with pytest.raises(SiteError, match="N1 is the name of another host"):
        lines({"hosts": [{"node": "n1", "ip": "10.77.0.11"}, {"node": "n2", "ip": "10.77.0.12", "hostnames": "N1"}]})


def test_an_address_spelled_otherwise_is_the_same() -> None:
    told = records(Site({**TABLES, "hosts": [{"node": "n1", "ip": "fd00:77::1"}]}))
    assert conflicts(told, [("other.conf line 1", "host-record=n1,FD00:77:0::1")]) == []
    assert len(conflicts(told, [("other.conf line 1", "host-record=n1,fd00:77::2")])) == 1
