# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nodes would see, without a node: grouping, edits, unknown levels, hostile links, and one path explained."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.lite.entry import entries_for
from ansible_collections.diskless.statelite.plugins.module_utils.lite.node_view_info import SPEC, read_view
from ansible_collections.diskless.statelite.plugins.module_utils.lite.simulate import Sight, Simulation, Wish
from ansible_collections.diskless.statelite.plugins.module_utils.lite.treeplan import Wanted, plan_tree
from ansible_collections.diskless.statelite.plugins.module_utils.lite.trees import Places
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site
from ansible_collections.diskless.statelite.plugins.module_utils.tables import things
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.lite import images
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.lite.test_properties import PROFILE, image, lawful, sites
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.tables.sites import declare, tables_of
from hypothesis import assume, given

OLD, NEW = {"/etc/motd": "", "/var/log/": "persistent"}, "new\n"
SECRET = "of the management node\n"


class Lab:
    """A site with nodes n1 to n4, its image, the levels of one server and the state of another."""

    def __init__(self, work: Path) -> None:
        self.work, self.database = work, work / "site.db"
        self.root = work / "image/rootimg"
        for path, text in {"etc/motd": "image\n", "etc/hosts": "hosts\n", "var/log/old": "log\n", "etc/app/conf": "conf\n"}.items():
            self.file(f"image/rootimg/{path}", text)
        for path in ("etc/machine-id", "etc/hostname", "etc/resolv.conf"):
            self.file(f"image/rootimg/{path}", "")
        self.declare(things.SITE_SETTING, [{"key": "master", "value": "10.0.0.1"}, {"key": "liteattach", "value": "link"}])
        linux = {"rootimgdir": str(work / "image")}
        self.declare(things.OSIMAGE, [{"imagename": "img1", "provmethod": "statelite", "groups": ["web", "all"], "linux": linux}])
        nodes = [{"node": f"n{number}", "groups": ["compute"], "nodetype": {"provmethod": "img1"}} for number in range(1, 5)]
        nodes[3]["nodepos"] = {"room": "cellar"}
        self.declare(things.NODE, nodes)
        self.declare(things.NODEGROUP, [{"groupname": "compute", "nodepos": {"room": "hall"}}])
        levels = [{"priority": "1", "directory": "10.0.0.1:/lt/$nodepos.room"}, {"priority": "2", "directory": "10.0.0.2:/common"}]
        self.declare(things.LITETREE, levels)
        self.declare(things.STATELITE, [{"node": "compute", "statemnt": "10.0.0.2:/state"}])
        for place in (
            "10.0.0.1/lt/hall",
            "10.0.0.1/lt/cellar",
            "10.0.0.2/common",
            *(f"10.0.0.2/state/n{number}" for number in range(1, 5)),
        ):
            (work / place).mkdir(parents=True)
        self.litefile(OLD)

    def file(self, path: str, text: str) -> None:
        place = self.work / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")

    def declare(self, thing: things.Thing, rows: list[dict[str, Any]], **options: Any) -> None:
        declare(self.database, thing, rows=rows, **options)

    def litefile(self, table: Mapping[str, str]) -> None:
        """Declare the table and lay the image out for it."""
        self.declare(things.LITEFILE, images.rows_of(table), exclusive=True)
        site = Site(tables_of(self.database))
        plan_tree(str(self.root), Wanted("img1", entries_for(site, "img1"))).apply()

    def ask(self, noderange: str = "compute", **options: Any) -> dict[str, Any]:
        """Return what the module returns."""
        defaults = {name: option.get("default") for name, option in SPEC.items()}
        servers = {f"{name}:": str(self.work / name) for name in ("10.0.0.1", "10.0.0.2")}
        seen = {"level_paths": servers, "level_mounts": False}
        return read_view({**defaults, "site": str(self.database), "noderange": noderange, **seen, **options}, print)

    def tree(self, **options: Any) -> dict[str, dict[str, Any]]:
        """Return the rows of n1 by path."""
        found = self.ask("n1", **options)
        return {row["path"]: row for row in found["groups"][0]["tree"]}

    def explained(self, path: str, node: str = "n1", **options: Any) -> dict[str, Any]:
        return self.ask(node, path=path, **options)["explained"][node]


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def test_a_row_says_what_is_there_and_what_is_kept(lab: Lab) -> None:
    tree = lab.tree(digest=True)
    motd = tree["/etc/motd"]
    assert (motd["type"], motd["mode"], motd["origin"], motd["place"], motd["survives"]) == ("f", "0644", "default", "tmpfs", "no")
    assert motd["digest"] == _sum("image\n")
    assert tree["/var/log/old"] | {"digest": ""} == {
        "path": "/var/log/old", "type": "f", "mode": "0644", "origin": "default", "place": "persistent",
        "writable": True, "survives": "yes", "digest": "",
    }  # fmt: skip
    assert "/etc/hosts" not in tree
    assert lab.tree(whole=True)["/etc/hosts"]["survives"] == "-"
    assert set(lab.tree(paths=["/etc/app/"])) == {"/etc/app", "/etc/app/conf"}


