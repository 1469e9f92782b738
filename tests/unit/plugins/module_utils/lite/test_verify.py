# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verify mode: an image against its tables and its own record, path by path, without a trace; and what is told of rows."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.apply.journal import Journal
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.lite.liteimg import plan_image, plan_liteimg
from ansible_collections.diskless.statelite.plugins.module_utils.lite.liteimg_info import Verdict, tell_liteimg, verify_image
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site
from ansible_collections.diskless.statelite.plugins.module_utils.tables.store import open_store
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.lite import images
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.lite.test_killed import TREE
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.lite.test_liteimg import generation, site

TABLE = {
    "/etc/hosts": "",
    "/etc/local": "",
    "/root/.ssh/": "link,persistent",
    "/var/log/": "bind",
    "/srv/new/deep": "",
    "/srv/point/": "bind",
    "/var/run/": "",
}


def everything(directory: Path) -> dict[str, tuple[int, ...]]:
    """Return of every path what a look must leave as it is: also the time of the last change of its inode."""
    found = {}
    for above, names, files in os.walk(directory):
        for name in [".", *names, *files]:
            here = os.lstat(os.path.join(above, name))
            found[os.path.join(above, name)] = (*here[:7], here.st_mtime_ns, here.st_ctime_ns, here.st_blocks)
    return found


def verdict(directory: Path, table: dict[str, str] | None = None, number: int | None = None) -> Verdict:
    """Look at an image, which must leave no trace."""
    before = everything(directory)
    found = verify_image(site(TABLE if table is None else table), "img1", str(directory), number)
    assert everything(directory) == before
    return found


@pytest.fixture(name="root")
def laid_out(tmp_path: Path) -> Path:
    """Return the root of a published generation that is laid out for TABLE."""
    generation(tmp_path, 1)
    plan_image(site(TABLE), "img1", rootimgdir=str(tmp_path)).apply()
    return tmp_path / "generations/1/rootimg"


def test_an_image_that_was_just_laid_out_is_clean_also_after_its_contents_were_edited(root):
    directory = root.parents[2]
    assert verdict(directory).result()["clean"]
    (root / ".default/etc/hosts").write_text("edited\n", encoding="utf-8")
    (root / "var/log/new").write_text("new\n", encoding="utf-8")
    (root / "root/.ssh/more").write_text("more\n", encoding="utf-8")
    found = verdict(directory).result()
    assert (found["clean"], found["published"], found["laid_out"], found["generation"], found["entries"]) == (True, True, True, 1, 6)


def remake(path: str, make: Callable[[Path], object]) -> Callable[[Path], None]:
    """Return what puts something else at a path of the tree."""

    def act(root: Path) -> None:
        place = root / path.lstrip("/")
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink()
        make(place)

    return act


def write(place: Path) -> None:
    place.write_text("newer\n", encoding="utf-8")


DRIFTS = {
    "a link replaced by a file": ("/etc/hosts", remake("/etc/hosts", write), "a file stands where the link"),
    "a link replaced by a directory": ("/etc/hosts", remake("/etc/hosts", Path.mkdir), "a directory stands where the link"),
    "a link gone": ("/etc/hosts", remake("/etc/hosts", lambda _place: None), "is missing"),
    "a link's text changed": ("/etc/hosts", remake("/etc/hosts", lambda place: place.symlink_to("/run/x")), "leads to /run/x"),
    "the other half of a link replaced": (
        "/.statelite/tmpfs/etc/hosts",
        remake("/.statelite/tmpfs/etc/hosts", write),
        "a file stands where the link",
    ),
    "a default missing": (
        "/.default/etc/hosts",
        remake("/.default/etc/hosts", lambda _place: None),
        "the default of /etc/hosts is missing",
    ),
    "a default of another kind": (
        "/.default/root/.ssh",
        remake("/.default/root/.ssh", write),
        "the default of /root/.ssh is a file, not a directory",
    ),
    "a made default missing": (
        "/.default/srv/new/deep",
        remake("/.default/srv/new/deep", lambda _place: None),
        "made for an entry is missing",
    ),
    "a mount point missing": ("/var/log", remake("/var/log", lambda _place: None), "the mount point of /var/log is missing"),
    "a mount point of another kind": ("/var/log", remake("/var/log", write), "the mount point of /var/log is a file, not a directory"),
    "a made mount point missing": ("/srv/point", remake("/srv/point", lambda _place: None), "the directory is missing"),
    "a mode changed": ("/.statelite/tmpfs/root", lambda root: (root / ".statelite/tmpfs/root").chmod(0o777), "it has mode 0777"),
    "the mode of statelite changed": ("/.statelite", lambda root: (root / ".statelite").chmod(0o700), "it has mode 0700"),
    "the record damaged": ("/.statelite.json", remake("/.statelite.json", write), "the record is damaged"),
    "the record missing": ("/.statelite.json", remake("/.statelite.json", lambda _place: None), "is missing"),
    "the template changed": ("/.statelite/plan.template", remake("/.statelite/plan.template", write), "not the plan"),
    "something foreign": ("/.default/etc/stray", lambda root: write(root / ".default/etc/stray"), "only liteimg's own belongs"),
    "a kept link gone": (
        "/.statelite/kept/etc/local",
        remake("/.statelite/kept/etc/local", lambda _place: None),
        "can't be given back",
    ),
}


