# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an administrator did to a laid-out tree between two runs: nothing of it is lost, and the layout is right again."""

from __future__ import annotations

import os

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.lite.layout import read_layout
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.lite import images

TREE = [
    {"path": "/etc", "type": "d", "mode": "0755"},
    {"path": "/etc/hosts", "type": "f", "mode": "0644", "content": "old\n"},
    {"path": "/etc/link", "type": "l", "target": "hosts"},
    {"path": "/opt", "type": "d", "mode": "0755"},
    {"path": "/var/log", "type": "d", "mode": "0755"},
]


@pytest.fixture(name="root")
def make_root(tmp_path):
    return images.build(tmp_path / "rootimg", TREE)


def set_aside(root):
    """Return what was put beside the tree, name to content."""
    directory = root.parent / ".liteimg" / "replaced"
    return {path.name: path.read_text(encoding="utf-8") for path in directory.iterdir()} if directory.exists() else {}


def test_an_edited_default_is_no_change_and_is_what_absent_gives_back(root):
    images.apply(root, {"/etc/hosts": "", "/var/log/": "bind"})
    (root / "etc/hosts").write_text("edited\n", encoding="utf-8")
    (root / "var/log/new").write_text("new\n", encoding="utf-8")
    assert images.apply(root, {"/etc/hosts": "", "/var/log/": "bind"}) == []
    images.apply(root, None)
    assert (root / "etc/hosts").read_text(encoding="utf-8") == "edited\n"
    assert (root / "var/log/new").exists()


def test_a_removed_link_is_made_again(root):
    table = {"/etc/hosts": ""}
    images.apply(root, table)
    (root / "etc/hosts").unlink()
    (root / ".statelite/tmpfs/etc/hosts").unlink()
    assert images.apply(root, table) == ["link /etc/hosts -> ../.statelite/tmpfs/etc/hosts"]
    assert (root / "etc/hosts").read_text(encoding="utf-8") == "old\n"
    assert images.apply(root, table) == []


@pytest.mark.parametrize("options", ["", "link,persistent"])
def test_a_newer_file_becomes_the_default_and_the_older_is_kept_beside_the_tree(root, options):
    images.apply(root, {"/etc/hosts": options})
    (root / "etc/hosts").unlink()
    (root / "etc/hosts").write_text("newer\n", encoding="utf-8")
    lines = images.apply(root, {"/etc/hosts": options})
    assert any(line.startswith("set aside /.default/etc/hosts") for line in lines)
    assert (root / ".default/etc/hosts").read_text(encoding="utf-8") == "newer\n"
    assert set_aside(root) == {".default%2Fetc%2Fhosts": "old\n"}
    images.apply(root, None)
    assert (root / "etc/hosts").read_text(encoding="utf-8") == "newer\n"
    assert sorted(os.listdir(root)) == ["etc", "opt", "var"]


def test_a_newer_link_is_what_the_entry_leads_to(root):
    images.apply(root, {"/etc/hosts": ""})
    (root / "etc/hosts").unlink()
    (root / "etc/hosts").symlink_to("/run/hosts")
    images.apply(root, {"/etc/hosts": ""})
    assert read_layout(str(root)).satisfied == {"/etc/hosts": "/run/hosts"}
    assert os.readlink(root / "etc/hosts") == "/run/hosts"
    assert set_aside(root) == {".default%2Fetc%2Fhosts": "old\n"}


def test_a_file_put_where_a_kept_link_stood(root):
    for options in ("", "bind"):
        images.apply(root, {"/etc/link": options})
        (root / "etc/link").unlink()
        (root / "etc/link").write_text(f"real {options}\n", encoding="utf-8")
        images.apply(root, {"/etc/link": options})
        assert images.apply(root, {"/etc/link": options}) == []
        images.apply(root, None)
        assert (root / "etc/link").read_text(encoding="utf-8") == f"real {options}\n"
        (root / "etc/link").unlink()
        (root / "etc/link").symlink_to("hosts")


