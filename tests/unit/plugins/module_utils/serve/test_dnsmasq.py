# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""dnsmasq's drop-in holds the nodes of the tables, keeps off everybody else's files, and is tested by dnsmasq itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site
from ansible_collections.diskless.statelite.plugins.module_utils.serve.dnsmasq import SPEC, DnsmasqPlan, plan

TABLES = {
    "site": [{"key": "master", "value": "10.77.0.1"}],
    "networks": [{"netname": "lab", "net": "10.77.0.0", "mask": "255.255.255.0", "gateway": "<xcatmaster>", "domain": "lab"}],
    "nodelist": [{"node": "n1"}, {"node": "n2"}, {"node": "sw"}],
    "mac": [
        {"node": "n1", "mac": "52-54-00-77-00-AA!*NOIP*|52:54:00:77:00:11|52:54:00:77:00:1b!n1-b"},
        {"node": "n2", "mac": "52:54:00:77:00:12"},
    ],
    "hosts": [
        {"node": "n1", "ip": "10.77.0.11"},
        {"node": "n1-b", "ip": "10.77.0.111"},
        {"node": "n2", "ip": "10.77.0.12"},
        {"node": "sw", "ip": "10.77.0.9"},
    ],
}


def planned(root: Path, tables: dict[str, Any] | None = None, **options: Any) -> DnsmasqPlan:
    params = {name: spec.get("default") for name, spec in SPEC.items()}
    params.update(interfaces=["lo"], records=False, path=str(root / "dnsmasq.d/statelite.conf"), main_file=str(root / "dnsmasq.conf"))
    return plan(Site({**TABLES, **(tables or {})}), {**params, **options}, ["10.77.0.1"])


def test_known_interfaces_get_their_addresses_and_nobody_else_an_answer(tmp_path: Path) -> None:
    lines = planned(tmp_path, lease="2m").text.splitlines()
    assert lines[1:] == [
        "interface=lo",
        "bind-dynamic",
        "enable-tftp",
        "tftp-root=/tftpboot,lo",
        "dhcp-range=set:statelite-10-77-0-0,10.77.0.0,static,255.255.255.0,2m",
        "dhcp-option=tag:statelite-10-77-0-0,option:router,0.0.0.0",
        "dhcp-option=tag:statelite-10-77-0-0,option:domain-name,lab",
        "dhcp-match=set:statelite-bios,option:client-arch,0",
        "dhcp-boot=tag:statelite,tag:statelite-pxe,tag:statelite-bios,lpxelinux.0",
        "dhcp-host=52:54:00:77:00:11,set:statelite,set:statelite-pxe,10.77.0.11,n1,2m",
        "dhcp-host=52:54:00:77:00:12,set:statelite,set:statelite-pxe,10.77.0.12,n2,2m",
        "dhcp-host=52:54:00:77:00:1b,set:statelite,set:statelite-pxe,10.77.0.111,n1-b,2m",
    ]


def test_interfaces_are_those_that_the_networks_table_names(tmp_path: Path) -> None:
    named = [{**TABLES["networks"][0], "mgtifname": "eth1"}, {"net": "10.88.0.0", "mask": "/16", "mgtifname": "!remote!eth2"}]
    lines = planned(tmp_path, {"networks": named}, interfaces=[]).text.splitlines()
    assert [line for line in lines if line.startswith(("interface", "tftp-root"))] == ["interface=eth1", "tftp-root=/tftpboot,eth1"]


def test_a_node_with_another_tftp_server_is_sent_there(tmp_path: Path) -> None:
    lines = planned(tmp_path, {"noderes": [{"node": "n2", "tftpserver": "10.77.0.3"}]}).text.splitlines()
    assert "dhcp-boot=tag:statelite-10.77.0.3,tag:statelite-pxe,tag:statelite-bios,lpxelinux.0,,10.77.0.3" in lines
    assert "dhcp-host=52:54:00:77:00:12,set:statelite-10.77.0.3,set:statelite-pxe,10.77.0.12,n2,infinite" in lines


def test_each_method_has_its_loader_for_the_machine_that_asks(tmp_path: Path) -> None:
    nodes = {"noderes": [{"node": "n1", "netboot": "grub2-http"}, {"node": "n2", "netboot": "xnba"}]}
    lines = planned(tmp_path, nodes).text.splitlines()
    by_network = "dhcp-boot=tag:statelite,tag:statelite-grub2,tag:statelite-10-77-0-0"
    assert [line for line in lines if "tag:statelite-grub2" in line] == [
        "dhcp-boot=tag:statelite,tag:statelite-grub2,tag:statelite-efi-x64,boot/grub2/grub2.x86_64",
        "dhcp-boot=tag:statelite,tag:statelite-grub2,tag:statelite-efi-arm64,boot/grub2/grub2.aarch64",
        f"{by_network},tag:statelite-http-x64,http://10.77.0.1/tftpboot/boot/grub2/grub2.x86_64",
        f"{by_network},tag:statelite-http-arm64,http://10.77.0.1/tftpboot/boot/grub2/grub2.aarch64",
    ]
    assert [line for line in lines if "tag:statelite-xnba" in line] == [
        "dhcp-boot=tag:statelite,tag:statelite-xnba,tag:statelite-ipxe,xcat/xnba/boot.ipxe",
        "dhcp-boot=tag:statelite,tag:statelite-xnba,tag:!statelite-ipxe,tag:statelite-bios,xcat/xnba/undionly.kpxe",
        "dhcp-boot=tag:statelite,tag:statelite-xnba,tag:!statelite-ipxe,tag:statelite-efi-x64,xcat/xnba/snponly.efi",
    ]
    assert [line for line in lines if "client-arch" in line] == [
        f"dhcp-match=set:statelite-{tag},option:client-arch,{number}"
        for tag, number in (("bios", 0), ("efi-x64", 7), ("efi-x64", 9), ("efi-arm64", 11), ("http-x64", 16), ("http-arm64", 19))
    ]
    assert "dhcp-option-force=tag:statelite-http,option:vendor-class,HTTPClient" in lines
    assert [line.split(",")[1:3] for line in lines if line.startswith("dhcp-host=52:54:00:77:00:1")][:2] == [
        ["set:statelite", "set:statelite-grub2"],
        ["set:statelite", "set:statelite-xnba"],
    ]


