# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One path of one node: the row and why, every source tried, where writes go, what is kept, who gave the variables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.lite.explain import IN_PLACE
from ansible_collections.diskless.statelite.plugins.module_utils.tables import things

from .test_node_view import Lab


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def tried(found: dict[str, Any]) -> list[tuple[str, str, bool]]:
    return [(one["source"], one["result"], one["used"]) for one in found["sources"]]


def test_the_winner_and_the_losers_among_rows(lab: Lab) -> None:
    rows = [{"image": image, "file": "/etc/motd", "options": options} for image, options in (("", "ro"), ("web", "con"), ("all", "tmpfs"))]
    lab.declare(things.LITEFILE, rows)
    found = lab.explained("/etc/motd")
    assert [(row["image"], row["storage"], row["why"], row["wins"]) for row in found["rows"]] == [
        ("img1", "tmpfs", "names the image img1", True),
        ("web", "con", "names its group web", False),
        ("all", "tmpfs", "names its group all", False),
        ("ALL", "ro", "is for every image", False),
    ]
    assert found["why"] == "the row for /etc/motd names the image img1"
    assert [row["attached_by"] for row in found["rows"]] == ["the row", "liteattach", "liteattach", "liteattach"]


def test_every_level_is_told_with_its_result(lab: Lab) -> None:
    lab.file("10.0.0.1/lt/hall/etc/motd", "hall\n")
    lab.file("10.0.0.2/common/etc/motd", "common\n")
    assert tried(lab.explained("/etc/motd")) == [("level 1", "has it", True), ("level 2", "has it", False), ("default", "has it", False)]
    assert tried(lab.explained("/etc/motd", "n4")) == [
        ("level 1", "does not have it", False),
        ("level 2", "has it", True),
        ("default", "has it", False),
    ]
    assert lab.explained("/etc/motd", "n4")["seen"]["origin"] == "level 2"


def test_an_empty_directory_is_passed_over_and_kept_state_comes_first(lab: Lab) -> None:
    (lab.work / "10.0.0.1/lt/hall/var/log").mkdir(parents=True)
    found = lab.explained("/var/log/old")
    assert tried(found) == [
        ("level 1", "has an empty directory, which is passed over", False),
        ("level 2", "does not have it", False),
        ("default", "has it", True),
    ]
    lab.file("10.0.0.2/state/n1/var/log/mine", "x\n")
    assert tried(lab.explained("/var/log/mine"))[0] == ("kept", "has it from an earlier boot", True)


def test_con_is_told_in_the_order_in_which_it_is_put_together(lab: Lab) -> None:
    lab.file("10.0.0.2/common/etc/motd", "common\n")
    lab.litefile({"/etc/motd": "con"})
    found = lab.explained("/etc/motd")
    assert tried(found) == [("default", "has it", True), ("level 1", "does not have it", False), ("level 2", "has it", True)]
    assert found["seen"]["origin"] == "default + level 2"


def test_nothing_has_it_so_it_is_made(lab: Lab) -> None:
    lab.litefile({"/srv/new/": "bind"})
    assert tried(lab.explained("/srv/new"))[-1] == ("default", "has it", True), "liteimg made it in the image"
    lab.litefile({"/var/log/": "tmpfs", "/var/log/sub/new": ""})
    found = lab.explained("/var/log/sub/new")
    assert (found["entry"]["parent"], found["seen"]["type"]) == ("/var/log", "f")


def test_where_writes_go_and_what_is_kept(lab: Lab) -> None:
    lab.litefile({"/etc/motd": "", "/var/log/": "persistent", "/etc/app/": "bind,persistent", "/etc/hosts": "ro"})
    told = {
        path: lab.explained(path)
        for path in ("/etc/motd", "/var/log/old", "/etc/app/conf", "/etc/hosts", "/etc", "/usr/x", "/var/log/new/er")
    }
    assert {path: (one["writes_go_to"], one["survives"]) for path, one in told.items()} == {
        "/etc/motd": ("the node's memory (/.statelite)", "no"),
        "/var/log/old": ("10.0.0.2:/state/n1/var/log/old", "yes"),
        "/etc/app/conf": ("10.0.0.2:/state/n1/etc/app/conf", "yes"),
        "/etc/hosts": ("nowhere: read-only", "-"),
        "/etc": ("nowhere: read-only", "-"),
        "/usr/x": ("nowhere: / is read-only", "-"),
        "/var/log/new/er": ("10.0.0.2:/state/n1/var/log/new/er", "yes"),
    }