def test_what_grew_in_a_made_directory_stays_with_the_image_when_its_row_is_dropped(root):
    images.apply(root, {"/opt/site/": "", "/srv/data/": "bind", "/etc/made": ""})
    (root / "opt/site/tool").write_text("tool\n", encoding="utf-8")
    (root / "srv/data/set").write_text("set\n", encoding="utf-8")
    (root / "etc/made").write_text("made\n", encoding="utf-8")
    assert images.apply(root, {"/opt/site/": "", "/srv/data/": "bind", "/etc/made": ""}) in ([], ["record /.statelite.json"])
    images.apply(root, None)
    assert (root / "opt/site/tool").read_text(encoding="utf-8") == "tool\n"
    assert (root / "srv/data/set").read_text(encoding="utf-8") == "set\n"
    assert (root / "etc/made").read_text(encoding="utf-8") == "made\n"
    assert sorted(os.listdir(root)) == ["etc", "opt", "srv", "var"]


def test_a_row_for_what_grew_below_a_made_directory(root):
    images.apply(root, {"/opt/site/": ""})
    (root / "opt/site/tool").write_text("tool\n", encoding="utf-8")
    images.apply(root, {"/opt/site/tool": ""})
    assert os.readlink(root / "opt/site/tool") == "../../.statelite/tmpfs/opt/site/tool"
    assert (root / "opt/site/tool").read_text(encoding="utf-8") == "tool\n"
    images.apply(root, {"/opt/": "link,persistent", "/opt/site/tool": ""})
    assert (root / "opt/site/tool").read_text(encoding="utf-8") == "tool\n"


def test_a_default_that_was_removed_is_made_empty(root):
    table = {"/etc/hosts": ""}
    images.apply(root, table)
    (root / ".default/etc/hosts").unlink()
    images.apply(root, table)
    assert (root / "etc/hosts").read_text(encoding="utf-8") == ""
    assert images.apply(root, table) == []


def test_something_foreign_in_the_mirror_is_named_and_nothing_is_done(root):
    images.apply(root, {"/etc/hosts": ""})
    (root / ".default/etc/stray").write_text("stray\n", encoding="utf-8")
    before = images.snapshot(root)
    with pytest.raises(SiteError, match=r"/\.default/etc/stray"):
        images.plan(root, None)
    assert images.snapshot(root) == before


def test_the_permission_of_the_image_is_the_mode_of_statelite_and_is_given_back(root):
    plan = images.plan(root, {"/etc/hosts": ""}, permission=0o711)
    plan.apply()
    assert (root / ".statelite").stat().st_mode & 0o7777 == 0o711
    again = images.plan(root, {"/etc/hosts": ""}, permission=0o750)
    assert "mode /.statelite 0750 (was 0711)" in again.lines()
    again.apply()
    assert images.plan(root, {"/etc/hosts": ""}, permission=0o750).lines() == []
    images.apply(root, None)
    (root / ".statelite").mkdir(0o755)
    images.plan(root, {"/etc/hosts": ""}, permission=0o700).apply()
    assert (root / ".statelite").stat().st_mode & 0o7777 == 0o700
    images.apply(root, None)
    assert (root / ".statelite").stat().st_mode & 0o7777 == 0o755


def test_hard_links_xattrs_and_owners_survive(root):
    os.link(root / "etc/hosts", root / "etc/other")
    os.setxattr(root / "etc/hosts", "user.note", b"kept")
    if os.geteuid() == 0:
        os.chown(root / "etc/hosts", 42, 43)
    before = images.snapshot(root)
    images.apply(root, {"/etc/hosts": "", "/etc/other": "persistent"})
    assert (root / "etc/other").stat().st_ino == (root / ".default/etc/hosts").stat().st_ino
    assert os.getxattr(root / ".default/etc/hosts", "user.note") == b"kept"
    images.apply(root, None)
    assert images.snapshot(root) == before


