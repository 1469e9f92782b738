# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries, rules and the pure layout: what is refused and why, and what an image must have."""

from __future__ import annotations

import itertools
import os

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.lite import rules
from ansible_collections.diskless.statelite.plugins.module_utils.lite.arrange import lay_out
from ansible_collections.diskless.statelite.plugins.module_utils.lite.bridges import leads_out
from ansible_collections.diskless.statelite.plugins.module_utils.lite.entry import Entry, entries_for, entries_of
from ansible_collections.diskless.statelite.plugins.module_utils.lite.layout import Layout, layout_of
from ansible_collections.diskless.statelite.plugins.module_utils.lite.place import place_of
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.lite import images
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.lite.images import Manifest, entries, tree

STORAGES = ("tmpfs", "persistent", "ro", "con", "localdisk")
PAIRS = [(storage, attachment) for storage in STORAGES for attachment in ("link", "bind") if (storage, attachment) != ("localdisk", "link")]
MODERN = {
    "/etc": "d755",
    "/etc/hosts": "f644",
    "/etc/mtab": "-> ../proc/self/mounts",
    "/etc/resolv.conf": "-> ../run/resolv.conf",
    "/lib": "-> usr/lib",
    "/root": "d700",
    "/root/.ssh": "d700",
    "/usr/lib/x": "f644",
    "/var/log": "d755",
    "/var/run": "-> /run",
}


def layout(table: dict[str, str], paths: dict[str, str] | None = None, liteattach: str = "link") -> Layout:
    """Lay a manifest out for rows given as path to options."""
    return lay_out("img1", entries(table, liteattach), tree(MODERN if paths is None else paths))


def test_bare_words_are_attached_as_the_site_or_the_image_says():
    rows = [{"file": "/a", "options": "persistent"}, {"file": "/b", "options": ""}, {"file": "/c", "options": "bind"}]
    assert [entry.options for entry in entries_of(rows, "link")] == ["link,persistent", "link,tmpfs", "bind,tmpfs"]
    assert [entry.options for entry in entries_of(rows, "bind")] == ["bind,persistent", "link,tmpfs", "bind,tmpfs"]
    tables = {"osimage": [{"imagename": "i", "liteattach": "link"}, {"imagename": "j"}], "litefile": [{"file": "/a", "options": "ro"}]}
    site = Site({**tables, "site": [{"key": "liteattach", "value": "bind"}]})
    assert [entries_for(site, name)[0].attachment for name in ("i", "j")] == ["link", "bind"]
    assert entries_for(Site(tables), "j")[0].attachment == "link"


def test_every_bad_row_is_named_at_once():
    rows = [
        {"file": "/ok"},
        {"file": "/tmpfs", "options": "tmpfs,persistent"},
        {"file": "relative"},
        {"file": "/a/../b"},
        {"file": "/"},
        {"file": "/tab\there"},
        {"file": "/new\nline"},
        {"file": "/.statelite/tmpfs"},
        {"file": "/dir/", "options": "con"},
        {"file": "/caps", "options": "TMPFS"},
        {"file": "/curly", "options": "\u201cro\u201d"},
    ]
    with pytest.raises(SiteError) as error:
        entries_of(rows, "link")
    assert len(error.value.faults) == len(rows) - 1
    assert all(row["file"] in fault.where for row, fault in zip(rows[1:], error.value.faults))


def test_one_path_in_two_spellings_is_one_entry_or_refused():
    assert entries_of([{"file": "/x"}, {"file": "//x/./"}], "link") == [Entry("/x", "d", "tmpfs", "link")]
    with pytest.raises(SiteError, match="link,persistent here, but link,tmpfs in the row for /x"):
        entries_of([{"file": "/x"}, {"file": "/x/", "options": "persistent"}], "link")


def test_clashing_rows_and_bad_rows_are_named_together():
    rows = [{"file": "/a"}, {"file": "/a/", "options": "persistent"}, {"file": "/b", "options": "nothing"}]
    with pytest.raises(SiteError) as error:
        entries_for(Site({"osimage": [{"imagename": "i"}], "litefile": rows}), "i")
    assert len(error.value.faults) == 2
    assert "same rank" in str(error.value)
    assert "/b" in str(error.value)


@pytest.mark.parametrize(("parent", "child"), list(itertools.product(PAIRS, PAIRS)))
def test_the_matrix_of_parent_and_child(parent, child):
    above, below = Entry("/var/log", "d", *parent), Entry("/var/log/x", "f", *child)
    expected = None
    if parent[0] == "ro":
        expected = rules.RO_PARENT
    elif parent[0] == "con":
        expected = rules.CON_PARENT
    elif parent[1] != child[1]:
        expected = rules.LINK_BELOW_BIND if child[1] == "link" else rules.BIND_BELOW_LINK
    assert rules.refusal(above, below) == expected
    if expected is None:
        made = lay_out("img1", [below, above], tree(MODERN))
        assert [(entry.path, entry.parent) for entry in made.entries] == [("/var/log", None), ("/var/log/x", "/var/log")]
        assert made.made.files == {("/.default" if parent[1] == "link" else "") + "/var/log/x": 0o644}
    else:
        with pytest.raises(SiteError, match=expected.name):
            lay_out("img1", [above, below], tree(MODERN))


