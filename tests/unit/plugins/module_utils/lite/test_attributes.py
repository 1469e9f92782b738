# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every attribute of every kind of file outlives a layout, in place and in a copy; a check changes no time; size costs nothing."""

from __future__ import annotations

import os
import stat
import struct
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.apply.root import Root
from ansible_collections.diskless.statelite.plugins.module_utils.lite import liteimg
from ansible_collections.diskless.statelite.plugins.module_utils.lite.liteimg import plan_image, plan_site
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.lite import images
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.lite.test_liteimg import site

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="devices and capabilities need root")
TABLE = {
    "/etc/": "",
    "/etc/sparse": "link,persistent",
    "/dev2/null": "",
    "/dev2/pipe": "bind",
    "/dev2/socket": "link,persistent",
    "/bin2/ping": "",
    "/acl/": "bind",
    "/acl/file": "bind,persistent",
    "/new/made": "",
}
OTHER = {**TABLE, "/dev2/": "bind", "/dev2/null": "bind", "/dev2/socket": "bind,persistent", "/bin2/": "link,persistent"}
HOLE = 64 << 20


def access_list(*entries: tuple[int, int, int]) -> bytes:
    """Return a POSIX ACL as the kernel keeps it: version 2, then tag, permissions and id of each entry."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


ACL = access_list((1, 6, 0xFFFFFFFF), (2, 4, 1234), (4, 4, 0xFFFFFFFF), (0x10, 6, 0xFFFFFFFF), (0x20, 0, 0xFFFFFFFF))
CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)
"""cap_net_raw+ep, as setcap writes it (linux/capability.h, revision 2)."""


def furnish(root: Path) -> Path:
    """Make a tree that has every kind of thing."""
    for name in ("etc", "dev2", "bin2", "acl"):
        (root / name).mkdir(parents=True)
    with (root / "etc/sparse").open("wb") as sparse:
        sparse.write(b"head")
        sparse.truncate(HOLE)
        sparse.seek(HOLE - 4)
        sparse.write(b"tail")
    os.mknod(root / "dev2/null", 0o620 | stat.S_IFCHR, os.makedev(1, 3))
    os.mknod(root / "dev2/disk", 0o660 | stat.S_IFBLK, os.makedev(7, 200))
    os.mkfifo(root / "dev2/pipe", 0o604)
    os.mknod(root / "dev2/socket", 0o701 | stat.S_IFSOCK)
    (root / "bin2/ping").write_bytes(b"\x7fELF")
    (root / "bin2/ping").chmod(0o4755)
    os.setxattr(root / "bin2/ping", "security.capability", CAPABILITY)
    os.link(root / "bin2/ping", root / "etc/ping")
    (root / "acl/file").write_text("x", encoding="utf-8")
    os.setxattr(root / "acl/file", "system.posix_acl_access", ACL)
    os.setxattr(root / "acl", "system.posix_acl_default", ACL)
    os.setxattr(root / "etc", "user.note", b"kept")
    os.symlink("../nowhere", root / "etc/link")
    os.chown(root / "etc/link", 7, 8, follow_symlinks=False)
    os.chown(root / "dev2/pipe", 1001, 1002)
    for number, path in enumerate(sorted(root.rglob("*"), reverse=True)):
        os.utime(path, ns=(images.EPOCH + number, images.EPOCH + 3 * number + 1), follow_symlinks=False)
    os.utime(root, ns=(images.EPOCH, images.EPOCH))
    return root


def attributes(root: Path) -> dict[str, tuple[Any, ...]]:
    """Return the snapshot of a tree with the devices, and whether a file still has its holes."""
    found = {}
    for path, item in images.snapshot(root).items():
        here = os.lstat(root / path[1:])
        found[path] = (*item, here.st_rdev, here.st_size if stat.S_ISREG(here.st_mode) else 0, here.st_blocks * 512 < HOLE // 8)
    return found


@ROOT
def test_in_place_nothing_is_lost_and_everything_is_given_back(tmp_path):
    root = furnish(tmp_path / "rootimg")
    before, inodes = attributes(root), {os.lstat(path).st_ino for path in root.rglob("*")}
    images.apply(root, TABLE)
    assert inodes <= {os.lstat(path).st_ino for path in [*root.rglob("*"), *root.rglob(".*")]}
    assert os.getxattr(root / ".default/bin2/ping", "security.capability") == CAPABILITY
    assert os.getxattr(root / "acl/file", "system.posix_acl_access") == ACL
    assert (root / ".default/etc/ping").stat().st_ino == (root / ".default/bin2/ping").stat().st_ino
    images.apply(root, OTHER)
    images.apply(root, None)
    assert attributes(root) == before


def generations(directory: Path) -> Path:
    """Make one published generation of the furnished tree; return its root."""
    first = directory / "generations/1"
    furnish(first / "rootimg")
    for name in ("kernel", "initrd-statelite.gz", "record.json"):
        (first / name).write_text("{}\n", encoding="utf-8")
    plan_image(site(TABLE), "img1", rootimgdir=str(directory)).apply()
    return first / "rootimg"


@ROOT
def test_the_copy_for_nodes_in_use_has_every_attribute_and_asks_for_a_reflink(tmp_path, monkeypatch):
    furnish(tmp_path / "original")
    first = generations(tmp_path / "image")
    laid, words = attributes(first), []
    real = liteimg.run_command
    monkeypatch.setattr(liteimg, "run_command", lambda command, **options: (words.extend(command), real(command, **options))[1])
    plan_image(site(TABLE), "img1", False, rootimgdir=str(tmp_path / "image")).apply()
    assert "--reflink=auto" in words
    second = tmp_path / "image/generations/2/rootimg"
    assert attributes(second) == attributes(tmp_path / "original")
    assert attributes(first) == laid
    assert not {os.lstat(path).st_ino for path in first.rglob("*")} & {os.lstat(path).st_ino for path in second.rglob("*")}


@ROOT
@pytest.mark.parametrize("present", [True, False], ids=["present", "absent"])
def test_a_check_changes_no_time_of_anything(tmp_path, present):
    generations(tmp_path)

    def everything() -> dict[str, tuple[Any, ...]]:
        found = {}
        for path in [tmp_path, *tmp_path.rglob("*"), *tmp_path.rglob(".*")]:
            here = os.lstat(path)
            found[str(path)] = (*here[:7], here.st_mtime_ns, here.st_ctime_ns, here.st_blocks)
        return found

    before = everything()
    plan = plan_site(site(OTHER), "img1", present, False, str(tmp_path), [].append)
    assert plan.lines()
    assert plan.result()["published"] == present
    assert everything() == before


def changing_calls(root: Path, table: dict[str, str]) -> int:
    """Lay a tree out; return how many calls of the system its changes took."""
    calls = 0
    changing = {"rename", "symlink", "mkdir", "unlink", "write", "utime", "chmod", "fchmod", "chown", "open", "renameat2"}

    def counted(_frame: object, event: str, function: Any) -> None:
        nonlocal calls
        calls += event == "c_call" and getattr(function, "__name__", "") in changing

    plan = images.plan(root, table)
    sys.setprofile(counted)
    try:
        plan.apply()
    finally:
        sys.setprofile(None)
    return calls


def test_what_a_directory_holds_costs_nothing(tmp_path):
    small, large = tmp_path / "small/rootimg", tmp_path / "large/rootimg"
    for root, count in ((small, 1), (large, 3000)):
        (root / "srv/data").mkdir(parents=True)
        for number in range(count):
            (root / f"srv/data/{number}").write_bytes(b"x" * 5000)
    inodes = {path.stat().st_ino for path in large.rglob("*")}
    assert changing_calls(small, {"/srv/data/": ""}) == changing_calls(large, {"/srv/data/": ""}) < 100
    assert inodes <= {os.lstat(path).st_ino for path in [*large.rglob("*"), *large.rglob(".*")]}
    assert len(list((large / "srv/data").iterdir())) == 3000


def test_links_are_found_in_a_large_directory_without_asking_for_each_file(tmp_path, monkeypatch):
    (tmp_path / "srv/data").mkdir(parents=True)
    for number in range(2000):
        (tmp_path / f"srv/data/{number}").touch()
    (tmp_path / "srv/data/link").symlink_to("../other")
    asked = []
    real = os.readlink
    monkeypatch.setattr(os, "readlink", lambda *words, **options: (asked.append(words), real(*words, **options))[1])
    with Root(str(tmp_path)) as root:
        assert list(root.links_below("/srv")) == [("data/link", "../other")]
    assert len(asked) == 1