def test_directories_keep_their_times_and_mirrors_have_their_modes(root):
    (root / "etc").chmod(0o750)
    before = images.snapshot(root)
    images.apply(root, {"/etc/hosts": ""})
    laid = images.snapshot(root)
    assert laid["/etc"] == before["/etc"]
    assert laid["/.default/etc"][0] == before["/etc"][0] == laid["/.statelite/tmpfs/etc"][0]


def test_a_link_that_was_laid_out_itself_goes_on_leading_out_of_its_directory(tmp_path):
    """Found by hypothesis: the directory's row came in place of the link's, and the second run had something to do."""
    tree = [
        {"path": "/a", "type": "d", "mode": "0755"},
        {"path": "/a/etc", "type": "l", "target": "../x/y"},
        {"path": "/a/b", "type": "d", "mode": "0755"},
        {"path": "/a/b/c", "type": "l", "target": "../../z"},
    ]
    root, once = images.build(tmp_path / "rootimg", tree), images.build(tmp_path / "once/rootimg", tree)
    images.apply(root, {"/a/etc": "", "/a/b/": ""})
    images.apply(root, {"/a/": ""})
    assert images.apply(root, {"/a/": ""}) == []
    images.apply(once, {"/a/": ""})
    assert sorted(images.snapshot(root)) == sorted(images.snapshot(once))


def test_a_directory_that_was_made_and_is_lived_in_since_is_the_images(tmp_path):
    """Found by hypothesis: a link to it was taken for one that leads nowhere once its own row came."""
    root = images.build(tmp_path / "rootimg", [{"path": "/x", "type": "l", "target": "/srv/data"}])
    images.apply(root, {"/srv/data/a": ""})
    (root / "srv/data/new").write_text("added\n", encoding="utf-8")
    assert images.apply(root, {"/srv/data/a": ""}) == []
    images.apply(root, {"/srv/data/a": "", "/x": ""})
    assert os.readlink(root / ".default/x") == "../.statelite/image/srv/data"
    assert images.apply(root, {"/srv/data/a": "", "/x": ""}) == []


@pytest.mark.parametrize("made", ["/srv/data", "/srv/data/"])
def test_a_default_that_was_made_and_is_lived_in_since_is_what_a_link_leads_to(tmp_path, made):
    """Found by hypothesis: of a link to it the run made an empty default, as of one that leads nowhere."""
    root = images.build(tmp_path / "rootimg", [{"path": "/x", "type": "l", "target": "/srv/data"}])
    images.apply(root, {made: ""})
    place = root / ".default/srv/data"
    (place / "new" if made.endswith("/") else place).write_text("added\n", encoding="utf-8")
    assert images.apply(root, {made: ""}) == []
    images.apply(root, {made: "", "/x": ""})
    assert os.readlink(root / ".default/x") == "../.statelite/image/.default/srv/data"
    assert images.apply(root, {made: "", "/x": ""}) == []


def test_the_same_rows_see_that_a_link_leads_somewhere_now(tmp_path):
    """What was made for one row got a content; another row's link led nowhere when the tree was laid out."""
    root = images.build(tmp_path / "rootimg", [{"path": "/x", "type": "l", "target": "/srv/data"}])
    table = {"/srv/data/": "bind", "/x": ""}
    images.apply(root, table)
    (root / "srv/data/new").write_text("added\n", encoding="utf-8")
    lines = images.apply(root, table)
    assert os.readlink(root / ".default/x") == "../.statelite/image/srv/data"
    assert images.apply(root, table) == []
    assert lines


def test_a_file_of_another_mode_in_a_made_directory_stays_in_it(root):
    images.apply(root, {"/opt/site/": "", "/opt/site/tool": ""})
    (root / "opt/site/tool").chmod(0o755)
    images.apply(root, {"/opt/site/": "", "/opt/site/tool": ""})
    assert set_aside(root) == {}
    images.apply(root, None)
    assert (root / "opt/site/tool").stat().st_mode & 0o7777 == 0o755