def test_every_rule_has_a_name_a_reason_and_a_mend():
    assert len({rule.name for rule in rules.RULES}) == len(rules.RULES)
    assert all(rule.reason and rule.mend for rule in rules.RULES)


def test_a_link_entry_has_the_links_of_the_statelite_document():
    made = layout({"/etc/hosts": "", "/root/": ""}).made
    assert made.moves == {"/etc/hosts": "/.default/etc/hosts", "/root": "/.default/root"}
    assert made.links == {
        "/.statelite/image": "..",
        "/etc/hosts": "../.statelite/tmpfs/etc/hosts",
        "/.statelite/tmpfs/etc/hosts": "../../../.default/etc/hosts",
        "/root": "./.statelite/tmpfs/root",
        "/.statelite/tmpfs/root": "../.././.default/root",
    }


def test_a_bind_entry_stays_and_is_found_under_default():
    made = layout({"/var/log/": "bind", "/root/.ssh/": "bind,persistent"}).made
    assert made.moves == {}
    assert made.links["/.default/var/log"] == "../../.statelite/image/var/log"
    assert made.links["/.default/root/.ssh"] == "../../.statelite/image/root/.ssh"
    assert made.directories["/.default/root"].mode == 0o700


def test_three_levels_are_one_deterministic_tree():
    table = {"/var/": "", "/var/log/": "link,persistent", "/var/log/app/x": ""}
    made = layout(table)
    assert [(entry.path, entry.parent, entry.content) for entry in made.entries] == [
        ("/var", None, "/.default/var"),
        ("/var/log", "/var", "/.default/var/log"),
        ("/var/log/app/x", "/var/log", "/.default/var/log/app/x"),
    ]
    assert made.made.moves == {"/var": "/.default/var"}
    assert set(made.made.files) == {"/.default/var/log/app/x"}
    assert "/.default/var/log/app" in made.made.directories
    assert layout(dict(reversed(table.items()))).text() == made.text()


def test_what_leads_to_the_nodes_own_file_systems_is_satisfied():
    made = layout({"/var/run/": "", "/var/run/lock/x": "persistent", "/etc/mtab": "ro", "/etc/resolv.conf": "", "/proc/x": ""})
    assert made.satisfied == {
        "/etc/mtab": "/proc/self/mounts",
        "/etc/resolv.conf": "/run/resolv.conf",
        "/proc/x": "/proc/x",
        "/var/run": "/run",
        "/var/run/lock/x": "/run/lock/x",
    }
    assert made.entries == ()
    assert made.made.moves == {}


def test_an_entry_below_a_linked_directory_lies_where_the_link_leads():
    made = layout({"/lib/x": ""})
    assert made.made.links["/usr/lib/x"] == "../../.statelite/tmpfs/usr/lib/x"
    assert (made.entries[0].path, made.entries[0].written) == ("/usr/lib/x", ("/lib/x",))


def test_two_rows_for_one_real_place_are_one_entry_or_refused():
    assert layout({"/lib/x": "", "/usr/lib/x": ""}).entries[0].written == ("/lib/x", "/usr/lib/x")
    with pytest.raises(SiteError, match="the same place as /lib/x"):
        layout({"/lib/x": "", "/usr/lib/x": "persistent"})


def test_a_link_below_another_entry_is_left_or_refused_by_a_rule():
    paths = {"/etc": "d755", "/etc/a": "f644", "/etc/in": "-> a", "/etc/out": "-> /usr/b", "/usr/b": "f644"}
    assert layout({"/etc/": "", "/etc/in": ""}, paths).made.moves == {"/etc": "/.default/etc"}
    for table in ({"/etc/": "", "/etc/out": ""}, {"/etc/": "", "/etc/in": "link,persistent"}):
        with pytest.raises(SiteError, match=rules.LINK_BELOW_ENTRY.name):
            layout(table, paths)


def test_children_of_an_entry_that_is_a_link_lie_below_the_entry():
    paths = {"/srv/spool": "d755", "/srv/spool/mail": "d755", "/var/spool": "-> ../srv/spool"}
    made = layout({"/var/spool/": "", "/var/spool/mail/": "link,persistent", "/var/spool/new": ""}, paths)
    assert [(entry.path, entry.parent, entry.content) for entry in made.entries] == [
        ("/var/spool", None, "/srv/spool"),
        ("/var/spool/mail", "/var/spool", "/srv/spool/mail"),
        ("/var/spool/new", "/var/spool", "/srv/spool/new"),
    ]
    assert made.made.links["/.default/var/spool"] == "../../.statelite/image/srv/spool"
    assert made.made.files == {"/srv/spool/new": 0o644}
    assert made.missing == ("/var/spool/new",)


