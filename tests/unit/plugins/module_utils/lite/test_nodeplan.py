# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The boot plan of a node: what is substituted, chosen, placed, refused and warned of (docs/boot-plan.md)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.lite.layout import Layout, Placed
from ansible_collections.diskless.statelite.plugins.module_utils.lite.nodeplan import NodePlan, compile_plan, join_options
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.identity import machine_id
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.images import osimage
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site

Rows = Sequence[Mapping[str, str]]
MASTER = [{"key": "master", "value": "10.1.0.1"}]


def site_of(**tables: Rows) -> Site:
    base: dict[str, Rows] = {
        "nodelist": [{"node": "n1", "groups": "compute,all"}, {"node": "n2", "groups": "all"}],
        "hosts": [{"node": "n1", "ip": "10.1.1.1"}, {"node": "cnfs", "ip": "10.9.0.9"}],
        "nodetype": [{"node": "all", "provmethod": "img1"}],
        "osimage": [{"imagename": "img1", "groups": "g1,g2", "provmethod": "statelite"}],
        "site": MASTER,
    }
    return Site({**base, **tables})


def placed(*entries: tuple[str, str, str], bind: bool = False) -> Layout:
    """Return a layout of (path, kind, storage); the parent is the nearest entry above."""
    found = []
    for path, kind, storage in entries:
        above = [other for other, _kind, _storage in entries if path.startswith(other + "/")]
        attachment = "bind" if bind else "link"
        found.append(Placed(path, kind, storage, attachment, parent=max(above, key=len, default=None), written=(path,)))
    return Layout("img1", tuple(found))


def compiled(layout: Layout, node: str = "n1", **tables: Rows) -> NodePlan:
    site = site_of(**tables)
    return compile_plan(site, node, layout, osimage(site, "img1"), "3")


def fields(plan: NodePlan, kind: str) -> list[tuple[str, ...]]:
    return [line[1:] for line in plan.lines() if line[0] == kind]


def steps(plan: NodePlan) -> dict[str, tuple[str, str, int]]:
    return {step.path: (step.place, step.attach, step.depth) for step in plan.steps}


STATE = [{"node": "compute", "statemnt": "cnfs:/gpfs/state"}]


def test_the_text_has_a_header_and_an_end_that_counts() -> None:
    lines = compiled(placed(("/etc/a b", "f", "tmpfs"))).text().splitlines()
    assert lines[:4] == ["statelite-plan\t1", "node\tn1", "image\timg1\t3", "hostname\tn1"]
    assert lines[-2] == "entry\t/etc/a b\tf\ttmpfs\tlink\toptional\t-\ttmpfs/etc/a b\timage\t0"
    assert lines[-1] == f"end\t{len(lines) - 1}"


def test_levels_come_by_priority_with_variables_and_addresses_filled_in() -> None:
    rows = [
        {"priority": "10", "image": "ALL", "directory": "cnfs:/gpfs/dallas/"},
        {"priority": "2", "directory": "$noderes.nfsserver:/statelite/$node", "mntopts": "vers=3,nolock", "required": "yes"},
    ]
    assert fields(compiled(placed(), litetree=rows), "level") == [
        ("1", "10.1.0.1", "/statelite/n1", "vers=3,hard,actimeo=3,nolock,ro", "required"),
        ("2", "10.9.0.9", "/gpfs/dallas", "vers=4.2,hard,actimeo=3,ro", "optional"),
    ]


def test_the_site_says_how_levels_and_tmpfs_are_mounted() -> None:
    settings = {"liteactimeo": "30", "litelevelopts": "soft", "litetmpfssize": "1g", "litetmpfsinodes": "9000", "master": "10.1.0.1"}
    rows = [{"key": key, "value": value} for key, value in settings.items()]
    plan = compiled(placed(), site=rows, litetree=[{"priority": "1", "directory": "cnfs:/x"}])
    assert fields(plan, "level")[0][3] == "soft,actimeo=30,ro"
    assert fields(plan, "tmpfs") == [("1g", "9000", "755")]


def test_the_images_permission_is_the_mode_of_statelite() -> None:
    plan = compiled(placed(), linuximage=[{"imagename": "img1", "permission": "777"}])
    assert fields(plan, "tmpfs") == [("25%", "25%", "777")]


@pytest.mark.parametrize(
    ("rows", "directory"),
    [
        (STATE, "/gpfs/state"),
        ([*STATE, {"node": "n1", "statemnt": "cnfs:/own"}], "/own"),
        ([{"node": "n1", "statemnt": "cnfs:/all"}, {"node": "n1", "image": "img1", "statemnt": "cnfs:/image"}], "/image"),
        ([{"node": "n1", "image": "g2", "statemnt": "cnfs:/g2"}, {"node": "n1", "image": "g1", "statemnt": "cnfs:/g1"}], "/g1"),
        ([{"node": "n1", "image": "other", "statemnt": "cnfs:/other"}, *STATE], "/gpfs/state"),
        ([{"node": "n1", "statemnt": "cnfs:/hidden", "disable": "yes"}, *STATE], "/gpfs/state"),
    ],
)
def test_the_state_is_the_nodes_own_rows_then_its_groups_and_the_nearest_image(rows: Rows, directory: str) -> None:
    assert fields(compiled(placed(), statelite=rows), "state") == [("10.9.0.9", directory, "vers=4.2,hard", "optional")]


