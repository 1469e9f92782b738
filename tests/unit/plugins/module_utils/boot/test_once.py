# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node boots something once: set, kept through other runs, ended by its report, by time or by hand, and what comes back then."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.apply import overrides
from ansible_collections.diskless.statelite.plugins.module_utils.boot import retention
from ansible_collections.diskless.statelite.plugins.module_utils.boot.info import read_info
from ansible_collections.diskless.statelite.plugins.module_utils.boot.nodeset import NodesetPlan, plan, read_and_plan
from ansible_collections.diskless.statelite.plugins.module_utils.boot.once import Once, lasting
from ansible_collections.diskless.statelite.plugins.module_utils.boot.returning import bring_back, main
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site
from ansible_collections.diskless.statelite.plugins.module_utils.tables.plan import Change
from ansible_collections.diskless.statelite.plugins.module_utils.tables.schema import TABLES
from ansible_collections.diskless.statelite.plugins.module_utils.tables.store import open_store
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.boot.server import Server

METHODS = ("pxe", "xnba", "grub2", "petitboot", "yaboot")
TOKEN = re.compile(r" statelite\.once=([0-9a-f]{12})(?= |$|\")", re.MULTILINE)


class Rig:
    """A site whose nodes boot img1, with a second image and a spool of reports."""

    def __init__(self, root: Path, netboot: str = "pxe") -> None:
        self.server = Server(root)
        self.server.boots_by(netboot)
        arch = self.server.tables["osimage"][0]["osarch"]
        self.spool = root / "spool"
        self.spool.mkdir()
        self.record = str(root / "boot-once.json")
        self.clock = 1000.0
        other = root / "install/netboot/debian12/rescue"
        self.server.tables["osimage"].append(
            {"imagename": "rescue", "osvers": "debian12", "osarch": arch, "profile": "rescue", "provmethod": "statelite"}
        )
        self.server.tables["linuximage"].append({"imagename": "rescue", "rootimgdir": str(other)})
        made = other / "generations/7"
        (made / "rootimg/.statelite").mkdir(parents=True)
        (made / "rootimg/.statelite.json").write_text("{}")
        (made / "kernel").write_text("rescue kernel")
        (made / "initrd-statelite.gz").write_text("rescue initramfs")
        (other / "current").symlink_to("generations/7")
        self.told: list[str] = []
        self.server.nodeset()
        self.before = self.files()

    def once(self, **options: object) -> Once:
        given = Once.of(str(self.server.root / "site.db"), {"spool": str(self.spool), **options})
        given.now = self.clock
        return given

    def plan(self, noderange: str, state: str, **options: object) -> NodesetPlan:
        site = Site(self.server.tables)
        return plan(site, str(self.server.root / "site.db"), noderange, state, self.told.append, once=self.once(**options))

    def run(self, noderange: str = "n1", state: str = "osimage=rescue", **options: object) -> NodesetPlan:
        decided = self.plan(noderange, state, **options)
        if decided.lines():
            decided.apply()
        return decided

    def files(self) -> dict[str, str]:
        """Every boot file and link of nodes, kernels left out."""
        paths = [path for path in sorted(self.server.tftp.rglob("*")) if "xcat/osimage" not in str(path)]
        found = {str(path): f"-> {os.readlink(path)}" for path in paths if path.is_symlink()}
        return {**found, **{str(path): path.read_text() for path in paths if path.is_file() and not path.is_symlink()}}

    def pending(self) -> dict[str, overrides.Override]:
        return overrides.read(self.record)

    def reports(self, node: str, token: str, failed: bool = False) -> None:
        told = {"node": node, "once": token} if failed else {"node": node, "report": {"node": node, "once": token}}
        (self.spool / f"{node}{'.failure' if failed else ''}.json").write_text(json.dumps(told))

    def bring_back(self) -> list[str]:
        return bring_back(self.record, str(self.spool), self.clock, self.told.append)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


@pytest.mark.parametrize("netboot", METHODS)
def test_every_method_boots_it_once_and_then_as_before(netboot: str, tmp_path: Path) -> None:
    rig = Rig(tmp_path, netboot)
    done = rig.run(once=True)
    file = Path(done.nodes["n1"]["file"])
    found = TOKEN.search(file.read_text())
    assert found and " statelite.image=rescue" in file.read_text()
    arch = rig.server.tables["osimage"][0]["osarch"]
    assert (done.nodes["n1"]["once"], done.nodes["n1"]["then"]) == ("osimage=rescue", f"statelite debian12-{arch}-compute")
    assert rig.bring_back() == []
    rig.reports("n1", found[1])
    assert rig.bring_back()[0] == "n1, osimage=rescue once: it has booted"
    assert rig.files() == rig.before
    assert not os.path.exists(rig.record)
    assert rig.server.plan().lines() == []


def test_the_tables_go_on_to_name_the_own_image(rig: Rig) -> None:
    assert rig.run(once=True).changes == []
    assert rig.run(once=False).changes


