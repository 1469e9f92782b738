# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each server writes the boot files of its own nodes, and tells them its own address."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.boot import nodeset
from ansible_collections.diskless.statelite.plugins.module_utils.boot.served import read_served
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.servers import (
    nfsserver,
    own_nodes,
    own_view,
    tftpserver,
    xcatmaster,
)
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site
from ansible_collections.diskless.statelite.plugins.module_utils.tables.plan import plan_table
from ansible_collections.diskless.statelite.plugins.module_utils.tables.schema import TABLES
from ansible_collections.diskless.statelite.plugins.module_utils.tables.store import open_store
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.boot.server import Server

MN, SN1, SN2 = "10.77.0.1", "10.77.0.2", "10.77.0.3"


class Hierarchy(Server):
    """n1 is served by sn1, n2 by sn1 or sn2, n3 by the management node."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.tables["noderes"] += [{"node": "n1", "servicenode": "sn1"}, {"node": "n2", "servicenode": "sn2,sn1"}]
        self.tables["hosts"] += [{"node": "sn1", "ip": SN1}, {"node": "sn2", "ip": SN2}]

    def site(self, *here: str) -> Site:
        return Site(self.tables, here)

    def own(self, *here: str) -> list[str]:
        site = self.site(*here)
        return own_nodes(site, site.nodes())

    def store(self) -> Path:
        path = self.root / "site.db"
        with open_store(str(path)) as store:
            for name, rows in self.tables.items():
                store.write(plan_table(TABLES[name], store.tables([name])[name], rows))
        return path

    def run(self, monkeypatch: pytest.MonkeyPatch, here: str, **options: Any) -> Any:
        monkeypatch.setattr(nodeset, "local_addresses", lambda: [here])
        given = {name: option.get("default") for name, option in nodeset.SPEC.items()}
        return nodeset.read_and_plan({**given, "noderange": "compute", "own": True, **options}, lambda _text: None)


@pytest.fixture
def server(tmp_path: Path) -> Hierarchy:
    return Hierarchy(tmp_path)


def test_each_node_belongs_to_the_servers_that_servicenode_names(server: Hierarchy) -> None:
    assert server.own(SN1) == ["n1", "n2"]
    assert server.own(SN2) == ["n2"]
    assert server.own(MN) == ["n3"]
    assert server.own("10.77.0.9") == ["n3"], "a server that no row names is the management node, whatever its address"


def test_a_management_node_that_is_a_service_node_too_is_told_by_site_master(server: Hierarchy) -> None:
    server.tables["noderes"][1]["servicenode"] = f"sn1,{MN}"
    assert server.own(MN) == ["n1", "n3"]
    assert server.own(SN1) == ["n1", "n2"]


def test_service_nodes_without_an_address_are_named_with_their_rows_all_at_once(server: Hierarchy) -> None:
    server.tables["noderes"][1]["servicenode"] = "sn8"
    server.tables["noderes"][2]["servicenode"] = "sn9,sn1"
    with pytest.raises(SiteError) as refused:
        server.own(SN1)
    assert [fault.where for fault in refused.value.faults] == [
        "table noderes, node n1, column servicenode",
        "table noderes, node n2, column servicenode",
    ]


def test_a_service_node_tells_its_own_address_and_others_tell_the_first_one(server: Hierarchy) -> None:
    for here, first, second in ((SN1, SN1, SN1), (SN2, SN1, SN2), (MN, SN1, SN2)):
        site = server.site(here)
        assert [xcatmaster(site, node) for node in ("n1", "n2", "n3")] == [first, second, MN]
        assert nfsserver(site, "n2") == tftpserver(site, "n2") == second


def test_xcatmaster_nfsserver_and_tftpserver_go_before_servicenode(server: Hierarchy) -> None:
    server.tables["noderes"][1].update(xcatmaster="10.77.0.7", nfsserver="10.77.0.8", tftpserver="10.77.0.9")
    site = server.site(SN1)
    assert (xcatmaster(site, "n1"), nfsserver(site, "n1"), tftpserver(site, "n1")) == ("10.77.0.7", "10.77.0.8", "10.77.0.9")
    assert server.own(SN1) == ["n1", "n2"], "who writes its files is servicenode's to say"


def test_the_own_view_has_no_other_nodes_and_the_same_servers(server: Hierarchy) -> None:
    view = own_view(server.site(SN2))
    assert view.nodes() == ["n2"]
    assert view.address("sn1") == SN1


def test_files_are_written_of_own_nodes_with_this_servers_address(server: Hierarchy, monkeypatch: pytest.MonkeyPatch) -> None:
    site = str(server.store())
    plan = server.run(monkeypatch, SN1, site=site)
    plan.apply()
    assert sorted(plan.result()["nodes"]) == ["n1", "n2"]
    assert {"n1", "n2"} <= server.names()
    assert "n3" not in server.names()
    assert f" XCAT={SN1}:3001 " in server.boot_file("n2")
    assert f"root=nfs:{SN1}:" in server.boot_file("n2")
    words = {word["word"]: word["source"] for word in plan.result()["nodes"]["n1"]["words"]}
    assert words[f"XCAT={SN1}:3001"] == "noderes.servicenode of node n1; site.xcatdport"
    assert server.run(monkeypatch, SN1, site=site).lines() == []


def test_files_of_nodes_that_another_server_has_now_go_with_the_next_run(server: Hierarchy, monkeypatch: pytest.MonkeyPatch) -> None:
    site = str(server.store())
    server.run(monkeypatch, MN, site=site, own=False).apply()
    assert {"n1", "n2", "n3"} <= server.names()
    plan = server.run(monkeypatch, MN, site=site)
    plan.apply()
    assert {"n1", "n2"} & server.names() == set()
    assert "n3" in server.names()
    assert server.run(monkeypatch, MN, site=site).lines() == []


def test_the_management_node_names_the_image_of_nodes_that_others_serve(server: Hierarchy, monkeypatch: pytest.MonkeyPatch) -> None:
    server.tables["osimage"].append({**server.tables["osimage"][0], "imagename": "img2"})
    server.tables["linuximage"].append({**server.tables["linuximage"][0], "imagename": "img2"})
    site = str(server.store())
    server.run(monkeypatch, MN, site=site, state="osimage=img2").apply()
    with open_store(site) as store:
        named = {row["node"]: row["provmethod"] for row in store.tables()["nodetype"]}
    assert {node: named[node] for node in ("n1", "n2", "n3")} == {"n1": "img2", "n2": "img2", "n3": "img2"}
    assert "n1" not in server.names()


def copy_of(server: Hierarchy) -> Path:
    """Bring the published tables to a service node; return where they are there."""
    server.store()
    place = server.root / "sn1/published/site.json"
    place.parent.mkdir(parents=True)
    place.write_bytes((server.root / "published/site.json").read_bytes())
    return place


def test_a_service_node_plans_from_a_copy_of_the_tables(server: Hierarchy, monkeypatch: pytest.MonkeyPatch) -> None:
    place = copy_of(server)
    plan = server.run(monkeypatch, SN1, site=str(place))
    plan.apply()
    assert sorted(plan.result()["nodes"]) == ["n1", "n2"]
    assert (place.parent.parent / "boot-files.json").exists()
    assert not (place.parent.parent / "site.db").exists()
    assert server.run(monkeypatch, SN1, site=str(place)).lines() == []


def test_a_newer_copy_of_the_tables_is_seen(server: Hierarchy, monkeypatch: pytest.MonkeyPatch) -> None:
    place = copy_of(server)
    server.run(monkeypatch, SN1, site=str(place)).apply()
    document = json.loads(place.read_text())
    document["tables"]["bootparams"] = [{"node": "n1", "addkcmdline": "quiet"}]
    place.write_text(json.dumps(document))
    assert server.run(monkeypatch, SN1, site=str(place)).lines() != []


def test_a_copy_of_the_tables_is_never_written_to(server: Hierarchy, monkeypatch: pytest.MonkeyPatch) -> None:
    server.tables["osimage"].append({**server.tables["osimage"][0], "imagename": "img2"})
    server.tables["linuximage"].append({**server.tables["linuximage"][0], "imagename": "img2"})
    place = copy_of(server)
    before = place.read_bytes()
    with pytest.raises(SiteError, match="copy of the site's tables") as refused:
        server.run(monkeypatch, SN1, site=str(place), state="osimage=img2")
    assert "on the management node" in refused.value.faults[0].mend
    assert place.read_bytes() == before
    with pytest.raises(SiteError, match="no published snapshot"):
        server.run(monkeypatch, SN1, site=str(place.with_name("other.json")))


def test_what_a_service_node_serves_is_told_by_nodes_and_generations(server: Hierarchy) -> None:
    server.store()
    with pytest.raises(SiteError, match="no manifest to compare a copy with"):
        read_served({"server": ["sn1"], "site": str(server.root / "site.db")}, lambda _text: None)
    with pytest.raises(SiteError, match="is an address or a name"):
        read_served({"server": ["sn7", "sn8"], "site": str(server.root / "site.db")}, lambda _text: None)


def test_names_that_hosts_has_not_count_for_nothing_beside_an_address(server: Hierarchy) -> None:
    server.tables["nodetype"] = []
    server.store()
    found = read_served({"server": ["service-node-two", SN2], "site": str(server.root / "site.db")}, lambda _text: None)
    directories = {"installdir": str(server.root / "install"), "tftpdir": str(server.tftp)}
    assert found == {"addresses": [SN2], "nodes": ["n2"], "generations": [], **directories}