def test_nodes_with_the_same_result_are_one_group(lab: Lab) -> None:
    found = lab.ask(state="empty")
    assert [group["nodes"] for group in found["groups"]] == [["n1", "n2", "n3", "n4"]], "the levels hold nothing"
    lab.file("10.0.0.1/lt/cellar/etc/motd", "damp\n")
    found = lab.ask(state="empty")
    assert [(group["count"], group["nodes"]) for group in found["groups"]] == [(3, ["n1", "n2", "n3"]), (1, ["n4"])]
    assert found["text"].startswith("3 nodes alike: n1, n2, n3\n")
    assert {row["path"]: row["origin"] for row in found["groups"][1]["tree"]}["/etc/motd"] == "level 1"


def test_what_a_node_has_kept_is_its_own(lab: Lab) -> None:
    lab.file("10.0.0.2/state/n2/var/log/mine", "x\n")
    found = lab.ask()
    assert [group["nodes"] for group in found["groups"]] == [["n1", "n3", "n4"], ["n2"]]
    assert [row["path"] for row in found["groups"][1]["tree"] if row["path"].startswith("/var/log/")] == ["/var/log/mine"]
    assert len(lab.ask(state="empty")["groups"]) == 1


def test_a_level_that_is_not_seen_from_here_is_said_and_not_guessed(lab: Lab) -> None:
    found = lab.ask("n1", level_paths={"10.0.0.1:/lt": str(lab.work / "10.0.0.1/lt")})
    group = found["groups"][0]
    assert [level["status"] for level in group["levels"]] == ["mounted", "unknown"]
    motd = next(row for row in group["tree"] if row["path"] == "/etc/motd")
    assert motd["type"] == "unknown"
    assert "10.0.0.2:/common is not seen from here" in motd["reason"]
    assert "mode" not in motd
    assert (
        next(row for row in group["tree"] if row["path"] == "/var/log")["reason"]
        == "the state in 10.0.0.2:/state is not known: 10.0.0.2:/state is not seen from here: name it in level_paths"
    )
    lab.file("10.0.0.1/lt/hall/etc/motd", "hall\n")
    found = lab.ask("n1", level_paths={"10.0.0.1:/lt": str(lab.work / "10.0.0.1/lt")})
    motd = next(row for row in found["groups"][0]["tree"] if row["path"] == "/etc/motd")
    assert (motd["type"], motd["origin"]) == ("f", "level 1"), "an earlier level has it, so the unknown one does not matter"


@pytest.mark.parametrize("options", ["", "con", "ro", "bind,tmpfs", "persistent"])
def test_a_level_that_leads_to_what_the_node_mounts_itself_is_not_guessed(lab: Lab, options: str) -> None:
    (lab.root / "proc").mkdir()
    lab.litefile({"/etc/motd": options})
    (lab.work / "10.0.0.2/common/etc").mkdir()
    (lab.work / "10.0.0.2/common/etc/motd").symlink_to("/proc/self/mounts")
    motd = lab.tree()["/etc/motd"]
    assert (motd["type"], motd["reason"]) == ("unknown", "level 2: it leads to what every node mounts for itself")