@pytest.mark.parametrize("name", list(DRIFTS))
def test_drift_is_told_at_its_path_with_what_to_do(root, name):
    path, act, words = DRIFTS[name]
    act(root)
    found = verdict(root.parents[2])
    assert [(drift.where, words in drift.what) for drift in found.drift] == [(path, True)]
    assert all(drift.mend for drift in found.drift)
    assert not found.result()["clean"]
    assert any(line.startswith(f"drift {path}: ") for line in found.lines())


def test_what_is_missing_beside_the_tree_is_told(root):
    directory = root.parents[2]
    (root.parent / "kernel").unlink()
    (directory / "generations/.2.liteimg").mkdir()
    assert [os.path.basename(drift.where) for drift in verdict(directory).drift] == [".2.liteimg", "kernel"]


def test_a_run_that_was_cut_off_is_told(tmp_path):
    images.build(tmp_path / "rootimg", TREE)
    if os.fork() == 0:
        step, done = Journal._step, iter(range(6))

        def stepped(self, opened, operation):
            if next(done) == 5:
                os.kill(os.getpid(), signal.SIGKILL)
            step(self, opened, operation)

        Journal._step = stepped
        plan_image(site(TABLE), "img1", rootimgdir=str(tmp_path)).apply()
    os.wait()
    drift = {item.where: item for item in verdict(tmp_path).drift}
    assert "a run was cut off with" in drift[str(tmp_path / ".liteimg/journal")].what
    plan_image(site(TABLE), "img1", rootimgdir=str(tmp_path)).apply()
    assert verdict(tmp_path).result()["clean"]


def test_edited_rows_are_pending_and_the_published_generation_is_looked_at(root):
    directory = root.parents[2]
    edited = {**TABLE, "/etc/hosts": "persistent", "/etc/motd": ""}
    edited.pop("/var/log/")
    found = verdict(directory, edited)
    assert [(one["change"], one["path"]) for one in found.pending] == [("change", "/etc/hosts"), ("add", "/etc/motd"), ("drop", "/var/log")]
    assert found.lines()[0] == "pending change /etc/hosts: link,tmpfs file -> link,persistent file"
    assert found.drift == []
    plan_image(site(edited), "img1", rootimgdir=str(directory)).apply()
    assert verdict(directory, edited).result()["generation"] == 2
    assert verdict(directory, edited).result()["clean"]
    assert len(verdict(directory, edited, 1).pending) == 3


def test_refused_rows_and_an_image_that_was_never_laid_out_are_told(root, tmp_path):
    directory = root.parents[2]
    found = verdict(directory, {"/var/": "bind", "/var/log/": "link"}).result()
    assert "link-below-bind" in found["faults"][0]["what"]
    assert not found["clean"]
    generation(directory, 2)
    assert verdict(directory).result()["generation"] == 1
    fresh = verdict(directory, None, 2).result()
    assert (fresh["clean"], fresh["laid_out"], fresh["drift"], len(fresh["pending"])) == (False, False, [], 6)
    with pytest.raises(SiteError, match="no generation 7"):
        verdict(directory, None, 7)
    with pytest.raises(SiteError, match="no root tree"):
        verify_image(site(TABLE), "img1", str(tmp_path / "nowhere"))


def grouped(rows: list[dict[str, str]]) -> Site:
    """Return a site whose image is in a group."""
    image = {"imagename": "img1", "groups": "g", "provmethod": "statelite"}
    return Site({"osimage": [image], "litefile": rows})


def test_shadowed_rows_rows_that_match_nothing_and_rows_for_the_nodes_own_stand_below_the_plan(tmp_path):
    images.build(tmp_path / "image/rootimg", TREE)
    rows = [
        {"image": "ALL", "file": "/etc/hosts", "options": "persistent"},
        {"image": "g", "file": "/etc/hosts/", "options": "bind"},
        {"image": "img1", "file": "/etc/hosts", "options": ""},
        {"image": "img1", "file": "/etc/motd", "options": "ro", "disable": "1"},
        {"image": "", "file": "/etc/motd", "options": ""},
        {"image": "other", "file": "/etc/fstab", "options": ""},
        {"image": "", "file": "/etc/nothing", "options": ""},
        {"image": "", "file": "/var/run/", "options": ""},
    ]
    plan = plan_image(grouped(rows), "img1", rootimgdir=str(tmp_path / "image"))
    assert plan.remarks() == [
        "shadowed row ALL /etc/hosts persistent by img1 /etc/hosts",
        "shadowed row g /etc/hosts/ bind by img1 /etc/hosts",
        "row ALL /etc/nothing matches nothing in the image, so it is made empty",
        "row ALL /var/run/ leads to /run, the node's own, so nothing is laid out",
    ]
    assert [one["row"]["image"] for one in plan.result()["shadowed"]] == ["ALL", "g"]
    plan.apply()
    found = verify_image(grouped(rows), "img1", str(tmp_path / "image"))
    assert len(found.shadowed) == 2
    assert found.result()["clean"]


def test_the_modules_read_the_same_database_and_write_nothing(tmp_path):
    path = str(tmp_path / "site.db")
    with open_store(path) as store:
        assert store.tables(["litefile"]) == {"litefile": []}
    for tell in (
        lambda: tell_liteimg({"site": path, "image": "img1", "rootimgdir": None, "generation": None}, print),
        lambda: plan_liteimg({"site": path, "image": "img1", "state": "present", "in_use": False, "rootimgdir": None}, print),
    ):
        before = everything(tmp_path)
        with pytest.raises(SiteError, match="no such image"):
            tell()
        assert everything(tmp_path) == before
