# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nodes tell is kept within bounds, and read again with the causes of what failed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.answer.spool import LIMIT, Spool
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.reports import read_reports
from ansible_collections.diskless.statelite.plugins.module_utils.tables.plan import Change
from ansible_collections.diskless.statelite.plugins.module_utils.tables.schema import TABLES
from ansible_collections.diskless.statelite.plugins.module_utils.tables.store import open_store


def read(directory: Path, *nodes: str, noderange: str | None = None) -> dict:
    """Read the spool `directory` on a site with these nodes (n1 without)."""
    site = str(directory / "site.db")
    with open_store(site) as store:
        known = {row["node"] for row in store.tables()["nodelist"]}
        store.write([Change(TABLES["nodelist"], None, {"node": node}) for node in nodes or ("n1",) if node not in known])
    return read_reports({"spool": str(directory), "noderange": noderange, "site": site}, print)


def report(entries: list[dict]) -> dict:
    return {"image": "img1", "generation": "2", "plan": "service", "done": 1, "failed": 1, "levels": [], "entries": entries}


def test_what_a_node_told_is_read_again(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path))
    spool.take_failure("n1", "10.0.0.1", {"stage": "levels", "message": "away", "image": "img1", "generation": "2"})
    assert [(told["state"], told["time"]) for told in read(tmp_path)["reports"]] == [("failing", None)]
    entry = {"path": "/etc/x", "status": "failed", "source": "-", "message": "no space"}
    spool.take_report("n1", "10.0.0.1", report([entry, {**entry, "path": "/etc/y", "status": "done"}]))
    (told,) = read(tmp_path)["reports"]
    assert (told["state"], told["failed_before"], told["last_failure"]) == ("booted", 1, None)
    assert told["failures"] == [{"path": "/etc/x", "status": "failed", "message": "no space"}]
    spool.take_failure("n1", "10.0.0.1", {"stage": "entries", "message": "broken", "image": "img1", "generation": "2"})
    found = read(tmp_path)
    assert found["troubled"] == ["n1"]
    assert "/etc/x: no space" in found["text"]
    assert "entries: broken" in found["text"]


def test_what_was_skipped_how_long_a_level_was_tried_and_how_full_the_node_is_are_told(tmp_path: Path) -> None:
    entries = [{"path": "/etc/p/c", "status": "skipped", "source": "-", "message": "its parent /etc/p failed"}]
    level = {"level": 1, "status": "failed", "source": "10.0.0.1:/lt", "seconds": 60, "message": "no answer within 60 s"}
    room = {"size": 1000, "used": 990, "inodes": 100, "inodes_used": 3}
    Spool(str(tmp_path)).take_report("n1", "10.0.0.1", {**report(entries), "skipped": 1, "levels": [level], "room": room})
    found = read(tmp_path)
    (told,) = found["reports"]
    assert (told["skipped"], told["room"], found["troubled"]) == (1, room, ["n1"])
    assert told["failures"] == [
        {"path": "/etc/p/c", "status": "skipped", "message": "its parent /etc/p failed"},
        {"source": "10.0.0.1:/lt", "status": "failed", "message": "no answer within 60 s", "seconds": 60},
    ]
    assert "failed 1, skipped 1\n" in found["text"]
    assert "    /.statelite was 99 % full when the node started\n" in found["text"]
    assert "    /etc/p/c: skipped: its parent /etc/p failed\n" in found["text"]
    assert "    10.0.0.1:/lt: no answer within 60 s (tried for 60 s)\n" in found["text"]
    Spool(str(tmp_path)).take_report("n1", "10.0.0.1", {**report([]), "room": {**room, "used": 10, "size": True}})
    assert "full" not in read(tmp_path)["text"]


