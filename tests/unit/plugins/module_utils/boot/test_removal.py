# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nodeset takes away: links and files of nodes that moved or are no more, and nothing that somebody else wrote."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.boot import record
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.boot.server import Server

INSTALL = (
    "#install rhels9.4-x86_64-compute\nDEFAULT xCAT\nLABEL xCAT\n KERNEL xcat/osimage/rh/vmlinuz\n APPEND initrd=x quiet\n  IPAPPEND 2\n"
)
"""What the original writes for a node that it installs."""


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path)


def rename(server: Server, old: str, new: str) -> None:
    for table in ("nodelist", "mac", "hosts"):
        for row in server.tables[table]:
            row["node"] = new if row["node"] == old else row["node"]


def remove(server: Server, *nodes: str) -> None:
    server.tables["nodelist"] = [row for row in server.tables["nodelist"] if row["node"] not in nodes]


def test_a_renamed_node_is_found_by_its_card_and_address(server: Server) -> None:
    server.nodeset()
    rename(server, "n1", "new")
    decided = server.nodeset()
    assert {name: node for name, node in server.leads().items() if node == "new"} == {"01-52-54-00-77-00-11": "new", "0A4D000B": "new"}
    assert ("n1" in server.names(), "new" in server.names()) == (False, True)
    assert [Path(path).name for path in decided.result()["removed"]] == ["n1"]
    assert server.plan().lines() == []


def test_an_address_that_moved_to_another_node_leads_there(server: Server) -> None:
    server.nodeset()
    remove(server, "n1")
    server.tables["hosts"] = [{"node": "n2", "ip": "10.77.0.11"}, {"node": "n3", "ip": "10.77.0.13"}]
    server.tables["mac"] = [{"node": "n2", "mac": "52:54:00:77:00:12"}, {"node": "n3", "mac": "52:54:00:77:00:11"}]
    server.nodeset()
    assert server.leads() == {"01-52-54-00-77-00-11": "n3", "01-52-54-00-77-00-12": "n2", "0A4D000B": "n2", "0A4D000D": "n3"}
    assert server.plan().lines() == []


def test_two_nodes_that_swapped_their_cards_are_found_also_one_run_after_the_other(server: Server) -> None:
    server.nodeset("n1,n2")
    cards = server.tables["mac"]
    cards[0]["node"], cards[1]["node"] = "n2", "n1"
    server.nodeset("n1")
    server.nodeset("n2")
    assert server.leads() == {"01-52-54-00-77-00-11": "n2", "01-52-54-00-77-00-12": "n1", "0A4D000B": "n1", "0A4D000C": "n2"}
    assert server.plan("n1,n2").lines() == []


def test_files_that_others_wrote_in_the_same_directory_stay(server: Server) -> None:
    server.directory.mkdir(parents=True)
    (server.directory / "xcat77").write_text(INSTALL)
    (server.directory / "0A4D004D").symlink_to("xcat77")
    (server.directory / "xcat78").write_text("#offline\nDEFAULT xCAT\nLABEL xCAT\nLOCALBOOT 0\n")
    assert server.nodeset().result()["removed"] == []
    assert {"xcat77", "0A4D004D", "xcat78"} <= server.names()


def test_nodes_of_another_site_in_the_same_directory_stay(server: Server) -> None:
    server.nodeset()
    (server.root / "other").mkdir()
    other = Server(server.root / "other")
    other.tables["site"] = [{**row, "value": str(server.tftp)} if row["key"] == "tftpdir" else row for row in other.tables["site"]]
    remove(other, "n2", "n3")
    decided = other.nodeset()
    assert decided.result()["removed"] == []
    assert {"n1", "n2", "n3"} <= server.names()


def test_a_file_of_ours_that_somebody_wrote_over_stays_with_its_links(server: Server) -> None:
    server.nodeset()
    (server.directory / "n3").write_text(INSTALL)
    remove(server, "n3")
    assert server.nodeset().result()["removed"] == []
    assert server.boot_file("n3") == INSTALL and server.leads()["0A4D000D"] == "n3"
    assert server.plan().lines() == []


