# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A site goes back to an earlier generation and forward again; nothing that runs later undoes it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.apply.generations import current, latest, next_number
from ansible_collections.diskless.statelite.plugins.module_utils.apply.withdrawn import history, mark_of, withdrawn
from ansible_collections.diskless.statelite.plugins.module_utils.boot.record import UNKNOWN, record_path, update
from ansible_collections.diskless.statelite.plugins.module_utils.boot.rollback import read_and_plan
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.tables.plan import plan_table
from ansible_collections.diskless.statelite.plugins.module_utils.tables.schema import TABLES
from ansible_collections.diskless.statelite.plugins.module_utils.tables.store import open_store


class Server:
    """A management node with generations 1 to 5 of one image, the fifth published, the sixth built and not laid out."""

    def __init__(self, directory: Path) -> None:
        self.site, self.images, self.tftp = directory / "site.db", directory / "images", directory / "tftpboot"
        self.spool = directory / "reports"
        self.spool.mkdir()
        (self.tftp / "pxelinux.cfg").mkdir(parents=True)
        for number in range(1, 7):
            self.generation(number)
        (self.images / "generations/6/rootimg/.statelite.json").unlink()
        (self.images / "current").symlink_to("generations/5")
        image = [{"imagename": "img", "osvers": "debian12", "osarch": "x86_64", "profile": "compute", "provmethod": "statelite"}]
        with open_store(str(self.site)) as store:
            store.write(plan_table(TABLES["osimage"], [], image))
            store.write(plan_table(TABLES["nodelist"], [], [{"node": f"n{number}", "groups": "all"} for number in range(1, 10)]))
            store.write(plan_table(TABLES["linuximage"], [], [{"imagename": "img", "rootimgdir": str(self.images)}]))

    def generation(self, number: int) -> None:
        made = self.images / "generations" / str(number)
        (made / "rootimg").mkdir(parents=True)
        for name in ("kernel", "initrd-statelite.gz", "rootimg/.statelite.json"):
            (made / name).write_text("{}")
        (made / "record.json").write_text(json.dumps({"built": f"2026-11-0{number}", "kernel_version": "6.1"}))

    def boots_next(self, node: str, number: int) -> None:
        (self.tftp / "pxelinux.cfg" / node).write_text(f"APPEND root=nfs:10.1.0.1:{self.images}/generations/{number}/rootimg:ro\n")
        update(record_path(str(self.site)), {str(self.tftp): {node: {f"pxelinux.cfg/{node}": UNKNOWN}}}, {})

    def booted(self, node: str, number: int) -> None:
        report = {"received": 1, "node": node, "report": {"image": "img", "generation": str(number)}}
        (self.spool / f"{node}.json").write_text(json.dumps(report))

    def plan(self, **options: Any):
        self.warned: list[str] = []
        params = {
            "image": "img",
            "keep": 1,
            "dead": None,
            "spool": str(self.spool),
            "site": str(self.site),
            "current": None,
            "reason": None,
        }
        return read_and_plan({**params, **options}, self.warned.append)

    def go(self, target: str, reason: str = "it does not boot") -> dict[str, Any]:
        plan = self.plan(current=target, reason=reason)
        plan.apply()
        return plan.result()

    @property
    def current(self) -> int | None:
        return current(str(self.images)).number

    @property
    def withdrawn(self) -> list[int]:
        return sorted(withdrawn(str(self.images)))


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path)


def test_going_back_marks_what_was_published_since(server: Server) -> None:
    plan = server.plan(current="3", reason="it does not boot")
    assert plan.lines() == [
        "img: generation 4 is withdrawn: it does not boot",
        "img: generation 5 is withdrawn: it does not boot",
        "img: current is generation 3 instead of 5",
    ]
    foretold = plan.result()
    assert server.current == 5
    plan.apply()
    assert server.current == 3
    assert plan.result() == foretold
    assert server.withdrawn == [4, 5]
    assert json.loads(Path(mark_of(str(server.images), 5)).read_text())["rollbacks"][0]["reason"] == "it does not boot"
    assert server.plan(current="3").lines() == []


def test_previous_goes_back_once_however_often_it_is_asked(server: Server) -> None:
    server.go("previous")
    assert server.current == 4
    assert server.plan(current="previous").lines() == []


def test_previous_passes_what_was_withdrawn_before(server: Server) -> None:
    server.go("3")
    server.generation(7)
    server.go("7")
    assert server.withdrawn == [4, 5]
    server.go("previous")
    assert server.current == 3, "6 was never laid out"


