# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packing small trees with the real tools: what a pack holds, when it is made again, and what is refused."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.apply.generations import Generation, current, publish
from ansible_collections.diskless.statelite.plugins.module_utils.apply.manifest import begin_amendment
from ansible_collections.diskless.statelite.plugins.module_utils.apply.packs import packs
from ansible_collections.diskless.statelite.plugins.module_utils.apply.pipelines import Stage
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.lite.liteimg import plan_image
from ansible_collections.diskless.statelite.plugins.module_utils.pack.formats import COMPRESSIONS, Form
from ansible_collections.diskless.statelite.plugins.module_utils.pack.staging import XATTR_ARCHIVE

from .images import FILES, Made, names_in, unpacked

FORMS = [(method, compress) for method, names in COMPRESSIONS.items() for compress in names if compress not in ("lzo", "lz4")]
LATER = 1_900_000_000
"""A moment after every test run."""


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path)


def lay_out(made: Made) -> None:
    """Lay the image's tree out for its litefile rows."""
    made.image["provmethod"] = "statelite"
    plan_image(made.site(), "i").apply()


@pytest.mark.parametrize(("method", "compress"), FORMS)
def test_the_same_tree_packs_to_the_same_bits_on_another_day_and_in_another_order(tmp_path: Path, method: str, compress: str) -> None:
    found = []
    for number, names in enumerate((list(FILES), list(reversed(FILES)))):
        (tmp_path / str(number)).mkdir()
        made = Made(tmp_path / str(number), names)
        for path in made.root.rglob("*"):
            moment = LATER + number * 86_400
            os.utime(path, (moment, moment), follow_symlinks=False)
        found.append(made.pack(method=method, compress=compress, source_date_epoch=1_700_000_000)["digest"])
    assert found[0] == found[1]


def test_a_pack_has_the_name_of_its_digest_and_a_link_for_people(made: Made) -> None:
    said = made.pack()
    assert said["file"] == f"{made.generation.path}/rootimg-{said['digest'][7:19]}.cpio.gz"
    assert os.readlink(f"{made.generation.path}/rootimg.cpio.gz") == os.path.basename(said["file"])
    assert (said["size"], os.stat(said["file"]).st_mode & 0o777) == (os.stat(said["file"]).st_size, 0o644)
    assert packs(made.generation)["stateless"].file == said["file"]


@pytest.mark.parametrize("method", ["cpio", "tar"])
def test_a_pack_holds_the_tree(made: Made, tmp_path: Path, method: str) -> None:
    os.chmod(made.root / "etc/motd", 0o640)
    holes = made.root / "var-holes"
    with holes.open("wb") as stream:
        stream.truncate(8 << 20)
    there = unpacked(made.pack(method=method)["file"], tmp_path / "there")
    assert names_in(there) == names_in(made.root)
    assert os.stat(there / "etc/motd").st_mode & 0o777 == 0o640
    assert os.stat(there / "usr/bin/tool").st_ino == os.stat(there / "usr/bin/tool2").st_ino
    assert os.readlink(there / "etc/link") == "hosts"
    assert (there / "var-holes").stat().st_size == 8 << 20


def test_no_file_is_from_after_the_build_unless_a_moment_is_named(made: Made, tmp_path: Path) -> None:
    os.utime(made.root / "etc/motd", (LATER, LATER))
    os.utime(made.root / "etc/hosts", (1000, 1000))
    first = unpacked(made.pack(method="tar")["file"], tmp_path / "first")
    assert (first / "etc/motd").stat().st_mtime == 1767323045  # 2026-01-02T03:04:05Z, as the record says
    assert (first / "etc/hosts").stat().st_mtime == 1000
    made.environment["SOURCE_DATE_EPOCH"] = "5000"
    second = unpacked(made.pack(method="tar")["file"], tmp_path / "second")
    assert (second / "etc/motd").stat().st_mtime == 5000
    made.environment["SOURCE_DATE_EPOCH"] = "yesterday"
    with pytest.raises(SiteError, match="'yesterday' is no number of seconds"):
        made.plan()


def test_a_cpio_has_what_has_attributes_in_a_tar_of_its_own(made: Made, tmp_path: Path) -> None:
    for name, value in (("user.b", b"2"), ("user.a", b"1")):
        os.setxattr(made.root / "usr/bin/tool", name, value)
    os.setxattr(made.root / "etc", "user.c", b"3")
    said = made.pack()
    assert said["with_attributes"] == 3  # both names of the file, and the directory
    there = unpacked(said["file"], tmp_path / "there")
    assert sorted({*names_in(made.root)} - {*names_in(there)}) == ["usr/bin/tool", "usr/bin/tool2"]
    subprocess.run(["tar", "--extract", "--xattrs", "--xattrs-include=*", f"--file={XATTR_ARCHIVE}"], cwd=there, check=True)
    (there / XATTR_ARCHIVE).unlink()
    assert names_in(there) == names_in(made.root)
    assert os.getxattr(there / "usr/bin/tool2", "user.a") == b"1"
    assert os.getxattr(there / "etc", "user.c") == b"3"
    assert os.stat(there / "usr/bin/tool").st_ino == os.stat(there / "usr/bin/tool2").st_ino


