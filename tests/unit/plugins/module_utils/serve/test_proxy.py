# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Beside another DHCP server, dnsmasq gives no address and names a boot loader to the cards that we know."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site
from ansible_collections.diskless.statelite.plugins.module_utils.serve import proxy
from ansible_collections.diskless.statelite.plugins.module_utils.serve.hosts import left_out

from .test_dnsmasq import TABLES, planned


def test_a_proxy_gives_no_address_and_answers_known_pxe_clients_alone(tmp_path: Path) -> None:
    lines = planned(tmp_path, proxy=True).text.splitlines()
    assert lines[1:] == [
        "interface=lo",
        "bind-dynamic",
        "enable-tftp",
        "tftp-root=/tftpboot,lo",
        "dhcp-range=10.77.0.0,proxy,255.255.255.0",
        "dhcp-vendorclass=set:statelite-client,PXEClient",
        "dhcp-ignore=tag:lo,tag:!statelite-client",
        "dhcp-ignore=tag:lo,tag:!statelite-node",
        "pxe-service=tag:statelite,tag:statelite-pxe,0,statelite,lpxelinux.0",
        "dhcp-host=52:54:00:77:00:11,set:statelite-node,set:statelite,set:statelite-pxe",
        "dhcp-host=52:54:00:77:00:12,set:statelite-node,set:statelite,set:statelite-pxe",
        "dhcp-host=52:54:00:77:00:1b,set:statelite-node,set:statelite,set:statelite-pxe",
    ]


def test_each_kind_of_machine_has_its_loader_from_its_server(tmp_path: Path) -> None:
    nodes = [{"node": "n1", "netboot": "grub2-http"}, {"node": "n2", "netboot": "xnba", "tftpserver": "10.77.0.3"}]
    decided = planned(tmp_path, {"noderes": nodes}, proxy=True)
    lines = decided.text.splitlines()
    elsewhere = "pxe-service=tag:statelite-10.77.0.3,tag:statelite-xnba"
    assert [line for line in lines if line.startswith(("pxe-service", "dhcp-userclass"))] == [
        "dhcp-userclass=set:statelite-ipxe,iPXE",
        "dhcp-userclass=set:statelite-ipxe,xNBA",
        "pxe-service=tag:statelite,tag:statelite-grub2,7,statelite,boot/grub2/grub2.x86_64",
        "pxe-service=tag:statelite,tag:statelite-grub2,9,statelite,boot/grub2/grub2.x86_64",
        "pxe-service=tag:statelite,tag:statelite-grub2,11,statelite,boot/grub2/grub2.aarch64",
        f"{elsewhere},tag:statelite-ipxe,0,statelite,xcat/xnba/boot.ipxe,10.77.0.3",
        f"{elsewhere},tag:statelite-ipxe,7,statelite,xcat/xnba/boot.ipxe,10.77.0.3",
        f"{elsewhere},tag:statelite-ipxe,9,statelite,xcat/xnba/boot.ipxe,10.77.0.3",
        f"{elsewhere},tag:!statelite-ipxe,0,statelite,xcat/xnba/undionly.kpxe,10.77.0.3",
        f"{elsewhere},tag:!statelite-ipxe,7,statelite,xcat/xnba/snponly.efi,10.77.0.3",
        f"{elsewhere},tag:!statelite-ipxe,9,statelite,xcat/xnba/snponly.efi,10.77.0.3",
    ]
    decided.validate()


def test_servers_that_a_network_names_are_no_matter_of_a_proxy(tmp_path: Path) -> None:
    names = [{**row, "ntpservers": "pool.ntp.org", "gateway": "fd00::1"} for row in TABLES["networks"]]
    assert planned(tmp_path, {"networks": names}, proxy=True).text == planned(tmp_path, proxy=True).text
    with pytest.raises(SiteError, match=r"column ntpservers: the server 'pool\.ntp\.org' has no address"):
        planned(tmp_path, {"networks": names})


@pytest.mark.parametrize("method", ["petitboot", "yaboot"])
def test_nodes_that_are_no_pxe_clients_are_left_out_and_told(tmp_path: Path, method: str) -> None:
    nodes = {"noderes": [{"node": "n2", "netboot": method}]}
    decided = planned(tmp_path, nodes, proxy=True)
    assert "52:54:00:77:00:12" not in decided.text
    assert [sentence.split(": ")[0] for sentence in proxy.left_out(decided.silent)] == ["n2"]
    known = [*decided.found, *decided.silent]
    assert left_out(Site({**TABLES, **nodes}), known) == ["no DHCP for sw: no MAC, or no address in a declared network"]


def test_leases_that_were_given_are_dropped_and_those_of_others_stay(tmp_path: Path) -> None:
    leases = tmp_path / "leases"
    planned(tmp_path, lease_file=str(leases)).apply()
    leases.write_text("0 52:54:00:77:00:11 10.77.0.11 n1 *\n0 52:54:00:77:00:88 10.77.0.88 other *\n")
    decided = planned(tmp_path, lease_file=str(leases), proxy=True)
    assert f"- {leases}: 0 52:54:00:77:00:11 10.77.0.11 n1 *" in decided.lines()
    decided.apply()
    assert leases.read_text() == "0 52:54:00:77:00:88 10.77.0.88 other *\n"
    assert planned(tmp_path, lease_file=str(leases), proxy=True).lines() == []


def test_a_proxy_that_is_off_and_a_file_without_a_dot_are_refused_together(tmp_path: Path) -> None:
    with pytest.raises(SiteError) as error:
        planned(tmp_path, proxy=True, dhcp=False, boot_file="pxelinux")
    assert [fault.where for fault in error.value.faults] == ["proxy", "boot_file"]