def test_a_power_machine_is_known_by_its_image_and_petitboot_by_its_prefix(tmp_path: Path) -> None:
    tables = {
        "site": [{"key": "httpport", "value": "8080"}],
        "osimage": [{"imagename": "power", "osvers": "debian12", "osarch": "ppc64le", "profile": "compute", "provmethod": "statelite"}],
        "nodetype": [{"node": "n1", "provmethod": "power"}],
        "noderes": [{"node": "n1", "netboot": "grub2"}, {"node": "n2", "netboot": "petitboot"}],
    }
    lines = planned(tmp_path, {**tables, "site": [*TABLES.get("site", []), *tables["site"]]}).text.splitlines()
    assert "dhcp-boot=tag:statelite,tag:statelite-grub2-power,boot/grub2/grub2.ppc" in lines
    prefix = 'dhcp-option-force=tag:statelite,tag:statelite-petitboot,tag:statelite-10-77-0-0,210,"http://10.77.0.1:8080/tftpboot/"'
    assert prefix in lines
    assert not [line for line in lines if "client-arch" in line]


def test_dnsmasq_takes_the_lines_of_every_method(tmp_path: Path) -> None:
    for method in ("xnba", "grub2", "petitboot", "yaboot"):
        planned(tmp_path, {"noderes": [{"node": "n1", "netboot": method}]}).validate()


def test_without_dhcp_only_the_tftp_directory_is_served(tmp_path: Path) -> None:
    assert planned(tmp_path, dhcp=False, interfaces=[]).text.splitlines()[1:] == ["enable-tftp", "tftp-root=/tftpboot"]


def test_dns_of_others_is_left_alone_unless_it_is_turned_off(tmp_path: Path) -> None:
    assert "port=0" not in planned(tmp_path).text
    assert "\nport=0\n" in planned(tmp_path, dns=False).text


def test_a_foreign_word_on_binding_is_not_said_twice(tmp_path: Path) -> None:
    (tmp_path / "dnsmasq.d").mkdir()
    (tmp_path / "dnsmasq.d/other.conf").write_text("bind-interfaces\n")
    assert "bind-dynamic" not in planned(tmp_path).text


def test_dnsmasq_accepts_the_file_and_a_second_run_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "dnsmasq.d").mkdir()
    (tmp_path / "dnsmasq.d/other.conf").write_text("address=/x.lab/10.77.0.9\n")
    decided = planned(tmp_path)
    assert len(decided.lines()) == len(decided.text.splitlines())
    assert not Path(decided.path).exists()
    decided.apply()
    assert planned(tmp_path).lines() == []
    assert (tmp_path / "dnsmasq.d/other.conf").read_text() == "address=/x.lab/10.77.0.9\n"


def test_a_file_that_dnsmasq_refuses_is_never_put_in_place(tmp_path: Path) -> None:
    (tmp_path / "dnsmasq.conf").write_text("no-such-word\n")
    decided = planned(tmp_path)
    with pytest.raises(SiteError, match="dnsmasq: ended with status"):
        decided.apply()
    assert not Path(decided.path).exists()


def test_a_foreign_line_for_one_of_our_nodes_is_refused_by_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "dnsmasq.d").mkdir()
    (tmp_path / "dnsmasq.d/old.conf").write_text("# old\ndhcp-host=52:54:00:77:00:11,10.77.0.99\n")
    (tmp_path / "dnsmasq.conf").write_text("dhcp-host=printer,10.77.0.12\n")
    with pytest.raises(SiteError) as error:
        planned(tmp_path)
    assert [(fault.where, fault.what.split("which is ")[1]) for fault in error.value.faults] == [
        (f"{tmp_path}/dnsmasq.conf line 1", "n2's"),
        (f"{tmp_path}/dnsmasq.d/old.conf line 2", "n1's"),
    ]


def test_two_nodes_with_one_address_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match="nodes n1 and n2: both have"):
        planned(tmp_path, {"hosts": [{"node": "n1", "ip": "10.77.0.11"}, {"node": "n2", "ip": "10.77.0.11"}]})


@pytest.mark.parametrize(
    "options", [{"interfaces": []}, {"interfaces": ["a b"]}, {"lease": "soon"}, {"lease": "30"}, {"lease": "1m"}, {"boot_file": "x,y"}]
)
def test_options_that_dnsmasq_could_not_follow_are_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(SiteError):
        planned(tmp_path, **options)


def test_a_value_with_a_line_break_cannot_add_a_line(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match="control character"):
        planned(tmp_path, {"networks": [{**TABLES["networks"][0], "domain": "lab\ndhcp-script=/bin/sh"}]})