def test_what_is_set_is_foretold_set_once_and_not_set_again(rig: Rig) -> None:
    looked = rig.plan("n1,n2", "osimage=rescue", once=True, expires="2h")
    assert rig.files() == rig.before and rig.pending() == {}
    done = rig.run("n1,n2", once=True, expires="2h")
    assert (looked.lines(), looked.result()) == (done.lines(), {**done.result(), "nodes": looked.result()["nodes"]})
    assert f"+ {rig.record}: n1 boots osimage=rescue once, within 2h, then statelite debian12-x86_64-compute" in done.lines()
    rig.clock += 600
    assert rig.run("n1,n2", once=True, expires="1d").lines() == []
    assert {each.until for each in rig.pending().values()} == {1000 + 7200}


def test_time_ends_it(rig: Rig) -> None:
    rig.run(once=True, expires="30m")
    rig.clock += 1799
    assert rig.bring_back() == []
    rig.clock += 1
    assert rig.bring_back()[0] == "n1, osimage=rescue once: it expired"
    assert rig.files() == rig.before


def test_a_boot_that_failed_was_the_one_boot_too(rig: Rig) -> None:
    rig.run(once=True)
    rig.reports("n1", rig.pending()["n1"].token, failed=True)
    assert rig.bring_back()[0] == "n1, osimage=rescue once: its boot failed"
    assert rig.files() == rig.before


def test_a_report_of_another_boot_ends_nothing(rig: Rig) -> None:
    rig.run(once=True)
    for token in ("", "0123456789ab"):
        rig.reports("n1", token)
        rig.reports("n1", token, failed=True)
        assert rig.bring_back() == []
    (rig.spool / "n1.json").write_text("[no report")
    assert rig.bring_back() == []


def a_report(rig: Rig) -> None:
    rig.reports("n1", rig.pending()["n1"].token)


def time_goes_on(rig: Rig) -> None:
    rig.clock += 3600


@pytest.mark.parametrize("end", [a_report, time_goes_on])
def test_a_run_of_nodeset_ends_what_is_over_as_well(rig: Rig, end: Callable[[Rig], None]) -> None:
    rig.run(once=True)
    end(rig)
    done = rig.run(state="osimage")
    assert [line for line in done.lines() if line.startswith(f"- {rig.record}: n1, osimage=rescue once: it ")]
    assert rig.files() == rig.before and rig.pending() == {}
    assert rig.run(state="osimage").lines() == []


def test_another_run_leaves_it_and_changes_what_comes_after_it(rig: Rig) -> None:
    rig.run(once=True)
    assert rig.run("compute", "osimage").lines() == []
    assert rig.told == ["n1: what was set for once is booted first, then what is asked for now (once: false ends it)"]
    during = rig.files()
    rig.server.tables["bootparams"] = [{"node": "n1", "addkcmdline": "quiet"}]
    assert f"~ {rig.record}: n1 boots boot after osimage=rescue" in rig.run("n1", "boot").lines()
    assert " quiet" in rig.server.boot_file("n1") and "image=rescue" in rig.server.boot_file("n1")
    assert set(rig.files()) == set(during)
    rig.clock += 3600
    rig.bring_back()
    assert rig.server.boot_file("n1") == "#boot\nDEFAULT xCAT\nLABEL xCAT\nLOCALBOOT 0\n"


def test_it_is_ended_by_hand(rig: Rig) -> None:
    rig.run("n1,n2", once=True)
    done = rig.run("n1", "osimage", once=False)
    assert f"- {rig.record}: n1, osimage=rescue once: it is no longer wanted" in done.lines()
    assert list(rig.pending()) == ["n2"]
    assert rig.server.boot_file("n1") == rig.before[str(rig.server.directory / "n1")]


def test_another_state_for_once_takes_its_place_and_the_same_comes_back(rig: Rig) -> None:
    rig.run(once=True)
    first = rig.pending()["n1"]
    rig.run(state="shell", once=True)
    second = rig.pending()["n1"]
    assert second.token != first.token and second.then == first.then and " shell " in rig.server.boot_file("n1")
    rig.reports("n1", first.token)
    assert rig.bring_back() == []


def test_a_boot_from_disk_ends_by_time_alone(rig: Rig) -> None:
    rig.run(state="boot", once=True)
    assert rig.pending()["n1"].token == "" and "LOCALBOOT" in rig.server.boot_file("n1")
    rig.reports("n1", "")
    assert rig.bring_back() == []
    time_goes_on(rig)
    assert rig.bring_back()
    assert rig.files() == rig.before


def test_what_is_over_and_not_back_yet_is_not_taken_for_what_comes_after(rig: Rig) -> None:
    rig.run(once=True)
    time_goes_on(rig)
    rig.run(state="shell", once=True)
    time_goes_on(rig)
    rig.bring_back()
    assert rig.files() == rig.before