def test_the_default_of_a_link_is_where_the_layout_has_the_content_of_its_target():
    paths = {"/etc/hosts": "f644", "/etc/name": "-> hosts"}
    made = layout({"/etc/hosts": "", "/etc/name": ""}, paths).made
    assert made.links["/.default/etc/name"] == "../../.statelite/image/.default/etc/hosts"


def test_a_regular_mtab_is_an_entry_of_its_own():
    made = layout({}, {"/etc/mtab": "f644"})
    assert [(entry.path, entry.implied) for entry in made.entries] == [("/etc/mtab", True)]
    assert layout({}, {"/etc/mtab": "-> /proc/self/mounts"}).entries == ()
    listed = layout({"/etc/mtab": "bind,persistent"}, {"/etc/mtab": "f644"}).entries[0]
    assert (listed.implied, listed.options) == (False, "link,tmpfs"), "what is mounted is the kernel's to say"
    inside = layout({"/etc/": "bind,tmpfs", "/etc/mtab": "ro"}, {"/etc/mtab": "f644"})
    assert [entry.path for entry in inside.entries] == ["/etc"]
    assert inside.satisfied == {"/etc/mtab": "/proc/self/mounts"}


def test_what_stands_in_the_way_is_named_all_at_once():
    with pytest.raises(SiteError) as error:
        layout({"/etc/hosts": "", "/root/": ""}, {**MODERN, "/.default/etc/hosts": "f644", "/.default/root": "-> /etc"})
    assert [fault.where for fault in error.value.faults] == ["/.default/etc/hosts", "/.default/root"]


@pytest.mark.parametrize(
    ("directory", "name", "text", "out"),
    [
        ("/etc", "os-release", "../usr/lib/os-release", "/usr/lib/os-release"),
        ("/etc", "a/b", "../../var/x", "/var/x"),
        ("/var/spool", "mail", "../mail", "/var/mail"),
        ("/etc", "a/b", "../c", None),
        ("/etc", "a", "/usr/x", None),
        ("/etc", "a", "../etc/b", None),
        ("/etc", "a", "../../..", None),
    ],
)
def test_which_relative_links_leave_their_directory(directory, name, text, out):
    assert leads_out(directory, name, text) == out


def test_a_record_is_read_back_as_it_was_written():
    made = layout({"/etc/hosts": "", "/var/log/": "bind,persistent", "/srv/new/": "", "/var/run/": "", "/usr/lib/x": "ro"})
    assert layout_of(made.text(), "here") == made
    for text in ("", "{}", '{"format": 9}', "[1]"):
        with pytest.raises(SiteError, match="here"):
            layout_of(text, "here")


def test_places_are_found_as_a_chroot_would(tmp_path):
    found: Manifest = tree({"/a": "-> b/../c", "/b": "d", "/c": "-> /d", "/d/e": "f", "/up": "-> ../../.."})
    assert place_of(found, "/a/e").path == "/d/e"
    assert place_of(found, "/up/d/e").path == "/d/e"
    assert place_of(found, "/a").path == "/a"
    assert place_of(found, "/a", follow=True).path == "/d"


WAY = [
    {"path": "/etc", "type": "d", "mode": "0755"},
    {"path": "/way", "type": "l", "target": "/etc"},
    {"path": "/etc/dir", "type": "d", "mode": "0755"},
]


@pytest.mark.parametrize(
    ("table", "made"),
    [
        ({"/etc/dir/": "", "/way": "", "/way/dir/new": ""}, ".default/etc/dir/new"),
        ({"/etc/made/": "", "/way": "", "/way/made": ""}, ".default/etc/made"),
        ({"/etc/made/": "bind", "/way": "", "/way/made/new/": ""}, "etc/made/new"),
        ({"/etc/": "", "/etc/made/": "", "/way": "", "/way/made": ""}, ".default/etc/made"),
    ],
)
def test_what_lies_in_another_entry_by_way_of_a_link_is_made_there_once(tmp_path, table, made):
    """Found by hypothesis: the plan made it at the path that the other entry's link takes, and failed half way."""
    root = images.build(tmp_path / "rootimg", WAY)
    before = images.snapshot(root)
    images.apply(root, table)
    assert os.path.lexists(root / made)
    assert images.apply(root, dict(reversed(table.items()))) == []
    images.apply(root, None)
    assert images.snapshot(root) == before


@pytest.mark.parametrize("table", [{"/etc/made": "", "/way": "", "/way/made/new": ""}, {"/etc/made": "", "/way": "", "/way/made/": ""}])
def test_a_file_of_one_row_that_another_way_makes_a_directory_is_refused(tmp_path, table):
    root = images.build(tmp_path / "rootimg", WAY)
    with pytest.raises(SiteError, match=r"needs a directory at /\.default/etc/made, which another row, by another way"):
        images.plan(root, table)