def test_a_path_below_an_entry_and_one_in_the_plain_image(lab: Lab) -> None:
    found = lab.explained("/var/log/deep/er")
    assert (found["entry"]["path"], found["entry"]["below"], found["seen"]["type"]) == ("/var/log", "/deep/er", "absent")
    assert found["why"] == "it lies in /var/log, and the row for /var/log/ names the image img1"
    plain = lab.explained("/etc/hosts")
    assert (plain["entry"], plain["rows"], plain["seen"]["place"]) == (None, [], "image")
    assert "no row names it" in plain["why"]
    assert lab.explained("/etc/hostname")["why"] == "it is the node's identity, set at every boot"


def test_what_lies_in_an_unknown_directory_is_not_said_to_be_absent(lab: Lab) -> None:
    lab.litefile({"/var/log/": "tmpfs"})
    away = {"level_paths": {"10.0.0.2:": str(lab.work / "10.0.0.2")}}
    found = lab.explained("/var/log/old", **away)
    assert found["seen"]["type"] == "unknown"
    assert found["seen"]["reason"].startswith("level 1: 10.0.0.1:/lt/hall is not seen from here")
    assert (found["writes_go_to"], found["survives"]) == ("the node's memory (/.statelite)", "no")
    assert lab.tree(paths=["/var/log/old"], **away)["/var/log/old"]["type"] == "unknown"
    assert lab.tree(paths=["/var/log/none"])["/var/log/none"]["type"] == "absent"


def test_links_that_lead_nowhere_or_to_the_nodes_own_are_links(lab: Lab) -> None:
    (lab.root / "proc").mkdir()
    for name, text in (("mtab", "/proc/self/mounts"), ("gone", "nowhere")):
        (lab.root / "etc" / name).symlink_to(text)
    mtab, gone = lab.explained("/etc/mtab"), lab.explained("/etc/gone")
    assert (mtab["seen"]["type"], mtab["seen"]["target"]) == ("l", "/proc/self/mounts")
    assert mtab["why"] == "it is a symbolic link of the image: it leads to what every node mounts for itself"
    assert gone["why"] == "it is a symbolic link of the image: nothing is where it leads"
    assert lab.explained("/proc/1")["why"] == "every node mounts it for itself"
    assert lab.explained("/.statelite/tmpfs")["why"] == "it is statelite's own, made new at every boot"


def test_a_state_at_the_root_of_its_server_is_written_with_one_slash(lab: Lab) -> None:
    lab.declare(things.STATELITE, [{"node": "compute", "statemnt": "10.0.0.2:/"}])
    (lab.work / "10.0.0.2/n1").mkdir()
    found = lab.explained("/var/log/old")
    assert found["writes_go_to"] == "10.0.0.2:/n1/var/log/old"
    assert found["seen"]["origin"] == "default"


def test_the_text_says_where_a_link_leads_and_of_which_directory_a_path_is_part(lab: Lab) -> None:
    (lab.root / "alias").symlink_to("var")
    text = lab.ask("n1", path="/alias/log/old")["text"]
    assert "  why: it lies in /var/log, and the row for /var/log/ names the image img1\n" in text
    assert "  lies at: /.statelite/persistent/n1/var/log/old\n" in text


def test_an_entry_is_found_by_any_name_that_leads_to_it(lab: Lab) -> None:
    (lab.root / "etc/link").symlink_to("../var/log/old")
    found = lab.explained("/etc/link")
    assert (found["entry"]["path"], found["entry"]["below"]) == ("/var/log", "/old")


def test_a_row_that_the_nodes_own_mounts_satisfy(lab: Lab) -> None:
    (lab.root / "run").mkdir()
    (lab.root / "var/run").symlink_to("/run")
    lab.litefile({"/var/run/": ""})
    found = lab.explained("/var/run/lock")
    assert found["why"] == "it leads to /run, which every node mounts for itself"
    assert [row["file"] for row in found["rows"]] == ["/var/run/"]


