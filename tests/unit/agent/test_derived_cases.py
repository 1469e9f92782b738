# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases made after the recorded ones: links, names, mtab, ranks and levels, each laid out in two orders, booted, and given back."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.imported import csv_text

from .derived import HOSTS, Derived, Line, directory, file, link

VOLATILE: dict[str, Any] = {"writable": True, "backing": "tmpfs"}
KEPT: dict[str, Any] = {"writable": True, "backing": "persistent"}
READ_ONLY: dict[str, Any] = {"writable": "EROFS"}
LINKS = (
    link("/etc/rel", "hosts"),
    link("/etc/abs", "/etc/hosts"),
    link("/etc/dangling", "nowhere/at/all"),
    link("/etc/circle", "circle"),
    link("/etc/one", "two"),
    link("/etc/two", "one"),
    directory("/srv/real"),
    file("/srv/real/a", "a\n"),
    link("/srv/dir", "real"),
    link("/srv/absdir", "/srv/real"),
    link("/srv/chain", "dir"),
    link("/srv/up", ".."),
    link("/srv/out", "../../../../../etc/hosts"),
    link("/alias", "/srv"),
    link("/var/run", "../run"),
    link("/var/lock", "/run/lock"),
)


@pytest.mark.parametrize(("option", "what"), [("link", VOLATILE), ("tmpfs", VOLATILE), ("link,persistent", KEPT), ("persistent", KEPT)])
def test_links_are_read_through_written_apart_and_never_lost(option: str, what: dict[str, Any], tmp_path: Path, pki: Path) -> None:
    paths = ("/etc/rel", "/etc/abs", "/etc/dangling", "/etc/circle", "/srv/dir", "/srv/absdir/", "/srv/chain/", "/srv/out", "/var/run/")
    Derived(tmp_path, pki, [("img1", path, option) for path in (*paths, "/var/lock/", "/var/run/pid")], LINKS).sees(
        {
            "/etc/rel": {"type": "f", "content": HOSTS, **what},
            "/etc/abs": {"content": HOSTS, **what},
            "/etc/dangling": {"content": "", **what},
            "/etc/circle": {"content": "", **what},
            "/srv/dir": {"type": "d", "list": ["a"], **what},
            "/srv/absdir": {"list": ["a"], **what},
            "/srv/chain": {"list": ["a"], **what},
            "/srv/out": {"content": HOSTS, **what},
            "/etc/hosts": {"content": HOSTS, **READ_ONLY},
            "/srv/real": {"list": ["a"], **READ_ONLY},
            "/etc/one": {"type": "ENOENT"},
        }
    )


@pytest.mark.parametrize("option", ["ro", "link,ro"])
def test_a_read_only_entry_that_is_a_link_shows_what_it_leads_to_or_the_levels(option: str, tmp_path: Path, pki: Path) -> None:
    rows = [("img1", path, option) for path in ("/etc/rel", "/srv/dir/", "/etc/abs", "/srv/absdir/")]
    levels = [directory("/10.0.0.2/t2/etc"), file("/10.0.0.2/t2/etc/abs", "level\n"), directory("/10.0.0.2/t2/srv")]
    levels += [directory("/10.0.0.2/t2/srv/absdir"), file("/10.0.0.2/t2/srv/absdir/of-level")]
    Derived(tmp_path, pki, rows, LINKS, levels).sees(
        {
            "/etc/rel": {"content": HOSTS, **READ_ONLY},
            "/srv/dir": {"list": ["a"], **READ_ONLY},
            "/etc/abs": {"content": "level\n", "backing": "level", **READ_ONLY},
            "/srv/absdir": {"list": ["of-level"], "backing": "level", **READ_ONLY},
        }
    )


@pytest.mark.parametrize("option", ["link", "tmpfs"])
def test_an_entry_through_a_link_lies_where_the_link_leads(option: str, tmp_path: Path, pki: Path) -> None:
    """Two spellings of one place with one meaning are one entry."""
    rows = [("img1", "/alias/dir/a", option), ("img1", "/srv/real/a", option), ("img1", "/alias/new/deep", option)]
    Derived(tmp_path, pki, rows, LINKS).sees({"/srv/real/a": {"content": "a\n", **VOLATILE}, "/srv/new/deep": {"content": "", **VOLATILE}})


