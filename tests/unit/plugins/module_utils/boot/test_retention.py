# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Old generations go when nobody needs them, and stay as long as somebody does."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.boot import retention
from ansible_collections.diskless.statelite.plugins.module_utils.boot.record import UNKNOWN, record_path, update
from ansible_collections.diskless.statelite.plugins.module_utils.boot.retention import plan_prune, read_generations
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.tables.plan import plan_table
from ansible_collections.diskless.statelite.plugins.module_utils.tables.schema import TABLES
from ansible_collections.diskless.statelite.plugins.module_utils.tables.store import open_store


class Server:
    """A management node in a directory: one image with generations 1 to 6, the fifth of them published."""

    def __init__(self, directory: Path) -> None:
        self.site = directory / "site.db"
        self.images = directory / "images"
        self.tftp = directory / "tftpboot"
        self.spool = directory / "reports"
        self.spool.mkdir()
        (self.tftp / "pxelinux.cfg").mkdir(parents=True)
        for number in range(1, 7):
            generation = self.images / "generations" / str(number)
            (generation / "rootimg/etc").mkdir(parents=True)
            (generation / "record.json").write_text(json.dumps({"built": f"2026-11-0{number}", "kernel_version": "6.1"}), encoding="utf-8")
            (self.tftp / f"xcat/osimage/img/{number}").mkdir(parents=True)
        (self.images / "current").symlink_to("generations/5")
        image = [{"imagename": "img", "osvers": "debian12", "osarch": "x86_64", "profile": "compute", "provmethod": "statelite"}]
        with open_store(str(self.site)) as store:
            store.write(plan_table(TABLES["osimage"], [], image))
            store.write(plan_table(TABLES["nodelist"], [], [{"node": f"n{number}", "groups": "all"} for number in range(1, 10)]))
            store.write(plan_table(TABLES["linuximage"], [], [{"imagename": "img", "rootimgdir": str(self.images)}]))

    def boots_next(self, node: str, number: int, *, root: bool = True) -> None:
        words = (
            f"root=nfs:10.1.0.1:{self.images}/generations/{number}/rootimg:ro"
            if root
            else f"statelite.image=img statelite.generation={number}"
        )
        (self.tftp / "pxelinux.cfg" / node).write_text(f"APPEND {words}\n", encoding="utf-8")
        update(record_path(str(self.site)), {str(self.tftp): {node: {f"pxelinux.cfg/{node}": UNKNOWN}}}, {})

    def booted(self, node: str, number: int) -> None:
        report = {"received": 1, "node": node, "report": {"image": "img", "generation": str(number)}}
        (self.spool / f"{node}.json").write_text(json.dumps(report), encoding="utf-8")

    def failed(self, node: str, number: int) -> None:
        told = {"received": 1, "node": node, "attempts": 1, "image": "img", "generation": str(number)}
        (self.spool / f"{node}.failure.json").write_text(json.dumps(told), encoding="utf-8")

    def plan(self, **options: Any):
        return plan_prune({"image": "img", "keep": 1, "dead": None, "spool": str(self.spool), "site": str(self.site), **options})

    def left(self) -> list[str]:
        return sorted(os.listdir(self.images / "generations"))

    def pairs(self) -> list[str]:
        return sorted(os.listdir(self.tftp / "xcat/osimage/img"))


@pytest.fixture
def server(tmp_path: Path) -> Server:
    found = Server(tmp_path)
    found.boots_next("n9", 5)
    found.booted("n9", 5)
    return found


def test_what_nobody_needs_goes_with_its_copies(server):
    plan = server.plan()
    assert plan.result()["removed"] == [1, 2, 3, 4]
    assert server.left() == ["1", "2", "3", "4", "5", "6"]
    assert len(plan.lines()) == 8
    plan.apply()
    assert server.left() == server.pairs() == ["5", "6"]
    assert server.plan().lines() == []