def test_who_gave_each_variable(lab: Lab) -> None:
    def variables(node: str) -> dict[tuple[str, str], tuple[str, str]]:
        found = lab.explained("/etc/motd", node)["variables"]
        return {(one["where"], one["variable"]): (one["value"], one["from"]) for one in found}

    first = "table litetree, priority 1, image ALL"
    assert variables("n1") == {(first, "$nodepos.room"): ("hall", "group compute")}
    assert variables("n4") == {(first, "$nodepos.room"): ("cellar", "node n4")}
    lab.declare(things.LITETREE, [{"priority": "1", "directory": "$noderes.nfsserver:/lt/$node$site.master"}])
    lab.declare(things.STATELITE, [{"node": "compute", "statemnt": "$noderes.xcatmaster:/state/$nodetype.provmethod"}])
    state = "table statelite, group compute, image ALL, column statemnt"
    assert variables("n1") == {
        (first, "$noderes.nfsserver"): ("10.0.0.1", "table site, key master"),
        (first, "$node"): ("n1", "the node's name"),
        (first, "$site.master"): ("10.0.0.1", "table site"),
        (state, "$noderes.xcatmaster"): ("10.0.0.1", "table site, key master"),
        (state, "$nodetype.provmethod"): ("img1", "node n1"),
    }


def test_a_level_without_a_server_says_whose_it_is(lab: Lab) -> None:
    lab.declare(things.LITETREE, [{"priority": "2", "directory": "/common"}])
    lab.declare(things.NODEGROUP, [{"groupname": "compute", "noderes": {"nfsserver": "10.0.0.2"}, "nodepos": {"room": "hall"}}])
    told = [one for one in lab.explained("/etc/motd")["variables"] if "priority 2" in one["where"]]
    assert [(one["variable"], one["value"], one["from"]) for one in told] == [("$noderes.nfsserver", "10.0.0.2", "group compute")]


def test_a_single_file_bound_to_a_level_says_how_to_change_it(lab: Lab) -> None:
    lab.file("10.0.0.2/common/etc/motd", "common\n")
    lab.litefile({"/etc/motd": "bind,ro"})
    assert IN_PLACE in lab.explained("/etc/motd")["notes"]
    lab.litefile({"/etc/motd": "link,ro"})
    assert lab.explained("/etc/motd")["notes"] == []


def test_a_row_that_is_not_laid_out_yet_is_told(lab: Lab) -> None:
    lab.declare(things.LITEFILE, [{"image": "img1", "file": "/etc/motd", "options": "bind,tmpfs"}])
    assert lab.explained("/etc/motd")["notes"] == ["pending liteimg: /etc/motd is tmpfs by bind in litefile and tmpfs by link in the image"]
    assert lab.explained("/etc/motd", proposed={})["entry"]["attachment"] == "bind"


def test_the_text_tells_it_all(lab: Lab) -> None:
    lab.file("10.0.0.1/lt/hall/etc/motd", "hall\n")
    assert lab.ask("n1", path="/etc/motd")["text"].splitlines() == [
        "n1:/etc/motd  file 0644 from level 1",
        "  why: the row for /etc/motd names the image img1",
        "  lies at: /.statelite/tmpfs/etc/motd",
        "  entry: /etc/motd link,tmpfs: done",
        "  row: image img1, /etc/motd, '' names the image img1: wins",
        "  level 1 (10.0.0.1:/lt/hall): has it: used",
        "  level 2 (10.0.0.2:/common): does not have it",
        "  default (/.default): has it",
        "  writes go to: the node's memory (/.statelite); lost at reboot",
        "  $nodepos.room = hall from group compute (table litetree, priority 1, image ALL)",
    ]


@pytest.mark.parametrize("path", ["etc/motd", "/etc/../motd", ""])
def test_what_is_no_path_is_refused(lab: Lab, path: str) -> None:
    with pytest.raises(SiteError, match="is not a full path"):
        lab.ask("n1", path=path)