REFUSED: dict[str, tuple[list[tuple[str, ...]], str]] = {
    "a place under two names": ([("img1", "/alias/real/", "link"), ("img1", "/srv/real/", "tmpfs")], "is the same place as"),
    "below links in a circle": ([("img1", "/etc/one/x", "link")], "lead in a circle"),
    "a link to a directory above": ([("img1", "/srv/up/", "link")], "symlink-to-above"),
    "below a file": ([("img1", "/etc/hosts/x", "link")], "is a file in the image"),
    "below a link to a file": ([("img1", "/etc/rel/x", "tmpfs")], "is a file in the image"),
    "blank and ALL that clash": ([("ALL", "/etc/hosts", "tmpfs"), ("", "/etc/hosts", "ro")], "has the same key"),
    "a path with and without slash": ([("img1", "/var/log", "tmpfs"), ("img1", "/var/log/", "ro")], "on the same path"),
    "a control character": ([("img1", "/etc/a\tb", "link")], "control character"),
    "dots": ([("img1", "/etc/x/../hosts", "link")], "'..' as a part"),
    "the root": ([("img1", "//", "link")], "the whole root"),
    "a name too long": ([("img1", f"/etc/{'ü' * 128}", "link")], "longer than a path can be"),
    "a path too long": ([("img1", "/etc" + f"/{'y' * 200}" * 20, "link")], "longer than a path can be"),
    "statelite's own": ([("img1", "/.default/etc/hosts", "link")], "belongs to statelite itself"),
    "an option twice": ([("img1", "/etc/hosts", "link,link")], "given twice"),
    "a blank in the options": ([("img1", "/etc/hosts", "link, ro")], "has a blank"),
    "two attachments": ([("img1", "/etc/hosts", "link,bind")], "two attachments"),
    "two storages": ([("img1", "/etc/hosts", "tmpfs,ro")], "two storages"),
    "capitals": ([("img1", "/etc/hosts", "Link")], "has capitals"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_not_be_carried_out_is_refused_by_row_and_reason(name: str, tmp_path: Path, pki: Path) -> None:
    rows, reason = REFUSED[name]
    with pytest.raises(SiteError, match=reason) as refused:
        Derived(tmp_path, pki, rows, LINKS).lay_out()
    assert all("litefile" in fault.where and fault.mend for fault in refused.value.faults)


NAMES = (
    *(
        " leading",
        "trailing ",
        "a:b",
        ":",
        "*",
        "?",
        "[a-z]",
        "a+b",
        "a.b",
        "^x$",
        "(x)",
        "{a,b}",
        "q'uote",
        'dq"uote',
        "back\\slash",
        "\\040",
    ),
    *("-dash", "--help", "-rf", "$HOME", "$(id)", "`id`", "a;b", "a&b", "a|b", "a<b>", "~", "%41", "#hash", "ümläut", "日本", "e\u0301"),
    *("...", ".dot", "a,b", "=", "!", "a\u00a0b", "\u2028", "x" * 255, "ü" * 127, "&amp;", "a\\nb", "+="),
)


@pytest.mark.parametrize("attachment", ["link", "bind"])
def test_a_name_means_itself_in_every_storage(attachment: str, tmp_path: Path, pki: Path) -> None:
    rows, image = [], [directory("/n")]
    right: dict[str, dict[str, Any]] = {}
    for number, name in enumerate(NAMES):
        for storage, what in (("tmpfs", VOLATILE), ("persistent", KEPT), ("ro", READ_ONLY), ("con", VOLATILE)):
            place = f"/n/{storage}{number}"
            image += [directory(place), file(f"{place}/{name}", f"{number}\n")]
            rows.append(("img1", f"{place}/{name}", f"{attachment},{storage}"))
            right[f"{place}/{name}"] = {"content": f"{number}\n", **what}
            if storage == "persistent":
                rows.append(("img1", f"{place}/new/{name}/", f"{attachment},{storage}"))
                right[f"{place}/new/{name}"] = {"list": [], **what}
    Derived(tmp_path, pki, rows, image).sees(right)


@pytest.mark.parametrize("option", [None, "", "tmpfs", "persistent", "link,persistent", "ro", "con"])
def test_what_is_mounted_is_the_kernels_to_say_whatever_a_row_says(option: str | None, tmp_path: Path, pki: Path) -> None:
    rows = [] if option is None else [("img1", "/etc/mtab", option)]
    for name, image in (("file", [file("/etc/mtab", "stale\n")]), ("link", [])):
        derived = Derived(tmp_path / name, pki, rows, image)
        derived.boot()
        root = derived.node.work / "boot1/sysroot"
        assert derived.node.root.joinpath("etc/mtab").is_symlink(), root


@pytest.mark.parametrize("parent", ["link", "tmpfs"])
def test_a_stale_mtab_in_a_volatile_directory_becomes_a_link_and_its_row_means_nothing_more(parent: str, tmp_path: Path, pki: Path) -> None:
    rows = [("img1", "/etc/", parent), ("img1", "/etc/mtab", "persistent")]
    derived = Derived(tmp_path, pki, rows, [file("/etc/mtab", "stale\n")])
    boot = derived.boot()
    assert boot.seen["/etc"]["list"].count("mtab") == 1
    assert boot.seen["/etc/mtab"]["type"] == "ENOENT", "it leads to /proc, which the test leaves empty"


def test_image_then_group_in_order_then_all_and_blank(tmp_path: Path, pki: Path) -> None:
    osimage = '#imagename,groups,provmethod\n"img1","g1,g2","statelite"\n'
    rows = [
        *(("ALL", "/etc/hosts", "ro"), ("g2", "/etc/hosts", "persistent"), ("g1", "/etc/hosts", "tmpfs")),
        *(("g1", "/etc/motd", "ro"), ("img1", "/etc/motd", "persistent"), ("", "/root/.bashrc", "tmpfs"), ("g9", "/var/log/", "tmpfs")),
        *(("g1,g2", "/etc/ntp/keys", "tmpfs"), ("img1", "/var/log/messages", "tmpfs", "", "yes"), ("all", "/run/pid", "ro")),
    ]
    Derived(tmp_path, pki, rows, tables={"osimage": osimage}).sees(
        {
            "/etc/hosts": VOLATILE,
            "/etc/motd": KEPT,
            "/root/.bashrc": VOLATILE,
            "/var/log": READ_ONLY,
            "/var/log/messages": READ_ONLY,
            "/etc/ntp/keys": READ_ONLY,
        }
    )


def tree(below: str, files: dict[str, str]) -> Iterable[Line]:
    """Return the lines of a level that holds some files."""
    found: dict[str, Line] = {}
    for path, content in files.items():
        parts = f"{below}{path}".strip("/").split("/")
        for count in range(1, len(parts)):
            place = "/" + "/".join(parts[:count])
            found[place] = directory(place)
        found[f"{below}{path}"] = file(f"{below}{path}", content)
    return list(found.values())


LITETREE = ("priority", "image", "directory")
LEVELS: dict[str, tuple[list[tuple[str, str, str]], str]] = {
    "priorities are numbers": ([("10", "img1", "10.0.0.1:/a"), ("9.5", "ALL", "10.0.0.1:/b")], "b"),
    "the image's row before that of ALL": ([("1", "ALL", "10.0.0.1:/a"), ("1", "img1", "10.0.0.1:/b")], "b"),
    "another image's row is not ours": ([("1", "img2", "10.0.0.1:/a"), ("2", "", "10.0.0.1:/b")], "b"),
    "a level below a level": ([("1", "img1", "10.0.0.1:/b/empty"), ("2", "img1", "10.0.0.1:/b")], "b"),
    "an odd directory": ([("1", "img1", "10.0.0.1://c d//[x]:#ü'/")], "c"),
    "no server": ([("1", "img1", "/here")], "here"),
    "an empty server": ([("1", "img1", ":/here/")], "here"),
    "variables": ([("1", "img1", "$noderes.nfsserver:/v/pre$nodepos.room/$node$nodetype.arch")], "v"),
    "a pattern, and the second group": ([("1", "img1", "10.0.0.1:/p/$nodepos.rack/$nodepos.chassis")], "p"),
}
NODEPOS = '#node,room,rack,chassis\n"compute","r1","|n(\\d+)|rack($1+40)|",\n"all","r2",,"c9"\n'


@pytest.mark.parametrize("name", LEVELS)
def test_the_level_that_is_meant_gives_the_content(name: str, tmp_path: Path, pki: Path) -> None:
    rows, content = LEVELS[name]
    levels = [
        *tree("/10.0.0.1/a", {"/etc/hosts": "a"}),
        *tree("/10.0.0.1/b", {"/etc/hosts": "b", "/empty/etc/other": ""}),
        *tree("/10.0.0.1/c d/[x]:#ü'", {"/etc/hosts": "c"}),
        *tree("/127.0.0.1/here", {"/etc/hosts": "here"}),
        *tree("/127.0.0.1/v/prer1/n1.x86_64", {"/etc/hosts": "v"}),
        *tree("/10.0.0.1/p/rack41/c9", {"/etc/hosts": "p"}),
    ]
    tables = {"litetree": csv_text(LITETREE, rows), "nodepos": NODEPOS, "noderes": '#node,nfsserver\n"all","127.0.0.1"\n'}
    unique = {line["path"]: line for line in levels}.values()
    Derived(tmp_path, pki, [("img1", "/etc/hosts", "tmpfs")], levels=unique, tables=tables).sees({"/etc/hosts": {"content": content}})


def test_a_directory_comes_from_one_level_whole_and_an_empty_one_is_passed_over(tmp_path: Path, pki: Path) -> None:
    levels = [*tree("/10.0.0.1/t1", {"/var/log/.dot": "1", "/var/log/l1": "1"}), directory("/10.0.0.1/t1/root")]
    levels += tree("/10.0.0.2/t2", {"/var/log/l2": "2", "/root/only": "", "/etc/motd": "two"})
    rows = [("img1", "/var/log/", "tmpfs"), ("img1", "/root/", "link"), ("img1", "/etc/motd", "con")]
    Derived(tmp_path, pki, rows, levels=levels).sees(
        {
            "/var/log": {"list": [".dot", "l1"], **VOLATILE},
            "/root": {"list": ["only"], **VOLATILE},
            "/etc/motd": {"content": "image motd\ntwo", **VOLATILE},
        }
    )
