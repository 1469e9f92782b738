# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An image is known again only when a plan from the tree itself would be empty too."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.lite import remembered
from ansible_collections.diskless.statelite.plugins.module_utils.lite.liteimg import Known, known_image, plan_image, plan_site
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.lite import images
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.lite.test_killed import FIRST, SECOND, TREE
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.lite.test_liteimg import generation, site

TABLE = {**FIRST, "/etc/": "", "/etc/deep/er/": "", "/opt/bound/": "bind"}
TABLE.pop("/etc/hosts")
TABLE.pop("/etc/local")


def run(directory: Path, table: dict[str, str], **image: str) -> list[str]:
    """Run liteimg as the module does; return its lines."""
    plan = plan_site(site(table, **image), "img1", True, False, str(directory), [].append)
    lines = plan.lines()
    if lines:
        plan.apply()
    return lines


def is_known(directory: Path, table: dict[str, str], **image: str) -> bool:
    """Tell whether the image is known; then the tree itself must give an empty plan and the same values."""
    known, _digest = known_image(site(table, **image), "img1", False, str(directory))
    if known is None:
        return False
    plan = plan_image(site(table, **image), "img1", rootimgdir=str(directory))
    assert plan.lines() == []
    assert {**known.result(), "warnings": []} == {**plan.result(), "warnings": []}
    return True


@pytest.fixture(name="directory")
def laid_out(tmp_path: Path) -> Path:
    """Return an image directory with a plain tree that is laid out for TABLE."""
    images.build(tmp_path / "rootimg", TREE)
    assert run(tmp_path, TABLE)
    return tmp_path


def test_an_image_that_nobody_changed_is_known_and_nothing_is_written(directory):
    before = {path: os.lstat(path).st_ctime_ns for path in directory.rglob("*")}
    assert is_known(directory, TABLE)
    assert isinstance(plan_site(site(TABLE), "img1", True, False, str(directory), print), Known)
    assert run(directory, TABLE) == []
    assert {path: os.lstat(path).st_ctime_ns for path in directory.rglob("*")} == before


def test_edited_rows_another_image_row_and_a_forgotten_note_lead_to_the_tree_itself(directory):
    assert not is_known(directory, {**TABLE, "/etc/x": ""})
    assert not is_known(directory, {**TABLE, "/var/log/": "bind,persistent"})
    assert not is_known(directory, TABLE, liteattach="bind")
    note = directory / ".liteimg/seen"
    text = note.read_text(encoding="utf-8")
    for damaged in ("", "[]", "{}", '{"digest": 1}', text[:-9]):
        note.write_text(damaged, encoding="utf-8")
        assert not is_known(directory, TABLE)
    note.unlink()
    assert not is_known(directory, TABLE)
    assert run(directory, TABLE) == []
    note.write_text(text, encoding="utf-8")
    assert is_known(directory, TABLE)
    (directory / ".liteimg/journal").write_text("", encoding="utf-8")
    assert not known_image(site(TABLE), "img1", False, str(directory))[0]


def test_a_new_generation_and_an_unpublished_one(tmp_path):
    generation(tmp_path, 1)
    run(tmp_path, TABLE)
    assert is_known(tmp_path, TABLE)
    assert run(tmp_path, SECOND)[0] == "new generation 2 from 1"
    assert is_known(tmp_path, SECOND)
    (tmp_path / "current").unlink()
    assert run(tmp_path, SECOND) == ["publish generation 2"]
    assert is_known(tmp_path, SECOND)
    shutil.copytree(tmp_path / "generations/2", tmp_path / "generations/3", symlinks=True)
    os.unlink(tmp_path / "current")
    os.symlink("generations/3", tmp_path / "current")
    assert not is_known(tmp_path, SECOND)


def test_absent_forgets(directory):
    plan_image(site(TABLE), "img1", False, rootimgdir=str(directory)).apply()
    assert not (directory / ".liteimg/seen").exists()
    assert run(directory, TABLE)
    assert is_known(directory, TABLE)


def test_edited_contents_change_nothing_of_it(directory):
    (directory / "rootimg/etc/hosts").write_text("edited\n", encoding="utf-8")
    assert is_known(directory, TABLE)


def test_a_file_that_was_made_and_is_written_to_since_is_looked_at_and_is_no_change_by_itself(directory):
    """A link of the image that led nowhere may lead to it now."""
    (directory / "rootimg/srv/new/deep").write_text("no more empty\n", encoding="utf-8")
    assert not is_known(directory, TABLE)
    assert run(directory, TABLE) == []
    carried_out_again(directory)
    assert is_known(directory, TABLE)


def edits(root: Path, chance: random.Random) -> None:
    """Do one thing to the tree that a plan may have to see."""
    paths = [path for path in sorted(root.rglob("*")) if path != root]
    path = chance.choice(paths)
    kind = stat.S_IFMT(os.lstat(path).st_mode)
    act = chance.randrange(4)
    if act == 0 and kind != stat.S_IFLNK:
        path.chmod(stat.S_IMODE(os.lstat(path).st_mode) ^ 0o001)
    elif act == 1:
        shutil.rmtree(path) if kind == stat.S_IFDIR else path.unlink()
    elif act == 2:
        shutil.rmtree(path) if kind == stat.S_IFDIR else path.unlink()
        path.symlink_to("../../outside")
    else:
        new = (path if kind == stat.S_IFDIR else path.parent) / "new"
        if not os.path.lexists(new):
            new.symlink_to("../../../far/away") if chance.random() < 0.5 else new.mkdir()