@pytest.mark.parametrize("state", ["statelite", "offline"])
def test_the_last_node_that_goes_leaves_nothing(server: Server, state: str) -> None:
    server.nodeset(state=state)
    remove(server, "n1", "n2", "n3")
    assert len(server.nodeset("").result()["removed"]) == 9
    assert server.names() == set()
    assert server.plan("").lines() == []


def test_a_node_with_another_tftp_directory_leaves_nothing_in_the_old_one(server: Server) -> None:
    server.nodeset()
    server.tables["noderes"].append({"node": "n1", "netboot": "pxe", "tftpdir": str(server.root / "tftp2")})
    assert server.plan("n2").lines() == []
    server.nodeset("n1")
    assert not {"n1", "0A4D000B", "01-52-54-00-77-00-11"} & server.names()
    assert {"n2", "n3"} <= server.names()
    assert (server.root / "tftp2/pxelinux.cfg/n1").is_file()
    assert server.plan().lines() == []


def test_the_directory_that_only_a_removed_node_had_is_looked_into(server: Server) -> None:
    server.tables["noderes"].append({"node": "n1", "netboot": "pxe", "tftpdir": str(server.root / "tftp2")})
    server.nodeset()
    remove(server, "n1")
    server.tables["noderes"].pop()
    assert len(server.nodeset("n2").result()["removed"]) == 3
    assert os.listdir(server.root / "tftp2/pxelinux.cfg") == []


def test_links_whose_file_somebody_removed_go(server: Server) -> None:
    server.nodeset()
    (server.directory / "n3").unlink()
    remove(server, "n3")
    server.nodeset()
    assert "n3" not in server.leads().values()
    assert server.plan().lines() == []


def test_a_file_that_is_as_wanted_is_recorded_when_it_is_not(server: Server) -> None:
    server.nodeset()
    path = Path(record.record_path(str(server.root / "site.db")))
    before = path.read_bytes()
    path.unlink()
    assert server.nodeset().lines() == [f"~ {path}: nodes of {server.tftp}"]
    assert path.read_bytes() == before
    assert server.plan().lines() == []


@pytest.mark.parametrize(
    ("netboot", "other", "files"),
    [
        ("grub2", "n1.uefi", {"n1.uefi"}),
        ("petitboot", "n1.elilo", {"n1.elilo"}),
        ("xnba", "n1.second", {"n1.second", "n1.second.uefi", "n1.second.elilo"}),
    ],
)
def test_a_node_that_goes_offline_takes_nothing_of_one_whose_name_begins_with_its_own(
    server: Server, netboot: str, other: str, files: set[str]
) -> None:
    server.boots_by(netboot)
    rename(server, "n2", other)
    server.nodeset()
    os.unlink(record.record_path(str(server.root / "site.db")))
    server.nodeset("n1", "offline")
    assert {path.name for path in server.tftp.rglob("n1*")} == files


def test_a_former_node_without_anything_left_is_forgotten(server: Server) -> None:
    server.nodeset()
    shutil.rmtree(server.directory)
    remove(server, "n3")
    server.nodeset()
    known = record.read_record(record.record_path(str(server.root / "site.db")))
    assert {tftpdir: set(nodes) for tftpdir, nodes in known.items()} == {str(server.tftp): {"n1", "n2"}}


@pytest.mark.parametrize("content", ["", "[]", "{}", json.dumps({"format": 3, "directories": {}}), '{"format": 2, "directories": []}'])
def test_what_is_no_record_is_refused_and_nothing_is_written(server: Server, content: str) -> None:
    Path(record.record_path(str(server.root / "site.db"))).write_text(content)
    with pytest.raises(SiteError, match=r"boot-files\.json"):
        server.plan()
    assert not server.tftp.exists()
