# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Edits of whole images: what a run that failed or was killed leaves, and what a copy takes along."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.apply.generations import Generation, current, publish
from ansible_collections.diskless.statelite.plugins.module_utils.apply.root import Root
from ansible_collections.diskless.statelite.plugins.module_utils.apply.withdrawn import withdraw
from ansible_collections.diskless.statelite.plugins.module_utils.edit import carry, image_exec, stage
from ansible_collections.diskless.statelite.plugins.module_utils.edit.notes import Edit, add_edit
from ansible_collections.diskless.statelite.plugins.module_utils.edit.stage import Edited, edited
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.lite.liteimg import plan_image
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site
from ansible_collections.diskless.statelite.plugins.module_utils.tables.plan import plan_table
from ansible_collections.diskless.statelite.plugins.module_utils.tables.schema import TABLES
from ansible_collections.diskless.statelite.plugins.module_utils.tables.store import open_store

MOTD = "rootimg/etc/motd"


@pytest.fixture
def generation(tmp_path: Path) -> Path:
    """Give a published generation with a few files."""
    found = tmp_path / "image/generations/1"
    (found / "rootimg/etc").mkdir(parents=True)
    (found / "rootimg/usr/sbin").mkdir(parents=True)
    (found / MOTD).write_text("welcome\n")
    (found / "kernel").write_text("kernel")
    (tmp_path / "image/current").symlink_to("generations/1")
    return found


def rows(tmp_path: Path) -> dict[str, list[dict[str, str]]]:
    return {
        "osimage": [{"imagename": "tiny", "osvers": "debian12", "osarch": "x86_64", "profile": "compute", "provmethod": "statelite"}],
        "linuximage": [{"imagename": "tiny", "rootimgdir": str(tmp_path / "image")}],
    }


def planned(tmp_path: Path, in_place: bool = True) -> Edited:
    return edited(Site(rows(tmp_path)), "tiny", in_place, False)


def append(line: str) -> Callable[[str], None]:
    def work(rootimg: str) -> None:
        with open(os.path.join(rootimg, "etc/motd"), "a", encoding="ascii") as stream:
            stream.write(line)

    return work


def test_what_failed_while_it_was_carried_is_finished_by_the_next_run(
    tmp_path: Path, generation: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(carry, "_WAYS", dict.fromkeys(carry._WAYS, full))
        with pytest.raises(SiteError, match="No space left"):
            planned(tmp_path).carry_out(append("once\n"), Edit("image_exec", "now", "digest"))
    assert planned(tmp_path).left() != []
    planned(tmp_path).mend()
    assert (generation / MOTD).read_text() == "welcome\nonce\n"
    assert planned(tmp_path).left() == []
    assert sorted(os.listdir(generation.parent)) == ["1"]
    planned(tmp_path).carry_out(append("twice\n"), Edit("image_exec", "now", "other"))
    assert (generation / MOTD).read_text() == "welcome\nonce\ntwice\n"
    assert sorted(os.listdir(generation.parent)) == ["1"]


def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **options: object) -> dict[str, object]:
    """Return the options of an image_exec that adds a line, in a site with that image; the line is added without a chroot."""
    monkeypatch.setattr(image_exec.Command, "run", lambda _self, _chroot, rootimg: append("once\n")(rootimg) or "")
    with open_store(str(tmp_path / "site.db")) as store:
        for table, found in rows(tmp_path).items():
            store.write(plan_table(TABLES[table], store.tables([table])[table], found))
    params = {name: option.get("default") for name, option in image_exec.SPEC.items()}
    return {**params, "image": "tiny", "argv": ["sh", "-c", "echo once >> /etc/motd"], "site": str(tmp_path / "site.db"), **options}


def test_a_command_that_was_killed_while_it_was_carried_is_not_run_again(
    tmp_path: Path, generation: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = asked(tmp_path, monkeypatch, in_place=True)
    with monkeypatch.context() as patched:
        patched.setattr(stage, "carry_out", killed)
        with pytest.raises(KeyboardInterrupt):
            image_exec.read_and_plan(params, print).apply()
    assert (generation / MOTD).read_text() == "welcome\n"
    plan = image_exec.read_and_plan(params, print)
    assert plan.lines() != []
    plan.apply()
    assert (generation / MOTD).read_text() == "welcome\nonce\n"
    assert image_exec.read_and_plan(params, print).lines() == []


def killed(_carry: object) -> None:
    raise KeyboardInterrupt


def test_a_copy_has_no_pack_of_the_tree_that_it_was_made_of(tmp_path: Path, generation: Path) -> None:
    (generation / "rootimg-0123456789ab.cpio.gz").write_text("all of it")
    (generation / "rootimg.cpio.gz").symlink_to("rootimg-0123456789ab.cpio.gz")
    planned(tmp_path, False).carry_out(append("more\n"), Edit("image_exec", "now", "digest"))
    made = current(str(tmp_path / "image"))
    assert made is not None
    assert [name for name in os.listdir(made.path) if ".cpio" in name] == []


def test_an_edit_that_the_site_went_back_from_is_not_made_again(tmp_path: Path, generation: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    params, told = asked(tmp_path, monkeypatch), list[str]()
    image_exec.read_and_plan(params, told.append).apply()
    directory, made = str(tmp_path / "image"), Generation(str(tmp_path / "image"), 2)
    assert current(directory) == made
    withdraw(directory, 2, 1, "nobody can log in")
    publish(Generation(directory, 1))
    plan = image_exec.read_and_plan(params, told.append)
    assert plan.lines() == []
    assert "nobody can log in" in plan.result()["skipped_because"]
    assert "nobody can log in" in told[0]
    assert image_exec.read_and_plan({**params, "again": True}, told.append).lines() != []
    assert image_exec.read_and_plan({**params, "argv": ["true"]}, told.append).lines() != []
    plan = planned(tmp_path, False)
    assert plan.held("image_packages", what="tool 1 -> 2") is None
    with Root(made.rootimg) as root:
        add_edit(root, Edit("image_packages", "now", what="tool 1 -> 2"))
    assert plan.held("image_packages", what="tool 1 -> 2") is not None
    assert planned(tmp_path, True).held("image_packages", what="tool 1 -> 2") is None
    os.makedirs(Generation(directory, 3).rootimg + "/etc")
    assert image_exec.read_and_plan(params, told.append).lines() != []


def test_an_edited_image_of_stateless_nodes_waits_for_packimage(tmp_path: Path, generation: Path) -> None:
    found = rows(tmp_path)
    found["osimage"][0]["provmethod"] = "netboot"
    plan = edited(Site(found), "tiny", False, False)
    assert plan.lines() == ["tiny: new generation 2 from 1"]
    plan.carry_out(append("more\n"), Edit("image_exec", "now", "digest"))
    assert current(str(tmp_path / "image")) == Generation(str(tmp_path / "image"), 1)


def test_liteimg_lays_no_half_edited_tree_out(tmp_path: Path, generation: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site({**rows(tmp_path), "litefile": [{"image": "tiny", "file": "/etc/motd", "options": "tmpfs"}]})
    with monkeypatch.context() as patched:
        patched.setattr(stage, "carry_out", killed)
        with pytest.raises(KeyboardInterrupt):
            planned(tmp_path).carry_out(append("once\n"), Edit("image_exec", "now", "digest"))
    with pytest.raises(SiteError, match="an edit of it was cut off"):
        plan_image(site, "tiny")
    planned(tmp_path).mend()
    plan_image(site, "tiny").apply()
    assert (generation.parent / "2/rootimg/.default/etc/motd").read_text() == "welcome\nonce\n"