def test_attributes_are_kept_in_the_other_formats(made: Made, tmp_path: Path) -> None:
    os.setxattr(made.root / "usr/bin/tool", "user.a", b"1")
    there = unpacked(made.pack(method="tar")["file"], tmp_path / "tar")
    assert os.getxattr(there / "usr/bin/tool", "user.a") == b"1"
    file = made.pack(method="squashfs", compress="zstd")["file"]
    subprocess.run(["unsquashfs", "-quiet", "-no-progress", "-user-xattrs", "-dest", str(tmp_path / "sfs"), file], check=True)
    assert os.getxattr(tmp_path / "sfs/usr/bin/tool", "user.a") == b"1"
    assert names_in(tmp_path / "sfs") == names_in(made.root)


def test_the_exclude_list_and_what_it_saves(made: Made, tmp_path: Path) -> None:
    (made.root / "usr/share/doc/c").symlink_to("a")
    (made.path / "exlist").write_text("./usr/share/doc/*\n+./usr/share/doc/*/copyright\n")
    said = made.pack()
    assert (said["excluded_files"], said["excluded_bytes"]) == (2, 400)
    assert said["unpacked"] == sum(len(text) for name, text in FILES.items() if not name.endswith("changes"))
    there = unpacked(said["file"], tmp_path / "there")
    assert not (there / "usr/share/doc/b").exists()
    assert (there / "usr/share/doc/a/copyright").exists()


def test_a_second_run_does_nothing_until_something_that_decides_the_file_changes(made: Made) -> None:
    assert made.plan().lines()[0] == "i: generation 1: pack as cpio by gzip, stateless"
    first = made.pack()
    plan = made.plan()
    assert (plan.lines(), plan.result()["file"]) == ([], first["file"])
    assert made.plan(compress="zstd").lines()[1] == "i: generation 1: compress: gzip -> zstd"
    (made.path / "exlist").write_text("# another comment\n")
    assert made.plan().lines() == []
    (made.path / "exlist").write_text("./etc/motd\n")
    assert made.plan().lines()[1] == "i: generation 1: the exclude list has changed"
    second = made.pack()
    assert second["superseded"] == [first["file"]]
    assert os.path.exists(first["file"])
    os.chmod(made.root / "etc/hosts", 0o600)
    assert made.plan().lines()[1] == "i: generation 1: the tree has changed"
    os.unlink(second["file"])
    assert made.plan().lines()[1] == "i: generation 1: it is not packed yet"


def test_only_a_netboot_image_is_published_by_packing(made: Made) -> None:
    assert made.plan().lines()[-1] == "i: publish generation 1"
    made.pack()
    assert current(made.generation.rootimgdir) == made.generation
    made.generation = Generation(made.generation.rootimgdir, 2)
    lay = Made.__new__(Made)
    lay.__dict__ = {**made.__dict__, "image": {**made.image, "provmethod": "statelite"}}
    (Path(lay.generation.rootimg) / "etc").mkdir(parents=True)
    assert [line for line in lay.plan().lines() if "publish" in line] == []


def test_a_laid_out_image_is_packed_as_it_was_for_stateless_nodes_and_not_changed(made: Made, tmp_path: Path) -> None:
    before = names_in(made.root)
    made.litefile = [{"image": "i", "file": "/etc/motd", "options": "link"}, {"image": "i", "file": "/var/lib/", "options": "tmpfs"}]
    lay_out(made)
    laid = names_in(made.root)
    assert (made.root / "etc/motd").is_symlink()
    there = unpacked(made.pack()["file"], tmp_path / "there")
    assert names_in(there) == before
    assert (there / "etc/motd").read_text() == "hello\n"
    assert names_in(made.root) == laid


def test_an_image_for_a_root_in_memory_is_packed_as_it_is_laid_out(made: Made, tmp_path: Path) -> None:
    made.image.update(provmethod="statelite", rootfstype="ramdisk")
    with pytest.raises(SiteError, match="is not laid out for litefile"):
        made.plan()
    made.litefile = [{"image": "i", "file": "/etc/motd", "options": "link"}]
    lay_out(made)
    said = made.pack()
    assert (said["kind"], os.path.basename(said["file"])) == ("ramdisk", f"rootimg-statelite-{said['digest'][7:19]}.cpio.gz")
    assert names_in(unpacked(said["file"], tmp_path / "there")) == names_in(made.root)