@pytest.mark.parametrize("text", ["/", "../..", "/.statelite", "../../../.."])
def test_a_level_that_leads_to_statelites_own_is_not_guessed(lab: Lab, text: str) -> None:
    lab.litefile({"/srv/": ""})
    (lab.work / "10.0.0.2/common/srv").symlink_to(text)
    assert lab.tree()["/srv"]["reason"] == "level 2: it leads to a directory that holds statelite's own"


@pytest.mark.parametrize("text", ["../..", "../../tmpfs", "/.statelite"])
def test_what_a_node_keeps_that_leads_to_statelites_own_is_not_guessed(lab: Lab, text: str) -> None:
    lab.litefile({"/srv/": "persistent"})
    (lab.work / "10.0.0.2/state/n1/srv").symlink_to(text)
    row = lab.tree()["/srv"]
    assert (row["type"], row["reason"]) == ("unknown", "the state: it leads to a directory that holds statelite's own")


@pytest.mark.parametrize("text", ["/", "/srv", "/srv/deep/.."])
@pytest.mark.parametrize("whole", [False, True])
def test_what_a_node_keeps_that_leads_to_a_directory_around_it_has_an_end(lab: Lab, text: str, whole: bool) -> None:
    (lab.root / "srv/deep").mkdir(parents=True)
    lab.litefile({"/srv/kept/": "persistent"})
    (lab.work / "10.0.0.2/state/n1/srv").mkdir()
    (lab.work / "10.0.0.2/state/n1/srv/kept").symlink_to(text)
    found = lab.tree(whole=whole)
    assert found["/srv/kept"]["type"] == ("l" if whole else "d")


def test_a_missing_level_fails_the_node_only_when_it_is_required(lab: Lab) -> None:
    (lab.work / "10.0.0.2/common").rmdir()
    group = lab.ask("n1")["groups"][0]
    assert (group["boots"], group["levels"][1]["status"]) == (True, "failed")
    lab.declare(things.LITETREE, [{"priority": "2", "directory": "10.0.0.2:/common", "required": True}])
    assert lab.ask("n1")["groups"][0]["boots"] is False


def test_a_node_whose_state_has_no_directory_yet_waits_for_it(lab: Lab) -> None:
    (lab.work / "10.0.0.2/state/n3").rmdir()
    group = lab.ask("n3")["groups"][0]
    assert (group["boots"], "10.0.0.2:/state has no directory for the node yet" in group["waits"]) == (False, True)
    assert lab.ask("n3", state="empty")["groups"][0]["boots"]


def test_nodes_without_a_plan_are_a_group_with_the_reason(lab: Lab) -> None:
    lab.declare(things.STATELITE, [{"node": "compute"}], state="absent")
    group = lab.ask()["groups"][0]
    assert (group["count"], group["boots"], group["tree"]) == (4, False, [])
    assert "no row of the table statelite" in lab.ask()["text"]


@pytest.mark.parametrize("place", ["10.0.0.2/common", "image/rootimg"])
def test_hostile_links_lead_nowhere_but_inside_the_node(lab: Lab, place: str) -> None:
    lab.file("secret/file", SECRET)
    lab.file("image/rootimg/etc/inside", "of the node\n")
    lab.litefile({"/srv/a": "", "/srv/b": "", "/srv/d/": "ro", "/srv/e/": ""})
    for name, text in {
        "a": str(lab.work / "secret/file"),
        "b": "/etc/inside",
        "d": "../../../../../../secret",
        "e/x": str(lab.work / "secret/file"),
    }.items():
        link = lab.work / place / "srv" / name
        for old in (link, lab.work / "image/rootimg/.default/srv" / name if place == "image/rootimg" else link):
            if old.is_symlink() or old.is_file():
                old.unlink()
            elif old.is_dir() and name != "e/x":
                old.rmdir()
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(text)
    if place == "image/rootimg":
        lab.litefile({"/srv/a": "", "/srv/b": "", "/srv/e/": ""})
    tree = lab.tree(digest=True, paths=["/srv"])
    assert SECRET not in str(tree)
    read = [lab.explained(path)["seen"] for path in ("/srv/a", "/srv/e/x", "/srv/b")]
    assert [row["type"] for row in read[:2]] in (["l", "l"], ["f", "l"])
    assert all("digest" not in row or row["digest"] != _sum(SECRET) for row in [*tree.values(), *read])
    assert read[2]["digest"] == _sum("of the node\n")