def test_what_became_of_the_nodes_own_disk_is_told(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path))
    spool.take_report("n1", "10.0.0.1", report([]))
    assert read(tmp_path)["reports"][0]["disk"] == {}
    disk = {"status": "mounted", "device": "/dev/vdb", "label": "statelite", "message": "formatted"}
    spool.take_report("n1", "10.0.0.1", {**report([]), "disk": disk})
    found = read(tmp_path)
    assert found["reports"][0]["disk"] == disk
    assert "    local disk: /dev/vdb mounted: formatted\n" in found["text"]
    spool.take_report("n1", "10.0.0.1", {**report([]), "disk": {**disk, "message": "-"}})
    assert "local disk" not in read(tmp_path)["text"], "a disk that is as it should be is nothing to tell of"


def test_without_a_noderange_all_nodes_of_the_site_are_told_of_and_a_removed_one_is_a_remark(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path))
    spool.take_report("n1", "10.0.0.1", report([]))
    spool.take_failure("gone", "10.0.0.9", {"stage": "levels", "message": "away", "image": "img1", "generation": "2"})
    found = read(tmp_path, "n2", "n1")
    assert [(told["node"], told["state"]) for told in found["reports"]] == [("n1", "booted"), ("n2", "unknown")]
    assert (found["troubled"], found["of_no_node"]) == (["n2"], ["gone"])
    assert f"gone: no node of the site; {tmp_path} has files of it\n" in found["text"]
    found = read(tmp_path, "n2", "n1", noderange="n1")
    assert ([told["node"] for told in found["reports"]], found["troubled"], found["of_no_node"]) == (["n1"], [], [])


def test_of_a_very_long_report_what_failed_is_kept(tmp_path: Path) -> None:
    entries = [{"path": f"/etc/{number:0100}", "status": "done", "source": "image", "message": ""} for number in range(3000)]
    entries[7]["status"], entries[8]["status"] = "failed", "skipped"
    Spool(str(tmp_path)).take_report("n1", "10.0.0.1", report(entries))
    assert (tmp_path / "n1.json").stat().st_size < LIMIT
    assert json.loads((tmp_path / "n1.json").read_text())["report"]["left_out"] == 2998
    assert len(read(tmp_path)["reports"][0]["failures"]) == 2


def test_nothing_larger_than_the_limit_enters_the_spool(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match="larger than"):
        Spool(str(tmp_path)).take_report("n1", "10.0.0.1", {"entries": "x" * LIMIT})
    Spool(str(tmp_path)).take_failure("n1", "10.0.0.1", {"stage": "levels", "message": "x" * LIMIT})
    assert (tmp_path / "n1.failure.json").stat().st_size < 8192


@pytest.mark.parametrize("text", ["no json", "[]", " " * (4 * LIMIT) + "{}"])
def test_a_file_that_is_no_report_is_told_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "n1.json").write_text(text, encoding="utf-8")
    with pytest.raises(SiteError, match=r"n1\.json"):
        read(tmp_path)


@pytest.mark.parametrize("odd", [None, [], "x", {"entries": [1, {}], "levels": 3, "done": {}}])
def test_a_report_of_any_form_is_read(tmp_path: Path, odd: object) -> None:
    Spool(str(tmp_path)).take_report("n1", "10.0.0.1", odd)
    assert read(tmp_path)["reports"][0]["state"] == "booted"


@pytest.mark.parametrize(("failed_at", "state"), [(1, "booted"), (3, "failing"), (None, "failing")])
def test_a_failure_told_to_one_server_is_over_when_a_later_boot_was_told_to_another(
    tmp_path: Path, failed_at: int | None, state: str
) -> None:
    told = {"node": "n1", "attempts": 1, "stage": "levels", "message": "away", **({"received": failed_at} if failed_at else {})}
    (tmp_path / "n1.failure.json").write_text(json.dumps(told))
    (tmp_path / "n1.json").write_text(json.dumps({"node": "n1", "received": 2, "report": report([])}))
    assert [each["state"] for each in read(tmp_path)["reports"]] == [state]