def test_a_generation_copied_from_another_has_no_pack_of_it(made: Made) -> None:
    made.pack()
    copy = Generation(made.generation.rootimgdir, 2)
    subprocess.run(["cp", "--archive", made.generation.path, copy.path], check=True)
    assert packs(copy) == {}


def test_a_plain_image_keeps_one_form_under_the_names_that_the_original_gives(made: Made) -> None:
    os.rename(made.root, made.path / "image/rootimg")
    subprocess.run(["rm", "-r", str(made.path / "image/generations")], check=True)
    made.generation = Generation(str(made.path / "image"), None)
    assert made.pack()["file"] == str(made.path / "image/rootimg.cpio.gz")
    assert made.pack(method="squashfs", compress="zstd")["file"] == str(made.path / "image/rootimg.sfs")
    assert not (made.path / "image/rootimg.cpio.gz").exists()
    assert not (made.path / "image/current").exists()


def test_a_pack_that_comes_after_the_manifest_gets_one_that_names_it(made: Made) -> None:
    made.pack()
    assert "packed.json" in manifest_of(made)
    assert made.plan().lines() == []
    said = made.pack(compress="zstd")
    assert manifest_of(made, "+1")[os.path.basename(said["file"])]["sha256"] == said["digest"][7:]
    begin_amendment(made.generation, "packimage")  # as a run leaves it that was killed before the manifest
    assert made.plan(compress="zstd").lines() == ["i: generation 1: finish its manifest"]
    made.plan(compress="zstd").apply()
    assert made.plan(compress="zstd").lines() == []
    assert "packed.json" in manifest_of(made, "+2")


def manifest_of(made: Made, amended: str = "") -> dict[str, dict[str, str]]:
    """Return the files that a manifest names."""
    return json.loads(Path(made.generation.path, f"manifest{amended}.json").read_text())["files"]


def test_what_a_killed_run_left_goes_first(made: Made) -> None:
    left = made.path / "image/generations/.1.packing"
    (left / "tree/etc").mkdir(parents=True)
    assert made.plan().lines()[0] == f"i: remove {left}, which an interrupted run left"
    made.pack()
    assert not left.exists()


def test_a_tool_that_fails_leaves_what_was_packed_before(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    first = made.pack()
    (made.root / "etc/new").write_text("new")

    def compressor(_self: Form) -> Stage:
        return Stage("gzip", ["gzip", "--no-such-option"])

    monkeypatch.setattr(Form, "compressor", compressor)
    with pytest.raises(SiteError, match="gzip: ended with status 1"):
        made.plan().apply()
    assert packs(made.generation)["stateless"].file == first["file"]
    assert not (made.path / "image/generations/.1.packing").exists()


def test_every_fault_is_told_at_once(made: Made) -> None:
    made.image["provmethod"] = "install"
    made.linux["exlist"] = "/no/such/list"
    with pytest.raises(SiteError) as refused:
        made.plan(method="erofs", compress="zstd")
    told = str(refused.value)
    assert "erofs is not packed by zstd" in told
    assert "'install' is not a diskless image" in told
    assert "the exclude list /no/such/list does not exist" in told
    with pytest.raises(SiteError, match="gzip has no level 12"):
        made.plan(level=12)


def test_a_tree_of_the_originals_liteimg_is_refused(made: Made) -> None:
    (made.root / ".statelite").mkdir()
    (made.root / ".statelite/litefile.save").write_text("i: link /etc/motd\n")
    with pytest.raises(SiteError, match="laid out by the original's liteimg"):
        made.plan()


@pytest.mark.parametrize("name", ["journal", "edit.json"])
def test_a_tree_that_was_half_changed_is_not_packed(made: Made, name: str) -> None:
    (made.path / "image/generations/1/.liteimg").mkdir()
    (made.path / "image/generations/1/.liteimg" / name).write_text("what is left to do")
    with pytest.raises(SiteError, match="was cut off"):
        made.plan()


def test_a_record_of_a_newer_release_is_refused(made: Made) -> None:
    Path(made.generation.path, "packed.json").write_text(json.dumps({"format": 2, "packs": {}}))
    with pytest.raises(SiteError, match="is no record of packed roots"):
        made.plan()


def test_an_unchanged_image_of_many_files_is_known_in_two_seconds(made: Made) -> None:
    for number in range(20_000):
        (made.root / "usr/share" / str(number)).touch()
    publish(made.generation)
    made.pack(method="squashfs", compress="zstd")
    started = time.process_time()
    assert made.plan(method="squashfs", compress="zstd").lines() == []
    assert time.process_time() - started < 2
