# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers as addresses, and what a node mounts besides its root: levels and state."""

from __future__ import annotations

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.images import osimage
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.mounts import levels_of, names_node, state_of
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.servers import image_server, nfsserver, tftpserver, xcatmaster
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site

TABLES = {
    "osimage": [{"imagename": "img1", "groups": "g1", "osvers": "debian12", "osarch": "x86_64", "profile": "compute"}],
    "nodelist": [{"node": "n1", "groups": "japan,all"}, {"node": "n2", "groups": "all"}, {"node": "sn1"}],
    "hosts": [
        {"node": "n1", "ip": "10.77.0.11"},
        {"node": "sn1", "ip": "10.77.0.3", "hostnames": "service-one"},
        {"node": "cnfs", "ip": "10.77.0.5"},
    ],
    "networks": [{"netname": "lab", "net": "10.77.0.0", "mask": "255.255.255.0"}],
}


def site(here: tuple[str, ...] = (), **tables: list[dict[str, str]]) -> Site:
    return Site({**TABLES, **tables}, here)


def test_servers_default_to_xcatmaster_then_master_then_this_server() -> None:
    own = site(
        noderes=[{"node": "n1", "xcatmaster": "service-one", "nfsserver": "10.0.0.9"}], site=[{"key": "master", "value": "10.77.0.1"}]
    )
    assert (xcatmaster(own, "n1"), nfsserver(own, "n1"), tftpserver(own, "n1")) == ("10.77.0.3", "10.0.0.9", "10.77.0.3")
    assert (xcatmaster(own, "n2"), nfsserver(own, "n2")) == ("10.77.0.1", "10.77.0.1")
    assert xcatmaster(site(("192.168.1.1", "10.77.0.2")), "n1") == "10.77.0.2"
    with pytest.raises(SiteError, match="Set the key master"):
        xcatmaster(site(), "n1")


def test_the_root_image_comes_from_nfsserver_then_tftpserver_then_xcatmaster() -> None:
    both = site(noderes=[{"node": "n1", "nfsserver": "<xcatmaster>", "tftpserver": "10.1.0.9", "xcatmaster": "sn1"}])
    assert image_server(both, "n1") == "10.1.0.9"
    assert image_server(site(noderes=[{"node": "n1", "nfsserver": "<xcatmaster>", "xcatmaster": "sn1"}]), "n1") == "10.77.0.3"


def test_a_server_that_the_hosts_table_does_not_know_is_refused_by_row() -> None:
    with pytest.raises(SiteError, match="table noderes, group all, column nfsserver: the server 'far' has no address"):
        nfsserver(site(noderes=[{"node": "all", "nfsserver": "far"}]), "n2")


def test_an_address_belongs_to_one_node() -> None:
    assert site().node_at("10.77.0.11") == "n1"
    assert site().node_at("10.77.0.99") is None
    with pytest.raises(SiteError, match="nodes n1 and n2"):
        site(hosts=[{"node": "n1", "ip": "10.77.0.11"}, {"node": "n2", "ip": "10.77.0.11"}]).node_at("10.77.0.11")


def test_a_computed_address_of_a_group_gives_each_node_its_own() -> None:
    computed = site(hosts=[{"node": "all", "ip": "|n(\\d+)|10.77.0.($1+10)|"}])
    assert (computed.address("n1"), computed.node_at("10.77.0.12")) == ("10.77.0.11", "n2")


def test_levels_come_in_the_order_of_their_numbers() -> None:
    view = site(
        litetree=[
            {"priority": "10", "directory": "10.0.0.1:/last"},
            {"priority": "2.5", "directory": "cnfs:/gpfs/$node", "required": "yes", "mntopts": "soft"},
            {"priority": "1", "image": "g1", "directory": "/near"},
        ],
        site=[{"key": "master", "value": "10.77.0.1"}],
    )
    found = levels_of(view, "n1", osimage(view, "img1"))
    assert [(level.server, level.directory, level.required, level.own, level.mntopts) for level in found] == [
        ("10.77.0.1", "/near", False, False, ""),
        ("10.77.0.5", "/gpfs/n1", True, True, "soft"),
        ("10.0.0.1", "/last", False, False, ""),
    ]


def test_every_level_that_cannot_be_resolved_is_named() -> None:
    view = site(litetree=[{"priority": "1", "directory": "x:/a"}, {"priority": "2", "directory": "10.0.0.1:/$nodepos.room"}])
    with pytest.raises(SiteError) as error:
        levels_of(view, "n1", osimage(view, "img1"))
    assert [fault.where for fault in error.value.faults] == [
        "table litetree, priority 1, image ALL",
        "table litetree, priority 2, image ALL",
    ]


@pytest.mark.parametrize(
    ("written", "own"), [("s:/a/$node", True), ("s:/a/$nodepos.room", False), ("s:/$node$nodetype.os/x", True), ("/a", False)]
)
def test_a_directory_is_a_nodes_own_when_it_holds_the_variable_node(written: str, own: bool) -> None:
    assert names_node(written) is own


def test_state_is_the_nodes_row_before_its_groups_and_the_images_row_before_all() -> None:
    rows = [
        {"node": "all", "statemnt": "10.0.0.1:/all", "mntopts": "hard"},
        {"node": "japan", "image": "ALL", "statemnt": "10.0.0.1:/japan"},
        {"node": "japan", "image": "img1", "statemnt": "10.0.0.1:/japan-img1"},
        {"node": "all", "image": "other", "statemnt": "10.0.0.1:/other"},
    ]
    view = site(statelite=rows)
    image = osimage(view, "img1")
    japan, rest = state_of(view, "n1", image), state_of(view, "n2", image)
    assert japan and (japan.directory, japan.mntopts) == ("/japan-img1", "hard")
    assert rest and rest.directory == "/all"
    assert state_of(view, "sn1", image) is None
