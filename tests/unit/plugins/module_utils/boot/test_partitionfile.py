# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""linuximage.partitionfile in the kernel line, by which the original's client divides disks (behaviour.md d.6, e.4)."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.boot.nodeset import plan
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site

from .server import Server


@pytest.fixture
def server(tmp_path: Path) -> Server:
    made = Server(tmp_path)
    made.tables["linuximage"][0]["dump"] = "nfs:///crash"
    made.tables["linuximage"][0]["crashkernelsize"] = "1M"
    return made


def words(server: Server) -> list[str]:
    server.nodeset("n1")
    return server.boot_file("n1").split("\n")[4].split()


@pytest.mark.parametrize(("osvers", "word"), [("rhels9.4", "PARTITION_RH"), ("sles15.5", "PARTITION_SLES"), ("debian12", "")])
def test_a_file_in_effect_is_told_behind_the_dump(server: Server, osvers: str, word: str) -> None:
    layout = server.root / "layout"
    layout.write_text("enable=yes\nenablepart=no\n")
    server.tables["osimage"][0]["osvers"] = osvers
    server.tables["linuximage"][0]["partitionfile"] = str(layout)
    found = words(server)
    assert [each for each in found if each.startswith("PARTITION")] == ([word] if word else [])
    if word:
        assert found[found.index(word) - 1] == "dump=nfs://10.77.0.1/crash"


@pytest.mark.parametrize(("written", "told"), [("enable=no\n", False), ("", False), ("#!/bin/sh\n", True)])
def test_a_script_is_in_effect_and_a_file_only_when_it_says_so(server: Server, written: str, told: bool) -> None:
    server.tables["osimage"][0]["osvers"] = "rhels9.4"
    layout = server.root / "layout"
    layout.write_text(written)
    server.tables["linuximage"][0]["partitionfile"] = f"s:{layout}" if told else str(layout)
    assert ("PARTITION_RH" in words(server)) is told


def test_a_file_that_cannot_be_read_is_told(server: Server) -> None:
    server.tables["osimage"][0]["osvers"] = "rhels9.4"
    server.tables["linuximage"][0]["partitionfile"] = "/nowhere/layout"
    warnings: list[str] = []
    plan(Site(server.tables), str(server.root / "site.db"), "n1", "statelite", warnings.append)
    assert any("/nowhere/layout cannot be read" in each for each in warnings)
    assert not [each for each in words(server) if each.startswith("PARTITION")]


def test_a_stateless_node_mounts_what_is_divided(server: Server) -> None:
    server.tables["osimage"][0].update(osvers="rhels9.4", provmethod="netboot")
    plain = server.root / "plain"
    plain.mkdir()
    for name in ("kernel", "initrd-stateless.gz", "rootimg.cpio.gz", "layout"):
        (plain / name).write_text("enable=yes\n")
    server.tables["linuximage"][0].update(rootimgdir=str(plain), partitionfile=str(plain / "layout"))
    server.nodeset("n1", "osimage")
    assert "PARTITION_DOMOUNT_RH" in server.boot_file("n1").split()
