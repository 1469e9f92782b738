# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A second run on an unchanged site plans nothing anew, and whatever changed is found."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.apply.generations import Generation
from ansible_collections.diskless.statelite.plugins.module_utils.apply.manifest import seal
from ansible_collections.diskless.statelite.plugins.module_utils.apply.signing import site_keys
from ansible_collections.diskless.statelite.plugins.module_utils.boot import nodeset, seen
from ansible_collections.diskless.statelite.plugins.module_utils.boot.nodeset import NodesetPlan, read_and_plan
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.tables.plan import Change
from ansible_collections.diskless.statelite.plugins.module_utils.tables.schema import TABLES
from ansible_collections.diskless.statelite.plugins.module_utils.tables.store import open_store
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.apply.test_manifest import have_key
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.boot.server import Server


class Known:
    """A site in a database whose nodes have their boot files, and nodeset as the module runs it."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.server = Server(root)
        self.database = str(root / "site.db")
        self.planned = 0
        with open_store(self.database) as store:
            store.write([Change(TABLES[name], None, row) for name, rows in self.server.tables.items() for row in rows])
        plan = nodeset.plan

        def counted(*arguments: object) -> NodesetPlan:
            self.planned += 1
            return plan(*arguments)

        monkeypatch.setattr(nodeset, "plan", counted)
        self.run()

    def add(self, word: str) -> None:
        with open_store(self.database) as store:
            store.write([Change(TABLES["bootparams"], None, {"node": "n1", "addkcmdline": word})])

    def run(self, **options: object) -> NodesetPlan:
        found = read_and_plan({"site": self.database, "noderange": "compute", "state": "osimage", **options}, print)
        if found.lines():
            found.apply()
        return found


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Known:
    return Known(tmp_path, monkeypatch)


def test_an_unchanged_site_is_known_again_and_told_alike(known: Known) -> None:
    again = known.run()
    assert known.planned == 1
    assert again.lines() == [] and again.result()["nodes"]["n1"]["state"] == "statelite debian12-x86_64-compute"


def a_file_is_edited(known: Known) -> None:
    path = known.server.directory / "n1"
    path.write_text(path.read_text().replace("FC=0", "FC=1"))


def a_file_is_replaced_by_one_of_the_same_size_and_time(known: Known) -> None:
    path = known.server.directory / "n1"
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    path.write_text(path.read_text().replace("FC=0", "FC=1"))
    os.utime(path, ns=times)


def a_link_is_gone(known: Known) -> None:
    (known.server.directory / "0A4D000B").unlink()


def a_link_leads_elsewhere(known: Known) -> None:
    (known.server.directory / "0A4D000B").unlink()
    (known.server.directory / "0A4D000B").symlink_to("n2")


def the_kernel_is_gone(known: Known) -> None:
    (known.server.tftp / "xcat/osimage/img1/1/kernel").unlink()


def another_generation_is_published(known: Known) -> None:
    known.server.generation(2)


def a_row_is_written(known: Known) -> None:
    known.add("quiet")


@pytest.mark.parametrize(
    "change",
    [
        a_file_is_edited,
        a_file_is_replaced_by_one_of_the_same_size_and_time,
        a_link_is_gone,
        a_link_leads_elsewhere,
        the_kernel_is_gone,
        another_generation_is_published,
        a_row_is_written,
    ],
)
def test_what_changed_is_found_and_mended(known: Known, change: Callable[[Known], None]) -> None:
    change(known)
    assert known.run().lines()
    assert known.run().lines() == []


def test_a_database_that_was_brought_back_is_not_taken_for_the_one_that_was_seen(known: Known, tmp_path: Path) -> None:
    shutil.copyfile(known.database, tmp_path / "backup")
    known.add("quiet")
    known.run()
    shutil.copyfile(tmp_path / "backup", known.database)
    known.add("debug")
    assert known.run().lines()
    assert " debug" in (known.server.directory / "n1").read_text()


def test_a_key_that_is_no_longer_accepted_is_noticed(known: Known, tmp_path: Path) -> None:
    have_key(tmp_path)
    seal(Generation(str(known.server.imagedir), 1), site_keys(str(tmp_path)))
    known.add("quiet")
    known.run()
    known.run()
    assert known.planned == 2
    have_key(tmp_path / "other")
    with open(tmp_path / "pki/image.pem", "r+b") as stream:
        stream.write((tmp_path / "other/pki/image.pem").read_bytes())
    with pytest.raises(SiteError, match="none of the keys that the site accepts"):
        known.run()


def test_another_question_is_planned(known: Known) -> None:
    assert known.run(noderange="n1").lines() == [] and known.planned == 2
    assert known.run(state="boot").lines() and known.planned == 3


def test_many_nodes_of_the_same_groups_have_the_lines_of_few(tmp_path: Path) -> None:
    server = Server(tmp_path)
    names = [f"m{number}" for number in range(40)]
    server.tables["nodelist"] += [{"node": name, "groups": "compute"} for name in names]
    server.tables["mac"] += [{"node": name, "mac": f"52:54:00:78:00:{place:02x}"} for place, name in enumerate(names)]
    server.tables["hosts"] += [{"node": name, "ip": f"10.78.0.{place}"} for place, name in enumerate(names)]
    server.tables["nodehm"] = [{"node": "compute", "serialport": "0", "serialspeed": "115200"}, {"node": "m7", "serialport": "1"}]
    server.tables["statelite"] = [
        {"node": "compute", "statemnt": "$noderes.nfsserver:/srv/state"},
        {"node": "m9", "statemnt": "/own/$node"},
    ]
    server.tables["bootparams"] = [{"node": "m8", "addkcmdline": "quiet"}]
    server.nodeset()
    together = {name: server.boot_file(name) for name in names}
    for name in names:
        server.nodeset(name)
    assert {name: server.boot_file(name) for name in names} == together
    assert "ttyS1" in together["m7"] and "quiet" in together["m8"] and "/own/m9" in together["m9"]


def test_a_site_that_was_never_written_has_no_such_nodes(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match="nobody"):
        read_and_plan({"site": str(tmp_path / "site.db"), "noderange": "nobody", "state": "osimage"}, print)


def test_the_number_of_the_rules_is_raised_when_the_same_rows_come_to_other_boot_files(tmp_path: Path) -> None:
    """What an older version remembers must not hold for a newer one that writes otherwise: raise RULES with the digest."""
    found = hashlib.sha256()
    for method in ("pxe", "xnba", "grub2", "grub2-http", "petitboot", "yaboot"):
        server = Server(tmp_path / method)
        server.boots_by(method)
        server.tables["nodehm"] = [{"node": "n1", "serialport": "0", "serialspeed": "115200"}]
        server.tables["statelite"] = [{"node": "compute", "statemnt": "10.77.0.2:/state"}]
        lines = [*server.nodeset("n1,n2").lines(), *server.nodeset("n3", "offline").lines(), *server.nodeset("n2", "boot").lines()]
        for path in sorted(server.tftp.rglob("*")):
            text = os.readlink(path) if path.is_symlink() else path.read_bytes().decode() if path.is_file() else ""
            lines.append(f"{path} {text}")
        found.update("\n".join(lines).replace(str(server.root), "").encode())
    assert (seen.RULES, found.hexdigest()[:16]) == (2, "af91ee39f1ba40e2")
