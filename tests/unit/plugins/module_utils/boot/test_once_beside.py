# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One-time boots beside other runs, runs that were cut off, and nodes whose files are in the way."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError

from .test_once import Rig, time_goes_on


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def test_a_run_that_was_cut_off_is_finished_by_the_next(rig: Rig) -> None:
    decided = rig.plan("n1", "osimage=rescue", once=True)
    with pytest.raises(ZeroDivisionError), decided.once.carried_out():
        raise ZeroDivisionError
    assert list(rig.pending()) == ["n1"] and rig.files() == rig.before
    rig.run(once=True)
    assert rig.pending()["n1"].token in rig.server.boot_file("n1")
    time_goes_on(rig)
    assert rig.bring_back() and rig.files() == rig.before


def test_two_runs_at_a_time_do_not_undo_each_other(rig: Rig) -> None:
    late = rig.plan("n1", "osimage=rescue", once=True)
    rig.run(state="shell", once=True)
    with pytest.raises(SiteError, match="was changed while this run planned"):
        late.apply()
    assert " shell " in rig.server.boot_file("n1")
    late = rig.plan("n1", "osimage", once=False)
    rig.run(once=True)
    with pytest.raises(SiteError, match="was changed while this run planned"):
        late.apply()
    assert rig.pending()["n1"].token in rig.server.boot_file("n1")
    late = rig.plan("n1", "osimage", once=False)
    time_goes_on(rig)
    rig.bring_back()
    late.apply()
    assert rig.files() == rig.before and rig.pending() == {}


@pytest.mark.parametrize("elsewhere", [False, True], ids=["in its directory", "in another one"])
def test_a_node_whose_file_cannot_come_back_keeps_no_other_one_from_it(rig: Rig, elsewhere: bool) -> None:
    if elsewhere:
        rig.server.tables["noderes"].append({"node": "n2", "tftpdir": str(rig.server.root / "tftp2")})
    rig.server.nodeset("n2")
    before = rig.server.boot_file("n1")
    rig.run("n1,n2", once=True)
    file = rig.server.root / ("tftp2" if elsewhere else "tftpboot") / "pxelinux.cfg/n2"
    file.unlink()
    file.mkdir()
    time_goes_on(rig)
    rig.told.clear()
    assert rig.bring_back()[0] == "n1, osimage=rescue once: it expired"
    assert list(rig.pending()) == ["n2"] and rig.server.boot_file("n1") == before
    assert rig.told == [
        f"n2 is not brought back yet: {file}: is a directory, and a boot file belongs there. Move it away, then run this again"
    ]
    file.rmdir()
    assert rig.bring_back() and rig.pending() == {} and "rescue" not in file.read_text()


def test_a_run_of_other_boots_does_not_undo_what_was_set_beside_it(rig: Rig) -> None:
    late = rig.plan("n1", "osimage=rescue")
    unconcerned = rig.plan("n2", "osimage=rescue")
    rig.run(state="boot", once=True)
    set_once = rig.server.boot_file("n1")
    with pytest.raises(SiteError, match="was changed while this run planned"):
        late.apply()
    assert rig.server.boot_file("n1") == set_once
    unconcerned.apply()
    assert "/rescue/7/" in rig.server.boot_file("n2") and list(rig.pending()) == ["n1"]


def test_a_run_of_other_boots_does_not_bring_back_what_ended_beside_it(rig: Rig) -> None:
    rig.run(once=True)
    rig.server.tables["linuximage"][1]["addkcmdline"] = "quiet"
    late = rig.plan("n1", "osimage=img1")
    assert late.lines()
    time_goes_on(rig)
    rig.bring_back()
    with pytest.raises(SiteError, match="was changed while this run planned"):
        late.apply()
    assert rig.files() == rig.before and rig.pending() == {}
