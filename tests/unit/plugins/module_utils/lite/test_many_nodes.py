# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thousands of nodes are looked at as few times as their results differ, whoever has levels and a state of their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.lite import simulate
from ansible_collections.diskless.statelite.plugins.module_utils.lite.simulate import Sight, Simulation, Wish, alike, changes
from ansible_collections.diskless.statelite.plugins.module_utils.lite.trees import Places
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site
from ansible_collections.diskless.statelite.plugins.module_utils.tables import things
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.tables.sites import tables_of

from .test_node_view import Lab

MANY = 1000


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the nodes whose plan was followed."""
    found: list[str] = []
    real: Callable[..., object] = simulate.node_view

    def watched(plan, *rest):  # type: ignore[no-untyped-def]
        found.append(plan.node)
        return real(plan, *rest)

    monkeypatch.setattr(simulate, "node_view", watched)
    return found


def own_levels(lab: Lab) -> None:
    lab.declare(things.LITETREE, [{"priority": "1", "directory": "10.0.0.1:/lt/$node"}], exclusive=True)
    for number in range(1, 5):
        (lab.work / f"10.0.0.1/lt/n{number}").mkdir()


def groups(lab: Lab, **options: object) -> list[list[str]]:
    return [group["nodes"] for group in lab.ask(**options)["groups"]]


def test_nodes_whose_own_levels_hold_the_same_are_alike_and_looked_at_once(lab: Lab, looked: list[str]) -> None:
    own_levels(lab)
    assert groups(lab, state="empty") == [["n1", "n2", "n3", "n4"]]
    assert looked == ["n1"]
    text = lab.ask(state="empty")["text"]
    assert "level 1 10.0.0.1:/lt/n1 mounted (this one for n1; each node has its own)" in text


def test_what_one_nodes_own_level_holds_makes_it_differ(lab: Lab) -> None:
    own_levels(lab)
    lab.file("10.0.0.1/lt/n3/etc/motd", "of n3\n")
    assert groups(lab, state="empty") == [["n1", "n2", "n4"], ["n3"]]
    for number in (1, 2, 4):
        lab.file(f"10.0.0.1/lt/n{number}/etc/motd", f"of n{number}\n")
    assert groups(lab, state="empty") == [["n1", "n2", "n3", "n4"]]
    assert len(groups(lab, state="empty", digest=True)) == 4


def test_links_in_own_levels_are_followed_node_by_node(lab: Lab, looked: list[str]) -> None:
    """What a link leads to may be the node's own."""
    own_levels(lab)
    for number in range(1, 5):
        (lab.work / f"10.0.0.1/lt/n{number}/etc").mkdir()
        (lab.work / f"10.0.0.1/lt/n{number}/etc/motd").symlink_to(f"/.statelite/mnt/10.0.0.1/lt/n{number}/there")
    lab.file("10.0.0.1/lt/n2/there", "of n2\n")
    assert sorted(groups(lab, state="empty")) == [["n1", "n3", "n4"], ["n2"]]
    assert looked == ["n1", "n2", "n3", "n4"]


def test_own_levels_that_are_not_seen_from_here_are_one_reason(lab: Lab) -> None:
    own_levels(lab)
    found = lab.ask(state="empty", level_paths={"10.0.0.2:": str(lab.work / "10.0.0.2")})
    assert [group["count"] for group in found["groups"]] == [4]
    assert found["groups"][0]["levels"][0]["status"] == "unknown"


def test_equal_states_are_alike(lab: Lab, looked: list[str]) -> None:
    lab.declare(things.LITETREE, [{"priority": "2", "directory": "10.0.0.2:/common"}], exclusive=True)
    for number in (2, 3):
        lab.file(f"10.0.0.2/state/n{number}/var/log/kept", "x")
    assert groups(lab) == [["n1", "n4"], ["n2", "n3"]]
    assert looked == ["n1", "n2"]


def test_a_thousand_nodes_and_an_edit_take_a_few_looks(lab: Lab, looked: list[str]) -> None:
    rows = tables_of(lab.database)
    rows["nodelist"] = [{"node": f"n{number}", "groups": "compute"} for number in range(MANY)]
    rows["nodetype"] = [{"node": "compute", "provmethod": "img1"}]
    edited = {**rows, "litefile": [*rows["litefile"], {"image": "ALL", "file": "/etc/hosts", "options": "tmpfs"}]}
    places, wish = (
        Places(level_paths={"10.0.0.1:": str(lab.work / "10.0.0.1"), "10.0.0.2:": str(lab.work / "10.0.0.2")}),
        Wish(state="empty"),
    )
    before = Simulation(Sight(Site(rows), places), wish)
    after = Simulation(Sight(Site(edited), places, planned=True), wish)
    nodes = [row["node"] for row in rows["nodelist"]]
    assert [len(group.nodes) for group in alike((node, before.of(node)) for node in nodes)] == [MANY]
    found = changes(nodes, before, after)
    assert [(len(change.nodes), [path["path"] for path in change.paths]) for change in found] == [(MANY, ["/etc/hosts"])]
    assert len(looked) <= 6