def test_a_build_that_was_never_published_is_not_withdrawn(server: Server) -> None:
    server.go("4")
    assert server.withdrawn == [5]
    assert latest(str(server.images)).number == 6


def test_forward_lifts_the_mark_and_keeps_its_history(server: Server) -> None:
    server.go("4")
    plan = server.plan(current="newest")
    assert plan.lines() == [
        "img: generation 5 is no longer withdrawn (it was: it does not boot)",
        "img: current is generation 5 instead of 4",
    ]
    plan.apply()
    assert (server.current, server.withdrawn) == (5, [])
    assert [each.lifted != "" for each in history(str(server.images))] == [True]
    assert server.plan(current="newest").lines() == []


def test_it_takes_less_than_a_second(server: Server) -> None:
    begun = spent()
    server.go("previous")
    assert spent() - begun < 1


def spent() -> float:
    """Return the CPU seconds of this process and of the commands that it ran: a busy machine takes longer by the clock."""
    return sum(os.times()[:4])


def test_a_run_killed_between_marks_and_switch_is_finished(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_words: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("ansible_collections.diskless.statelite.plugins.module_utils.boot.rollback.publish", killed)
        with pytest.raises(KeyboardInterrupt):
            server.go("3")
    assert (server.current, server.withdrawn) == (5, [4, 5])
    assert server.plan(current="3").lines() == ["img: current is generation 3 instead of 5"]
    server.go("3")
    assert (server.current, server.withdrawn) == (3, [4, 5])


def test_nodes_whose_boot_files_are_due_are_named(server: Server) -> None:
    server.boots_next("n1", 5)
    server.boots_next("n2", 4)
    assert server.go("4")["nodeset_due"] == ["n1"]
    assert "n1" in server.warned[0] and "nodeset" in server.warned[0]


@pytest.mark.parametrize(
    ("asked", "says"),
    [("9", "no generation '9'"), ("6", "can't be booted"), ("best", "no generation 'best'"), ("-1", "no generation '-1'")],
)
def test_what_cannot_be_booted_is_refused_by_name(server: Server, asked: str, says: str) -> None:
    with pytest.raises(SiteError, match=says):
        server.plan(current=asked)


def test_a_reason_without_a_generation_is_refused(server: Server) -> None:
    with pytest.raises(SiteError, match="says why a generation is withdrawn"):
        server.plan(reason="x")


def test_a_withdrawn_generation_stays_until_another_one_was_built_since(server: Server) -> None:
    server.go("3", "a bad kernel")
    stays = {one["generation"]: one["reasons"] for one in server.plan().result()["kept"]}
    assert stays[5] == ["withdrawn: a bad kernel"]
    server.generation(7)
    (server.images / "generations/7/record.json").write_text(json.dumps({"built": "2026-11-03"}))
    server.go("7")
    assert "withdrawn: a bad kernel" in {one["generation"]: one["reasons"] for one in server.plan().result()["kept"]}[5]
    (server.images / "generations/7/record.json").write_text(json.dumps({"built": "2026-11-09"}))
    assert 5 in server.plan().result()["removed"]


def test_a_mark_goes_with_its_generation_and_its_number_is_never_given_again(server: Server) -> None:
    server.go("4")
    server.generation(7)
    server.go("7")
    os.unlink(server.images / "generations/7/rootimg/.statelite.json")
    prune = server.plan(keep=1)
    assert 5 in prune.result()["removed"]
    prune.apply()
    assert not os.path.exists(mark_of(str(server.images), 5))
    assert server.plan(keep=1).lines() == []
    assert next_number(str(server.images)) == 8


def test_a_node_may_run_both_ends_of_a_rollback(server: Server) -> None:
    server.boots_next("n1", 5)
    server.booted("n1", 4)
    server.go("3")
    server.boots_next("n1", 3)
    stays = {one["generation"]: one["reasons"] for one in server.plan().result()["kept"]}
    assert all("may be run by n1" in stays[number] for number in (3, 4, 5))
    server.generation(7)
    server.go("7")
    server.boots_next("n1", 7)
    server.booted("n1", 7)
    assert server.plan().result()["removed"] == [1, 2, 3, 4, 5, 6]


def test_a_spoiled_mark_is_named(server: Server) -> None:
    Path(mark_of(str(server.images), 5)).write_text("{}")
    with pytest.raises(SiteError, match="no mark of a withdrawn generation"):
        server.plan(current="4")