def test_whatever_is_done_to_the_tree_a_known_image_is_one_with_an_empty_plan(directory, tmp_path):
    chance, unknown = random.Random(3), 0
    for number in range(60):
        copy = tmp_path / f"copy{number}"
        copy.mkdir()
        images.build(copy / "rootimg", TREE)
        run(copy, TABLE)
        assert is_known(copy, TABLE)
        edits(copy / "rootimg", chance)
        known, _digest = known_image(site(TABLE), "img1", False, str(copy))
        unknown += known is None
        assert known is None or plan_image(site(TABLE), "img1", rootimgdir=str(copy)).lines() == []
        shutil.rmtree(copy)
    assert unknown > 30


def test_the_record_and_what_a_level_below_a_linked_directory_holds_count(directory):
    root = directory / "rootimg"
    (root / ".default/etc/sub/deep").mkdir(parents=True)
    assert run(directory, TABLE) == []
    (directory / ".liteimg/seen").unlink(missing_ok=True)
    assert run(directory, {**TABLE, "/etc/one": ""})
    assert is_known(directory, {**TABLE, "/etc/one": ""})
    (root / ".default/etc/sub/deep/out").symlink_to("../../../usr/y")
    assert not is_known(directory, {**TABLE, "/etc/one": ""})
    run(directory, {**TABLE, "/etc/two": ""})
    assert is_known(directory, {**TABLE, "/etc/two": ""})
    with (root / ".statelite.json").open("r+") as record:
        record.write("[")
    assert not known_image(site({**TABLE, "/etc/two": ""}), "img1", False, str(directory))[0]


def in_whole_seconds(monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
    """Have the tree's file system tell every time in whole seconds, the clock `seconds` and a bit after the last change."""
    real, then = remembered._stamps, 1_700_000_000 * remembered.SECOND

    def stamps(*told: Any) -> remembered.Stamps:
        return {path: [stamp[0], then] if len(stamp) == 2 else stamp for path, stamp in real(*told).items()}

    monkeypatch.setattr(remembered, "_stamps", stamps)
    monkeypatch.setattr(time, "clock_gettime_ns", lambda _clock: then + seconds * remembered.SECOND + 1)


def carried_out_again(directory: Path) -> None:
    """Carry out a plan without a change."""
    plan = plan_site(site(TABLE), "img1", True, False, str(directory), [].append)
    assert not isinstance(plan, Known)
    assert plan.lines() == []
    plan.apply()


@pytest.mark.parametrize(("seconds", "known"), [(0, False), (1, False), (2, True)])
def test_times_in_whole_seconds_are_believed_only_when_they_are_old(seconds, known, directory, monkeypatch):
    (directory / ".liteimg/seen").unlink()
    in_whole_seconds(monkeypatch, seconds)
    carried_out_again(directory)
    assert (directory / ".liteimg/seen").exists() is known
    assert is_known(directory, TABLE) is known


@pytest.fixture(name="small_inodes")
def fixture_small_inodes(tmp_path: Path) -> Iterator[Path]:
    """Give a directory on a file system that tells times in seconds."""
    image, place = tmp_path / "disk", tmp_path / "mounted"
    place.mkdir()
    with image.open("wb") as stream:
        stream.truncate(8 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-I", "128", str(image)], check=True, timeout=60, capture_output=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(place)], check=True, timeout=60)
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True, timeout=60)


def test_a_change_within_the_same_second_is_seen_where_times_are_seconds(small_inodes):
    images.build(small_inodes / "rootimg", TREE)
    assert run(small_inodes, TABLE)
    (small_inodes / "rootimg/etc/hosts").unlink()
    (small_inodes / "rootimg/etc/hosts").symlink_to("/usr/y")
    assert not is_known(small_inodes, TABLE)
    shutil.rmtree(small_inodes / "rootimg")
    images.build(small_inodes / "rootimg", TREE)
    assert run(small_inodes, TABLE)
    time.sleep(3.1)
    carried_out_again(small_inodes)
    assert is_known(small_inodes, TABLE)


def test_the_number_of_the_rules_is_raised_when_the_same_rows_come_to_another_layout(tmp_path):
    """What is remembered by an older version must not hold for a newer one that lays out otherwise."""
    found = hashlib.sha256()
    for number, table in enumerate((FIRST, SECOND, TABLE, {"/var/log/": "bind,persistent", "/etc/hosts": "link,con", "/srv/x/": "ro"})):
        root = images.build(tmp_path / str(number) / "rootimg", TREE)
        layout = images.plan(root, table).layout
        found.update(repr([layout.entries, sorted(layout.made.links.items()), sorted(layout.made.moves.items())]).encode())
        found.update(repr([sorted(layout.made.files), sorted(layout.made.directories), layout.satisfied, layout.bridges]).encode())
    assert (remembered.RULES, found.hexdigest()[:16]) == (2, "f28cc4d8b5a30f11")