def test_a_persistent_entry_makes_the_state_required() -> None:
    plan = compiled(placed(("/etc/x", "f", "persistent")), statelite=STATE)
    assert fields(plan, "state")[0][3] == "required"


def test_a_persistent_entry_without_state_is_refused_with_every_other_fault() -> None:
    rows = [{"priority": "1", "directory": "nobody:/x"}, {"priority": "2", "directory": "cnfs:/$nodepos.room"}]
    settings = [{"key": "litedisklabel", "value": "a long and wrong one"}]
    with pytest.raises(SiteError) as raised:
        compiled(placed(("/etc/x", "f", "persistent"), ("/scratch", "d", "localdisk")), litetree=rows, site=[*MASTER, *settings])
    what = [fault.what for fault in raised.value.faults]
    said = ("no row of the table statelite", "'nobody' has no address", "$nodepos.room is not set", "is no label")
    assert [text in fault for text, fault in zip(said, what)] == [True] * 4


@pytest.mark.parametrize("text", ["cnfs:/state/n1", "cnfs:/state/$node"])
def test_a_state_directory_that_ends_in_the_node_is_warned_of(text: str) -> None:
    plan = compiled(placed(), statelite=[{"node": "n1", "statemnt": text}])
    assert "ends in the node's name" in fields(plan, "note")[0][0]


def test_rows_that_the_tree_is_not_laid_out_for_are_named() -> None:
    rows = [{"image": "ALL", "file": "/etc/new", "options": "ro"}, {"image": "ALL", "file": "/etc/x", "options": "bind"}]
    layout = Layout("img1", placed(("/etc/x", "f", "tmpfs"), ("/etc/old", "f", "tmpfs")).entries, {"/var/run": "/run"})
    rows.append({"image": "ALL", "file": "/var/run/", "options": ""})
    plan = compiled(layout, litefile=rows)
    assert [note for (note,) in fields(plan, "note")] == [
        "pending liteimg: /etc/new is ro by link in litefile and not listed in the image",
        "pending liteimg: /etc/old is not listed in litefile and tmpfs by link in the image",
        "pending liteimg: /etc/x is tmpfs by bind in litefile and tmpfs by link in the image",
    ]
    assert fields(plan, "stands") == [("/var/run", "/run")]
    assert [step.path for step in plan.steps] == ["/etc/old", "/etc/x"], "the entries are those of the tree"


@pytest.mark.parametrize("bind", [False, True])
@pytest.mark.parametrize(
    ("parent", "child", "place", "attach"),
    [
        ("tmpfs", "tmpfs", "{parent}/c", "inline"),
        ("tmpfs", "con", "{parent}/c", "inline"),
        ("tmpfs", "persistent", "persistent/n1/p/c", "bind"),
        ("tmpfs", "ro", "-", "bind"),
        ("persistent", "persistent", "persistent/n1/p/c", "inline"),
        ("persistent", "tmpfs", "system/below/p/c", "bind"),
        ("persistent", "con", "system/below/p/c", "bind"),
        ("persistent", "ro", "-", "bind"),
        ("tmpfs", "localdisk", "localdisk/p/c", "bind"),
        ("persistent", "localdisk", "localdisk/p/c", "bind"),
        ("localdisk", "localdisk", "localdisk/p/c", "inline"),
        ("localdisk", "persistent", "persistent/n1/p/c", "bind"),
        ("localdisk", "tmpfs", "system/below/p/c", "bind"),
        ("localdisk", "con", "system/below/p/c", "bind"),
        ("localdisk", "ro", "-", "bind"),
    ],
)
def test_a_child_is_in_its_parents_copy_or_mounted_over_it(bind: bool, parent: str, child: str, place: str, attach: str) -> None:
    plan = compiled(placed(("/p", "d", parent), ("/p/c", "f", child), bind=bind), statelite=STATE)
    found = steps(plan)
    assert found["/p/c"] == (place.format(parent=found["/p"][0]), attach, 1)
    assert [step.path for step in plan.steps] == ["/p", "/p/c"]


@pytest.mark.parametrize(("bind", "where"), [(False, "system/state"), (True, "persistent/n1")])
def test_what_is_persistent_below_a_mount_in_the_state_has_its_place_where_nothing_is_mounted(bind: bool, where: str) -> None:
    """A link leads into the state, so /p/a is mounted in the state itself."""
    listed = (("/p", "d", "persistent"), ("/p/a", "d", "tmpfs"), ("/p/a/b", "d", "persistent"), ("/p/a/b/c", "f", "persistent"))
    found = steps(compiled(placed(*listed, bind=bind), statelite=STATE))
    assert found["/p"][0] == "persistent/n1/p"
    assert found["/p/a/b"] == (f"{where}/p/a/b", "bind", 2)
    assert found["/p/a/b/c"] == (f"{where}/p/a/b/c", "inline", 3)


