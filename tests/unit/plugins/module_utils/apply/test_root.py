# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A root that nobody can escape from, with the kernel's openat2 and without it."""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.apply import root as root_module
from ansible_collections.diskless.statelite.plugins.module_utils.apply.root import Root, openat2_works
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError

TEXTS = ("/etc/passwd", "../../../../../../etc/passwd", "/", "..", "/proc/self/root/etc", "../outside/file", "loop", "/dir/file")


@pytest.fixture(name="place")
def make_place(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_text("kept", encoding="utf-8")
    image = tmp_path / "image"
    (image / "dir").mkdir(parents=True)
    (image / "dir" / "file").write_text("inside", encoding="utf-8")
    (image / "out").symlink_to("../outside")
    (image / "absolute").symlink_to(str(tmp_path / "outside"))
    (image / "loop").symlink_to("loop")
    return tmp_path


@pytest.fixture(name="root", params=["openat2", "walk"])
def open_root(request, place):
    with Root(str(place / "image"), None if request.param == "openat2" else False) as root:
        assert root.kernel_confined == (request.param == "openat2")
        yield root


def test_this_kernel_has_openat2_so_both_ways_are_tested(place):
    with Root(str(place)) as root:
        assert openat2_works(root.descriptor)


def test_a_rename_elsewhere_while_a_path_is_resolved_is_no_failure(place, monkeypatch):
    answers = [errno.EAGAIN] * 20
    real = root_module._libc.syscall

    def syscall(*arguments):
        if not answers:
            return real(*arguments)
        ctypes.set_errno(answers.pop())
        return -1

    with Root(str(place / "image")) as root:
        monkeypatch.setattr(root_module._libc, "syscall", syscall)
        assert root.resolve("/dir/file") == "/dir/file"
        assert answers == []


@pytest.mark.parametrize("link", ["out", "absolute", "loop"])
def test_no_operation_passes_a_link_on_its_way(root, place, link):
    for act in (
        lambda: root.mkdir(f"/{link}/new", 0o755),
        lambda: root.symlink(f"/{link}/new", "x"),
        lambda: root.make_file(f"/{link}/new", 0o644),
        lambda: root.replace(f"/{link}/file", b"x", 0o644),
        lambda: root.unlink(f"/{link}/file"),
        lambda: root.rename(f"/{link}/file", "/dir/new"),
        lambda: root.rename("/dir/file", f"/{link}/new"),
        lambda: root.chmod(f"/{link}/file", 0o777),
        lambda: root.chown(f"/{link}/file", 1, 1),
        lambda: root.utimes(f"/{link}/file", 1, 1),
        lambda: root.listdir(f"/{link}"),
        lambda: root.chmod(f"/{link}", 0o777),
        lambda: root.readlink(f"/{link}/file"),
    ):
        with pytest.raises(OSError):
            act()
    assert root.lstat(f"/{link}/file") is None
    assert root.read(f"/{link}/file") is None
    assert sorted(os.listdir(place / "outside")) == ["file"]
    assert (place / "outside" / "file").read_text(encoding="utf-8") == "kept"


@pytest.mark.parametrize("path", ["/../outside/file", "..", "/dir/../../outside", "/dir/\0x"])
def test_a_path_that_would_leave_the_root_is_refused_by_name(root, path):
    with pytest.raises(SiteError, match="would leave the image"):
        root.lstat(path)


def test_a_mount_inside_is_not_passed(tmp_path):
    with Root("/") as root:
        assert root.lstat("/proc") is not None
        with pytest.raises(OSError):
            root.lstat("/proc/self")


def test_every_operation_does_what_its_name_says(root, place):
    root.mkdir("/dir/sub", 0o1777)
    root.make_file("/dir/sub/empty", 0o604)
    root.symlink("/dir/sub/link", "nowhere")
    root.rename("/dir/file", "/dir/sub/file")
    root.chmod("/dir/sub/file", 0o600)
    root.utimes("/dir/sub/link", 10**9, 2 * 10**9)
    assert root.listdir("/dir/sub") == ["empty", "file", "link"]
    assert stat.S_IMODE(os.stat(place / "image/dir/sub").st_mode) == 0o1777
    assert root.lstat("/dir/sub/empty").st_mode == stat.S_IFREG | 0o604
    assert root.lstat("/dir/sub/link").st_mtime_ns == 2 * 10**9
    assert root.readlink("/dir/sub/link") == "nowhere"
    assert root.read("/dir/sub/file") == b"inside"
    root.replace("/dir/sub/file", b"whole", 0o640)
    assert root.read("/dir/sub/file") == b"whole"
    for name in ("empty", "file", "link"):
        root.unlink(f"/dir/sub/{name}")
    root.rmdir("/dir/sub")
    assert root.listdir("/dir") == []


def test_a_rename_never_replaces_what_is_there(root, place):
    (place / "image" / "other").write_text("other", encoding="utf-8")
    with pytest.raises(FileExistsError):
        root.rename("/dir/file", "/other")
    assert (place / "image" / "other").read_text(encoding="utf-8") == "other"


@pytest.mark.parametrize("text", TEXTS)
def test_resolve_stays_inside_and_the_kernel_agrees_with_the_walk(place, text):
    (place / "image" / "link").symlink_to(text)
    with Root(str(place / "image")) as kernel, Root(str(place / "image"), False) as walk:
        for path in ("/link", "/link/file", "/link/x/y"):
            answers = []
            for root in (kernel, walk):
                try:
                    answers.append(root.resolve(path))
                except SiteError as error:
                    answers.append(error.faults[0].what)
            assert answers[0] == answers[1]
            assert "outside" not in answers[0] or answers[0].startswith("/outside")


def test_var_run_of_a_modern_image_lies_in_its_own_run(root, place):
    (place / "image" / "var").mkdir()
    (place / "image" / "var" / "run").symlink_to("/run")
    assert root.resolve("/var/run/") == "/run"
    assert root.resolve("/var/run/lock/x") == "/run/lock/x"


def test_links_below_names_links_and_enters_none(root):
    assert dict(root.links_below("/")) == {"absolute": root.readlink("/absolute"), "loop": "loop", "out": "../outside"}


def test_a_missing_root_is_refused_by_name(tmp_path):
    with pytest.raises(SiteError, match="nowhere"):
        Root(str(tmp_path / "nowhere"))
