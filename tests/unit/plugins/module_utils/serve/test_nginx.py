# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes find images and boot files at the addresses and paths by which they are named to them."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.apply.listeners import Listener
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site
from ansible_collections.diskless.statelite.plugins.module_utils.serve.nginx import names, plan, taken


@pytest.mark.parametrize(
    ("tftpdir", "places"),
    [
        (None, {"/install": 'root "/"', "/tftpboot": 'root "/"'}),
        ("/tftpboot/", {"/install": 'root "/"', "/tftpboot": 'root "/"'}),
        ("/srv/tftp", {"/install": 'root "/"', "/srv/tftp": 'root "/"', "/tftpboot": 'alias "/srv/tftp/"'}),
        ("/tftpboot/site", {"/install": 'root "/"', "/tftpboot/site": 'root "/"', "/tftpboot": 'alias "/tftpboot/site/"'}),
    ],
)
def test_boot_files_are_found_where_they_say(tftpdir: str | None, places: dict[str, str], tmp_path: Path) -> None:
    site = Site({"site": [{"key": "tftpdir", "value": tftpdir}]})
    params = {"names": ["node.test"], "path": str(tmp_path / "statelite.conf"), "main_file": str(tmp_path / "nginx.conf")}
    text = plan(site, params, []).text
    assert dict(re.findall(r'location "([^"]*)/" \{\n *([^;]*);', text)) == places


def test_a_directory_may_lie_below_a_name_with_a_dot_and_what_is_hidden_is_hidden_in_it(tmp_path: Path) -> None:
    site = Site({"site": [{"key": "installdir", "value": "/srv/.data/rootimg/a b"}]})
    params = {"names": ["node.test"], "path": str(tmp_path / "statelite.conf"), "main_file": str(tmp_path / "nginx.conf")}
    hidden = re.findall(r'location ~ "([^"]*)"', plan(site, params, []).text)
    place = "/srv/.data/rootimg/a b"
    assert [bool(re.search(hidden[0], path)) for path in (f"{place}/netboot/i/rootimg.gz", f"{place}/i/generations/1/kernel")] == [
        False
    ] * 2
    assert all(re.search(hidden[0], f"{place}/{path}") for path in ("i/rootimg/etc/passwd", ".liteimg/journal", "i/.new", "rootimg"))


@pytest.mark.parametrize("nodes", [[], [{"node": "n1"}]])
def test_a_boot_loader_is_answered_at_the_address_in_its_own_network(nodes: list[dict[str, str]]) -> None:
    networks = [{"net": net, "mask": "255.255.255.0"} for net in ("10.77.0.0", "10.78.0.0")]
    tables = {"nodelist": nodes, "networks": networks, "site": [{"key": "master", "value": "10.77.0.1"}]}
    assert names(Site(tables), ["127.0.0.1", "10.77.0.1", "10.78.0.1", "192.0.2.1"]) == ["10.77.0.1", "10.78.0.1"]


def test_a_site_whose_nodes_would_ask_by_https_is_refused(tmp_path: Path) -> None:
    params = {"names": ["node.test"], "path": str(tmp_path / "statelite.conf"), "main_file": str(tmp_path / "nginx.conf")}
    with pytest.raises(SiteError, match="httpmethod"):
        plan(Site({"site": [{"key": "httpmethod", "value": "https"}]}), params, [])


@pytest.mark.parametrize(
    ("address", "program", "own", "refused"),
    [
        ("0.0.0.0", "apache2", "10.77.0.1", True),
        ("127.0.0.1", "httpd", "10.77.0.1", True),
        ("::", "httpd", "10.77.0.1", True),
        ("0.0.0.0", "", "10.77.0.1", True),
        ("fd00::1", "httpd", "10.77.0.1", False),
        ("fd00::1", "httpd", "fd00::1", True),
        ("0.0.0.0", "nginx", "10.77.0.1", False),
    ],
)
def test_a_port_that_another_program_has_is_refused_by_its_name(address: str, program: str, own: str, refused: bool) -> None:
    faults = taken([Listener(address, 80, program, 77 if program else 0)], [own])
    named = f"{program} (process 77)" if program else "a process that can't be seen"
    assert [(fault.where, named in fault.what) for fault in faults] == [("table site, key httpport, port 80", True)] * refused


def test_a_port_that_is_taken_now_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        params = {"names": ["node.test"], "path": str(tmp_path / "statelite.conf"), "main_file": str(tmp_path / "nginx.conf")}
        program = Path("/proc/self/comm").read_text(encoding="utf-8").strip()
        expected = rf"port {port}: is taken by {re.escape(program)} \(process {os.getpid()}\) on 127\.0\.0\.1:{port}"
        with pytest.raises(SiteError, match=expected):
            plan(Site({"site": [{"key": "httpport", "value": str(port)}]}), params, [])
    assert list(tmp_path.iterdir()) == []
