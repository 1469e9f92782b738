# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Confinement: hostile links in the tree, and everything but the image directory mounted read-only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.apply import root as root_module
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.lite import images
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.lite.test_killed import TREE

HOSTILE = {
    "/etc/passwd": "-> /etc/passwd",
    "/etc/cron.d": "-> ../../../../../../../../../../etc",
    "/var/spool": "-> /{outside}",
    "/var/cache": "-> ../../{outside}",
    "/var/lib/x": "-> /proc/self/root/{outside}",
    "/var/lib/y": "-> /proc/1/cwd",
    "/home": "-> /{outside}/victim",
    "/opt": "-> {outside}",
    "/srv/one": "-> two",
    "/srv/two": "-> one",
    "/mnt": "-> ..",
}
TABLE = {
    "/etc/passwd": "",
    "/etc/cron.d/x": "",
    "/var/spool/": "",
    "/var/spool/mail": "persistent",
    "/var/cache/": "bind",
    "/var/lib/x/": "",
    "/var/lib/y": "bind,persistent",
    "/home/user/": "",
    "/opt/xcat/": "",
    "/etc/hosts": "",
    "/root/": "link,persistent",
    "/var/log/": "bind",
}
PROGRAM = """
import json, sys
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.lite import images
from pathlib import Path
for table in json.loads(sys.argv[2]):
    images.apply(Path(sys.argv[1]), table)
"""
ALONE = """
set -e
mount --make-rprivate /
mount --bind "$1" "$1"
findmnt -rno TARGET | while read -r point; do
    case "$point" in
        "$1"|/proc|/proc/*|/sys|/sys/*|/dev|/dev/*) ;;
        *) mount -o remount,bind,ro "$point" ;;
    esac
done
if touch "$2/probe" 2>/dev/null; then exit 9; fi
shift 2
exec "$@"
"""


@pytest.fixture(name="place")
def make_place(tmp_path: Path) -> Path:
    (tmp_path / "outside" / "victim").mkdir(parents=True)
    (tmp_path / "outside" / "file").write_text("kept", encoding="utf-8")
    root = images.build(tmp_path / "images" / "rootimg", TREE)
    for path, text in HOSTILE.items():
        (root / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        (root / path[1:]).symlink_to(text[3:].replace("{outside}", str(tmp_path / "outside").lstrip("/")))
    return tmp_path


@pytest.mark.parametrize("by_kernel", [True, False], ids=["openat2", "walk"])
def test_hostile_links_lead_nowhere_outside(place, monkeypatch, by_kernel):
    known = root_module.openat2_works
    monkeypatch.setattr(root_module, "openat2_works", lambda descriptor: by_kernel and known(descriptor))
    outside, etc = images.snapshot(place / "outside"), sorted(os.listdir("/etc"))
    root = place / "images" / "rootimg"
    before = images.snapshot(root)
    images.apply(root, TABLE)
    assert images.apply(root, TABLE) == []
    assert images.snapshot(place / "outside") == outside
    images.apply(root, None)
    assert images.snapshot(root) == before
    assert images.snapshot(place / "outside") == outside
    assert sorted(os.listdir("/etc")) == etc


@pytest.mark.parametrize("table", [{"/srv/one/x": ""}, {"/mnt/": ""}, {"/mnt/etc/hosts": "", "/etc/hosts": "bind"}])
def test_circles_and_ways_back_are_refused_by_name(place, table):
    before = images.snapshot(place)
    with pytest.raises(SiteError, match=next(iter(table)).rstrip("/")):
        images.plan(place / "images" / "rootimg", table)
    assert images.snapshot(place) == before


@pytest.mark.parametrize("path", ["/.default", "/.statelite", "/.statelite/tmpfs", "/.default/etc"])
def test_a_link_in_the_place_of_liteimgs_own_directories_is_refused(place, path):
    root = place / "images" / "rootimg"
    (root / path[1:]).parent.mkdir(parents=True, exist_ok=True)
    (root / path[1:]).symlink_to(place / "outside")
    before = images.snapshot(place)
    with pytest.raises(SiteError, match=path):
        images.plan(root, {"/etc/hosts": ""})
    assert images.snapshot(place) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_everything_works_with_all_but_the_image_directory_read_only(place):
    root = place / "images" / "rootimg"
    before = images.snapshot(root)
    second = {**TABLE, "/etc/": "", "/var/log/app/": "bind,persistent"}
    second.pop("/etc/cron.d/x")
    arguments = ["unshare", "--mount", "sh", "-c", ALONE, "sh", str(place / "images"), str(place), sys.executable, "-B", "-c", PROGRAM]
    for tables in ([TABLE, second], [None]):
        done = subprocess.run(
            [*arguments, str(root), json.dumps(tables)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    assert images.snapshot(root) == before
