# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One fault of nodeset hides no other: an image that is not there leaves the nodes to be looked at, and a state the noderange."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError

from .server import Server


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path)


def refused(server: Server, noderange: str, state: str) -> list[str]:
    with pytest.raises(SiteError) as refusal:
        server.nodeset(noderange, state)
    assert not server.directory.exists()
    return [f"{fault.where}: {fault.what}" for fault in refusal.value.faults]


def test_nodes_are_looked_at_when_the_image_is_not_there(server: Server) -> None:
    server.tables["mac"] = server.tables["mac"][1:]
    found = refused(server, "compute", "osimage=none")
    assert found == ["table osimage, imagename none: there is no such image", "node n1, mac.mac: the node has no hardware address"]


def test_a_node_without_an_image_is_looked_at_as_any_other(server: Server) -> None:
    server.tables["nodetype"] = []
    server.tables["mac"] = server.tables["mac"][:2]
    found = refused(server, "compute", "statelite")
    assert [each for each in found if "has no image" in each] == [each for each in found if each.startswith("table nodetype")]
    assert len(found) == 4
    assert found[-1] == "node n3, mac.mac: the node has no hardware address"


@pytest.mark.parametrize("lacking", ["kernel", "netboot"])
def test_the_kernel_line_is_looked_at_when_something_else_is_wrong(lacking: str, server: Server) -> None:
    server.tables["nodehm"] = [{"node": "n2", "serialport": "0"}]
    if lacking == "kernel":
        (server.imagedir / "generations/1/kernel").unlink()
    else:
        server.tables["noderes"] = []
    assert "table nodehm, node n2: serialport is set and serialspeed is not" in refused(server, "n2", "statelite")


def test_the_noderange_is_looked_at_when_the_state_is_none(server: Server) -> None:
    found = refused(server, "n1,nx", "stateless")
    assert found == ["state stateless: there is no such state", "noderange n1,nx: there are no nodes and no groups called nx"]