def test_nodes_hold_what_they_boot_next_and_what_they_may_run(server):
    server.boots_next("n1", 1)
    server.booted("n1", 1)
    server.booted("n3", 3)
    server.failed("n3", 4)
    plan = server.plan()
    assert plan.lines() == []
    assert {one["generation"]: one["reasons"] for one in plan.result()["kept"]} == {
        1: ["next boot of n1", "may be run by n1"],
        2: ["may be run by n1"],
        3: ["may be run by n1, n3"],
        4: ["may be run by n1, n3"],
        5: ["published", "next boot of n9", "may be run by n1, n3, n9"],
        6: ["not published yet", "one of the newest 1"],
    }
    assert server.plan(dead="n1").result()["removed"] == [2]
    assert server.plan(dead="n1,n3").result()["removed"] == [2, 3, 4]


def test_a_boot_that_was_not_told_of_may_have_been_of_any_generation_since(server):
    server.booted("n1", 2)
    assert server.plan().result()["removed"] == [1]


@pytest.mark.parametrize("root", [True, False])
def test_a_node_that_never_told_of_a_boot_may_run_anything(server, root):
    server.boots_next("n2", 5, root=root)
    assert server.plan().lines() == []
    assert server.plan(dead="n2").result()["removed"] == [1, 2, 3, 4]


def test_boot_files_of_others_hold_nothing_and_the_newest_stay(server):
    (server.tftp / "pxelinux.cfg/other").write_text("statelite.image=img statelite.generation=1\n", encoding="utf-8")
    assert server.plan(keep=4).result()["removed"] == [1, 2]
    for keep in (6, 7, 8, 100):
        assert server.plan(keep=keep).result()["removed"] == []
    with pytest.raises(SiteError, match="would keep no generation"):
        server.plan(keep=0)


def test_a_directory_spelled_through_a_link_is_the_same(server, tmp_path):
    (tmp_path / "link").symlink_to(server.images)
    text = f"root=nfs:10.1.0.1:{tmp_path}/link/generations/1/rootimg:ro"
    server.boots_next("n1", 1)
    (server.tftp / "pxelinux.cfg/n1").write_text(text, encoding="utf-8")
    server.booted("n1", 5)
    assert server.plan().result()["removed"] == []
    assert server.plan().result()["kept"][0] == {"generation": 1, "reasons": ["next boot of n1", "may be run by n1"]}


def test_what_can_not_be_known_is_refused(server):
    (server.spool / "n1.json").write_text("no report", encoding="utf-8")
    with pytest.raises(SiteError, match="is no report"):
        server.plan()
    with pytest.raises(SiteError, match="can't be read"):
        server.plan(spool=str(server.spool / "missing"))
    (server.spool / "n1.json").unlink()
    (server.tftp / "pxelinux.cfg").rename(server.tftp / "away")
    with pytest.raises(SiteError, match="the boot files that nodeset wrote are not there"):
        server.plan()


def test_nothing_goes_while_no_generation_is_published(server):
    (server.images / "current").unlink()
    assert server.plan().lines() == []


def test_a_mount_in_a_generation_is_refused_by_name(server, monkeypatch):
    inside = str(server.images / "generations/2/rootimg/etc")
    monkeypatch.setattr(retention, "mounts_under", lambda path: [inside] if inside.startswith(path + "/") else [])
    with pytest.raises(SiteError, match=r"something is mounted in generation 2 of img\. umount"):
        server.plan()


@pytest.mark.parametrize("cut", range(1, 9))
def test_a_run_that_is_cut_off_is_finished_by_the_next(server, monkeypatch, cut):
    calls = []
    really = retention.remove_tree

    def remove(path):
        calls.append(path)
        if len(calls) == cut:
            raise KeyboardInterrupt
        really(path)

    monkeypatch.setattr(retention, "remove_tree", remove)
    with pytest.raises(KeyboardInterrupt):
        server.plan().apply()
    monkeypatch.undo()
    plan = server.plan()
    if plan.lines():
        plan.apply()
    assert server.left() == ["5", "6"]
    assert server.plan().lines() == []


def test_the_generations_are_told_with_who_needs_them(server):
    server.boots_next("n1", 5)
    server.booted("n1", 3)
    told = read_generations({"image": "img", "spool": str(server.spool), "site": str(server.site)}, print)
    assert [one["generation"] for one in told["generations"]] == [1, 2, 3, 4, 5, 6]
    assert told["text"].splitlines()[2] == "3: built 2026-11-03, kernel 6.1, may be run by n1"
    assert told["text"].splitlines()[4] == "5: built 2026-11-05, kernel 6.1, published, next boot of n1, n9, may be run by n1, n9"