def _sum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_a_proposed_row_shows_the_paths_it_changes_and_on_which_nodes(lab: Lab) -> None:
    found = lab.ask(state="empty", proposed={"litefile": [{"image": "img1", "file": "/etc/app/", "options": "bind,tmpfs"}]})
    assert [(change["count"], [row["path"] for row in change["paths"]]) for change in found["changes"]] == [
        (4, ["/etc/app", "/etc/app/conf"])
    ]
    conf = found["changes"][0]["paths"][1]
    assert (conf["before"]["survives"], conf["after"]["survives"], conf["after"]["place"]) == ("-", "no", "tmpfs")
    assert found["text"].startswith("2 paths on 4 nodes: n1, n2, n3, n4\n")
    assert not (lab.root / ".default/etc/app").exists(), "nothing was laid out"


def test_a_proposed_level_shows_up_only_where_it_has_something(lab: Lab) -> None:
    lab.file("10.0.0.2/extra/n2/etc/motd", "of n2\n")
    found = lab.ask(state="empty", proposed={"litetree": [{"priority": "0", "directory": "10.0.0.2:/extra/$node"}]})
    assert [(change["nodes"], [row["path"] for row in change["paths"]]) for change in found["changes"]] == [(["n2"], ["/etc/motd"])]


def test_a_proposed_row_can_go_and_an_empty_proposal_changes_nothing(lab: Lab) -> None:
    assert lab.ask(proposed={})["text"] == "no path changes on 4 nodes\n"
    gone = lab.ask("n1", state="empty", proposed={"litefile": [{"image": "img1", "file": "/etc/motd", "disable": "1"}]})
    (change,) = gone["changes"]
    assert [(row["path"], row["after"]["place"]) for row in change["paths"]] == [("/etc/motd", "image")]


@pytest.mark.parametrize(
    ("proposed", "told"),
    [
        ({"litfile": []}, "no such table"),
        ({"litefile": {}}, "no list of rows"),
        ({"litefile": [{"path": "/x"}]}, "no column called path"),
        ({"litefile": [{"image": "img1", "file": "/x", "options": "tmpfs,ro"}]}, "two storages"),
    ],
)
def test_a_proposal_that_could_not_be_written_is_refused(lab: Lab, proposed: dict[str, Any], told: str) -> None:
    with pytest.raises(SiteError, match=told):
        lab.ask(proposed=proposed)


def test_a_proposal_that_a_rule_refuses_is_the_result_of_its_nodes(lab: Lab) -> None:
    found = lab.ask(proposed={"litefile": [{"image": "img1", "file": "/var/log/old", "options": "bind"}]})
    assert [(change["count"], "bind-below-link" in change["faults"][0]["what"]) for change in found["changes"]] == [(4, True)]


@PROFILE
@given(sites())
def test_what_liteimg_would_make_is_what_it_makes(site):  # type: ignore[no-untyped-def]
    tree, before, after = site
    with image(tree) as root:
        assume(lawful(root, before) and lawful(root, after))
        images.apply(root, before)
        known = {
            "osimage": [{"imagename": "img1"}],
            "linuximage": [{"imagename": "img1", "rootimgdir": str(root.parent)}],
            "nodetype": [{"node": "n1", "provmethod": "img1"}],
            "nodelist": [{"node": "n1"}],
            "site": [{"key": "master", "value": "10.0.0.1"}],
            "statelite": [{"node": "n1", "statemnt": "/state"}],
            "litefile": images.rows_of(after),
        }
        wish = Wish(whole=True, digest=True, state="empty")
        foretold = Simulation(Sight(Site(known), Places(), planned=True), wish).of("n1")
        images.apply(root, after)
        assert Simulation(Sight(Site(known), Places()), wish).of("n1") == foretold