def test_a_node_that_is_no_more_leaves_nothing(rig: Rig) -> None:
    rig.run(once=True)
    rig.server.tables["nodelist"] = rig.server.tables["nodelist"][1:]
    done = rig.run("compute", "osimage")
    assert f"- {rig.record}: n1, osimage=rescue once: there is no such node any more" in done.lines()
    assert rig.pending() == {} and "n1" not in rig.server.names()


def test_a_node_without_a_boot_file_has_none_again(rig: Rig) -> None:
    rig.server.nodeset("n1", "offline")
    for path in rig.server.directory.iterdir():
        if "n1" in (path.name, os.readlink(path) if path.is_symlink() else ""):
            path.unlink()
    Path(rig.server.root / "boot-files.json").unlink()
    rig.run(once=True)
    assert rig.pending()["n1"].then.state == "boot"
    time_goes_on(rig)
    rig.bring_back()
    assert "n1" not in rig.server.names()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"once": True, "state": "offline"}, "is no boot"),
        ({"once": True, "expires": "soon"}, "is no time"),
        ({"expires": "2h"}, "none is asked for"),
        ({"once": True, "state": "osimage=nosuch"}, "nosuch"),
    ],
)
def test_what_cannot_be_is_refused(rig: Rig, options: dict[str, object], match: str) -> None:
    state = str(options.pop("state", "osimage"))
    with pytest.raises(SiteError, match=match):
        rig.run("n1", state, **options)
    assert rig.files() == rig.before and rig.pending() == {}


def test_a_node_whose_method_changed_is_refused(rig: Rig) -> None:
    rig.server.boots_by("grub2")
    with pytest.raises(SiteError, match="Run nodeset for it without once first") as refused:
        rig.run("n1,n2", once=True)
    assert [fault.where for fault in refused.value.faults] == ["node n1", "node n2"]


@pytest.mark.parametrize(("text", "seconds"), [(None, 3600), ("30m", 1800), ("2d", 172800), ("1w", 604800)])
def test_times(text: str | None, seconds: int) -> None:
    assert lasting(text) == seconds


def test_a_record_of_another_kind_is_refused_by_name(rig: Rig) -> None:
    Path(rig.record).write_text('{"format": 9, "nodes": {}}')
    with pytest.raises(SiteError, match="no record of one-time boots"):
        rig.run("n2", "osimage")


def test_info_tells_what_is_booted_once_and_what_comes_back(rig: Rig) -> None:
    database = str(rig.server.root / "site.db")
    with open_store(database) as store:
        store.write([Change(TABLES[name], None, row) for name, rows in rig.server.tables.items() for row in rows])
    rig.clock = time.time()
    rig.run(once=True)
    asked = {"site": database, "noderange": "n1,n2", "spool": str(rig.spool)}
    told = read_info(asked, print)["nodes"]
    assert told["n2"]["once"] is None
    assert {name: told["n1"]["once"][name] for name in ("state", "image", "then", "over")} == {
        "state": "osimage=rescue",
        "image": "rescue",
        "then": "statelite debian12-x86_64-compute",
        "over": "",
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", told["n1"]["once"]["until"])
    rig.reports("n1", rig.pending()["n1"].token)
    assert read_info(asked, print)["nodes"]["n1"]["once"]["over"] == "it has booted"


def test_a_generation_stays_that_is_booted_after_what_is_booted_once(rig: Rig) -> None:
    rig.run("n1,n2,n3", once=True)
    for number in (2, 3, 4):
        rig.server.generation(number)
    holders = retention.holders_of(str(rig.server.imagedir), frozenset(["img1"]), str(rig.server.root / "site.db"), str(rig.spool))
    assert (holders.next, holders.later) == ({}, {"n1": 1, "n2": 1, "n3": 1})
    reasons = retention.reasons_of(str(rig.server.imagedir), holders, 1)
    assert "boot of n1, n2, n3 after what is booted once" in reasons[1]


def test_nothing_is_remembered_of_a_site_while_something_is_booted_once(rig: Rig) -> None:
    database = str(rig.server.root / "site.db")
    with open_store(database) as store:
        store.write([Change(TABLES[name], None, row) for name, rows in rig.server.tables.items() for row in rows])
    asked = {"site": database, "noderange": "n1", "state": "osimage", "spool": str(rig.spool)}
    rig.clock = time.time()
    rig.run(once=True)
    read_and_plan(asked, rig.told.append)
    rig.reports("n1", rig.pending()["n1"].token)
    ended = read_and_plan(asked, rig.told.append)
    assert ended.lines()
    ended.apply()
    assert rig.files() == rig.before


def test_the_program_ends_when_nothing_is_left(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    rig.clock = 0.0
    rig.run(once=True)
    assert main(["--record", rig.record, "--spool", str(rig.spool), "--every", "0.01"]) == 0
    assert "n1, osimage=rescue once: it expired" in capsys.readouterr().out
    assert rig.files() == rig.before
