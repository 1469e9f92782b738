# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pxelinux finds a node's file by the UUID of the machine, where the table vpd has it."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError

from .server import Server

UUID = "4C4C4544-0052-3510-8051-b7c04f4d3232"
NAME = UUID.lower()


@pytest.fixture
def server(tmp_path: Path) -> Server:
    made = Server(tmp_path)
    made.tables["vpd"] = [{"node": "n1", "uuid": UUID}]
    return made


def test_the_file_has_a_link_by_the_uuid_in_lower_case(server: Server) -> None:
    server.nodeset()
    assert server.leads()[NAME] == "n1"
    assert len(server.names()) == 3 * 3 + 1
    assert server.plan().lines() == []


@pytest.mark.parametrize("state", ["boot", "offline"])
def test_a_node_that_boots_from_its_disk_is_found_by_it_too(state: str, server: Server) -> None:
    server.nodeset("n1", state)
    assert server.leads()[NAME] == "n1"


@pytest.mark.parametrize("rows", [[], [{"node": "n2", "uuid": UUID}]])
def test_a_uuid_that_is_the_nodes_no_more_leaves_no_link_to_it(rows: list[dict[str, str]], server: Server) -> None:
    server.nodeset()
    server.tables["vpd"] = rows
    server.nodeset()
    assert server.leads().get(NAME) == ("n2" if rows else None)


def test_other_methods_have_no_such_name(server: Server) -> None:
    server.boots_by("grub2")
    server.nodeset()
    assert not [path for path in server.tftp.rglob("*") if NAME in path.name]


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        ([{"node": "n1", "uuid": UUID}, {"node": "n2", "uuid": NAME}], f"nodes n1 and n2 have the same UUID {NAME}"),
        ([{"node": "compute", "uuid": "|n|../x|"}], "node n1, vpd.uuid: '../x1' is no UUID"),
    ],
)
def test_what_is_nobodys_or_two_nodes_is_refused(rows: list[dict[str, str]], match: str, server: Server) -> None:
    server.tables["vpd"] = rows
    with pytest.raises(SiteError, match=match):
        server.nodeset()
    assert not server.directory.exists()


def test_a_uuid_that_is_none_names_no_file_of_a_node_that_boots_from_its_disk(server: Server) -> None:
    server.tables["vpd"] = [{"node": "compute", "uuid": "|n|../x|"}]
    server.nodeset("n1", "boot")
    assert server.names() == {"n1", "01-52-54-00-77-00-11", "0A4D000B"}


def test_machines_that_do_not_look_by_it_may_all_say_the_same(server: Server) -> None:
    server.boots_by("grub2")
    server.tables["vpd"] = [{"node": node, "uuid": UUID} for node in ("n1", "n2")]
    server.nodeset()
    assert server.plan().lines() == []
