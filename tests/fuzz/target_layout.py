# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record that an image carries of what it is laid out for: whoever could write the image could write it.

The service makes a plan of it, and liteimg goes on from it: both may refuse it by SiteError and nothing else, and liteimg
changes nothing outside of the image, nor does it take anything into it.
"""

from __future__ import annotations

import os
import shutil

import atheris
import harness

with atheris.instrument_imports(include=[harness.COLLECTION]):
    from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
    from ansible_collections.diskless.statelite.plugins.module_utils.lite.entry import entries_for
    from ansible_collections.diskless.statelite.plugins.module_utils.lite.layout import RECORD, layout_of
    from ansible_collections.diskless.statelite.plugins.module_utils.lite.nodeplan import compile_plan
    from ansible_collections.diskless.statelite.plugins.module_utils.lite.treeplan import Wanted, plan_tree
    from ansible_collections.diskless.statelite.plugins.module_utils.nodes.images import osimage
    from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site

WORK = harness.work_directory("layout")
ROOTIMG = WORK / "image" / "rootimg"
SITE = Site(
    {
        "nodelist": [{"node": "n1", "groups": "all"}],
        "site": [{"key": "master", "value": "10.0.0.1"}],
        "osimage": [{"imagename": "img1", "provmethod": "statelite", "osvers": "debian12", "osarch": "x86_64", "profile": "c"}],
        "statelite": [{"node": "n1", "statemnt": "10.0.0.1:/state"}],
        "litefile": [{"file": "/etc/hosts"}, {"file": "/var/log/", "options": "tmpfs"}, {"file": "/new/file"}],
    }
)
FIRST = Site({"osimage": [{"imagename": "img1"}], "litefile": [{"file": "/etc/hosts"}, {"file": "/etc/link"}, {"file": "/srv/"}]})
TOLD = b"known to the management node alone"


def make() -> None:
    """Make an image that is laid out, a tree to put in its place each time, and what stands outside of it."""
    for name in ("etc", "srv", "var/log", "usr"):
        (ROOTIMG / name).mkdir(parents=True)
    (ROOTIMG / "etc/hosts").write_text("hosts\n")
    (ROOTIMG / "etc/link").symlink_to("/../../../outside/secret")
    (ROOTIMG / "out").symlink_to(WORK / "outside")
    plan_tree(str(ROOTIMG), Wanted("img1", entries_for(FIRST, "img1"))).apply()
    shutil.rmtree(WORK / "image" / ".liteimg", ignore_errors=True)
    shutil.copytree(WORK / "image", WORK / "kept", symlinks=True)
    (WORK / "outside").mkdir()
    (WORK / "outside" / "secret").write_bytes(TOLD)


def outside() -> dict[str, tuple[int, int]]:
    """Return what stands outside of the image directory, with inodes and times."""
    found = {}
    for top in (WORK / "kept", WORK / "outside"):
        for folder, folders, names in os.walk(top):
            for name in (*folders, *names):
                status = os.lstat(os.path.join(folder, name))
                found[os.path.join(folder, name)] = (status.st_ino, status.st_mtime_ns)
    found[""] = (len(os.listdir(WORK)), 0)
    return found


make()
BEFORE = outside()


def one(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    try:
        layout = layout_of(text, "here")
    except SiteError:
        return
    try:
        plan = compile_plan(SITE, "n1", layout, osimage(SITE, "img1"), "1").text()
        harness.expect(plan.endswith(f"end\t{plan.count(chr(10)) - 1}\n"), plan)
    except SiteError:
        pass
    shutil.rmtree(WORK / "image")
    shutil.copytree(WORK / "kept", WORK / "image", symlinks=True)
    (WORK / "image" / "rootimg").joinpath(RECORD[1:]).write_bytes(data)
    for wanted in (Wanted("img1", entries_for(SITE, "img1")), Wanted("img1", None)):
        try:
            plan = plan_tree(str(ROOTIMG), wanted)
            plan.lines()
            plan.apply()
        except SiteError:
            continue
    harness.expect(outside() == BEFORE, "something outside of the image was changed")
    for folder, _folders, names in os.walk(ROOTIMG):
        for name in names:
            path = os.path.join(folder, name)
            if not os.path.islink(path) and os.path.isfile(path) and path != f"{ROOTIMG}{RECORD}":
                with open(path, "rb") as stream:
                    harness.expect(TOLD not in stream.read(), f"{path} holds what stood outside of the image")


if __name__ == "__main__":
    harness.fuzz(one)
