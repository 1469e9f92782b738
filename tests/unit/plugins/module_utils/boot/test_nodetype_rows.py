# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The nodetype rows that nodeset writes are planned anew when somebody has written since they were read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.boot.nodeset import NodesetPlan, read_and_plan
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.tables.columns import Row
from ansible_collections.diskless.statelite.plugins.module_utils.tables.plan import Change
from ansible_collections.diskless.statelite.plugins.module_utils.tables.schema import TABLES
from ansible_collections.diskless.statelite.plugins.module_utils.tables.store import Store, open_store
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.boot.server import Server


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    server = Server(tmp_path)
    server.tables["nodetype"] = [{"node": f"n{number}", "provmethod": "img0"} for number in (1, 2, 3)]
    with open_store(str(tmp_path / "site.db")) as opened:
        opened.write([Change(TABLES[name], None, row) for name, rows in server.tables.items() for row in rows])
        yield opened


def planned(store: Store, noderange: str = "n1,n2") -> NodesetPlan:
    return read_and_plan({"site": store.site, "noderange": noderange, "state": "statelite=img1"}, lambda _text: None)


def row(store: Store, table: str, node: str) -> Row | None:
    return next((each for each in store.tables([table])[table] if each["node"] == node), None)


def after(node: str, **cells: str) -> Row:
    return {"node": node, "provmethod": "img1", "os": "debian12", "arch": "x86_64", "profile": "compute", **cells}


def test_alone_the_rows_are_as_planned(store: Store) -> None:
    plan = planned(store)
    assert plan.apply() is None
    assert [row(store, "nodetype", node) for node in ("n1", "n2")] == [after("n1"), after("n2")]
    assert planned(store).lines() == []


def test_the_record_stands_beside_the_database_that_a_url_names(store: Store) -> None:
    decided = read_and_plan({"site": f"file://{store.site}", "noderange": "n1", "state": "offline"}, lambda _text: None)
    decided.apply()
    assert decided.site == store.site
    assert (Path(store.site).parent / "boot-files.json").is_file()


def test_what_somebody_wrote_meanwhile_stays(store: Store) -> None:
    plan = planned(store)
    store.write([Change(TABLES["nodetype"], {"node": "n1"}, {"node": "n1", "provmethod": "img0", "supportedarchs": "x86_64"})])
    assert plan.apply() == plan.lines()
    assert row(store, "nodetype", "n1") == after("n1", supportedarchs="x86_64")


def test_a_node_that_somebody_removed_meanwhile_does_not_come_back(store: Store) -> None:
    plan = planned(store)
    store.write([Change(TABLES[table], {"node": "n2"}, None) for table in ("nodelist", "nodetype")])
    done = plan.apply()
    assert row(store, "nodetype", "n2") is None
    assert done is not None and "nodetype n2" not in " ".join(done) and len(done) < len(plan.lines())


def test_an_image_that_somebody_removed_meanwhile_is_told(store: Store) -> None:
    plan = planned(store)
    store.write([Change(TABLES["osimage"], {"imagename": "img1"}, None)])
    with pytest.raises(SiteError, match="there is no such image"):
        plan.apply()
    assert row(store, "nodetype", "n1") == {"node": "n1", "provmethod": "img0"}