@pytest.mark.parametrize(
    ("storage", "linked", "bound"),
    [
        ("tmpfs", ("tmpfs/etc/x", "image", 0), ("system/bound/etc/x", "bind", 0)),
        ("con", ("tmpfs/etc/x", "image", 0), ("system/bound/etc/x", "bind", 0)),
        ("persistent", ("persistent/n1/etc/x", "symlink", 0), ("persistent/n1/etc/x", "bind", 0)),
        ("ro", ("-", "symlink", 0), ("-", "bind", 0)),
    ],
)
def test_an_entry_of_its_own_is_linked_or_bound(storage: str, linked: Any, bound: Any) -> None:
    for bind, right in ((False, linked), (True, bound)):
        assert steps(compiled(placed(("/etc/x", "f", storage), bind=bind), statelite=STATE))["/etc/x"] == right


def test_parents_stand_before_children_at_every_depth() -> None:
    entries = [
        ("/a/b/c/d", "f", "persistent"),
        ("/a", "d", "tmpfs"),
        ("/z", "f", "tmpfs"),
        ("/a/b/c", "d", "tmpfs"),
        ("/a/b", "d", "persistent"),
    ]
    plan = compiled(placed(*entries), statelite=STATE)
    assert [(step.path, step.depth) for step in plan.steps] == [("/a", 0), ("/z", 0), ("/a/b", 1), ("/a/b/c", 2), ("/a/b/c/d", 3)]
    assert steps(plan)["/a/b/c"][0] == "system/below/a/b/c"


SCRATCH = ("/scratch", "d", "localdisk")


def test_a_disk_is_told_of_only_where_an_entry_needs_one_and_nothing_is_formatted_unless_the_site_says_so() -> None:
    assert fields(compiled(placed(("/etc/x", "f", "tmpfs"))), "disk") == []
    assert fields(compiled(placed(SCRATCH, bind=True)), "disk") == [("statelite", "noatime", "10", "-")]


def test_the_site_says_which_disk_and_how() -> None:
    settings = {"litedisklabel": "Scratch-1", "litediskopts": "nodev", "litediskwait": "0", "litediskformat": "/dev/disk/by-id/a, /dev/vdb"}
    rows = [*MASTER, *({"key": key, "value": value} for key, value in settings.items())]
    plan = compiled(placed(SCRATCH, bind=True), site=rows)
    assert fields(plan, "disk") == [("Scratch-1", "nodev", "0", "/dev/disk/by-id/a,/dev/vdb")]


def test_an_unlawful_word_on_disks_harms_no_node_without_one() -> None:
    rows = [*MASTER, {"key": "litediskformat", "value": "/dev/sd*"}]
    assert fields(compiled(placed(("/etc/x", "f", "tmpfs")), site=rows), "disk") == []
    with pytest.raises(SiteError, match="is no device"):
        compiled(placed(SCRATCH, bind=True), site=rows)


def test_the_machine_id_is_the_nodes_own_for_ever() -> None:
    site = site_of()
    assert machine_id(site, "n1") == "00895feac77b4cfda9988bc78dd7c398"
    assert re.fullmatch(r"[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}", machine_id(site, "n2"))
    seeded = site_of(site=[{"key": "litemachineseed", "value": "here"}])
    assert len({machine_id(site, "n1"), machine_id(site, "n2"), machine_id(seeded, "n1")}) == 3


@pytest.mark.parametrize(
    ("texts", "joined"),
    [
        (("ro,vers=4.2,hard", "vers=3", "ro"), "vers=3,hard,ro"),
        (("vers=4.2", "nfsvers=3"), "nfsvers=3"),
        (("hard,lock", "soft, nolock,", ""), "soft,nolock"),
        (("rw", "ro"), "ro"),
    ],
)
def test_of_options_written_twice_the_later_counts(texts: tuple[str, ...], joined: str) -> None:
    assert join_options(*texts) == joined


def test_a_site_says_which_volatile_directories_are_copied_for_all_images_or_for_one() -> None:
    written = "/srv/one/, img1:/srv/two/, g2:/srv/three, img2:/srv/four, other:ALL, /srv/a:b"
    plan = compiled(placed(), site=[*MASTER, {"key": "litecopy", "value": written}])
    assert [path for (path,) in fields(plan, "copy")] == ["/srv/one", "/srv/two", "/srv/three", "/srv/a:b"]
    assert fields(compiled(placed(), site=[*MASTER, {"key": "litecopy", "value": "img1:ALL"}]), "copy") == [("ALL",)]


def test_a_site_says_how_long_levels_are_waited_for() -> None:
    assert fields(compiled(placed()), "levelwait") == []
    assert fields(compiled(placed(), site=[*MASTER, {"key": "litelevelwait", "value": "15"}]), "levelwait") == [("15",)]
    for wrong in ("0", "soon", "-3", "99999", "1 minute"):
        with pytest.raises(SiteError, match="litelevelwait"):
            compiled(placed(), site=[*MASTER, {"key": "litelevelwait", "value": wrong}])
