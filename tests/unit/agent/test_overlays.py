# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volatile directories lie over their source where node and source can, else they are copied: the same to see either way."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from .node import Boot, Node
from .test_agent import NAMES, STATE, node_with
from .test_cases import CASES, NO_PLAN, REFUSED, SEEN, booted, node_of

COPY_ALL = {"key": "litecopy", "value": "ALL"}


def ways(boot: Boot) -> dict[str, str]:
    """Return what the report says of how each entry was done."""
    return {entry["path"]: entry["message"] for entry in json.loads(boot.text("report.json"))["entries"]}


def both(node: Node, paths: list[str], words: str = STATE) -> tuple[Boot, Boot]:
    """Boot with overlays and boot with copies."""
    node.lay_out()
    laid = node.boot(words, paths)
    node.tables["site"].append(COPY_ALL)
    node.lay_out()
    copied = node.boot(words, paths)
    for boot in (laid, copied):
        assert boot.status == 0, boot.log
        assert {result[0] for result in boot.results.values()} <= {"done"}, boot.log
    assert set(ways(copied).values()) <= {"-"}
    return laid, copied


@pytest.mark.parametrize("name", [name for name in CASES if name not in REFUSED and name not in NO_PLAN])
def test_a_recorded_node_sees_the_same_either_way(name: str, tmp_path: Path, pki: Path) -> None:
    def seen(boot: Boot) -> dict[str, Any]:
        return {path: {key: item.get(key) for key in SEEN} for path, item in boot.seen.items()}

    node = node_of(name, tmp_path, pki)
    laid, copied = both(node, [item["path"] for item in booted(name)["effective.jsonl"]], "STATEMNT=10.1.0.1:/state")
    assert seen(laid) == seen(copied)


@pytest.mark.parametrize("attachment", ["link", "bind"])
def test_modes_links_and_names_are_the_sources_own(attachment: str, tmp_path: Path, pki: Path) -> None:
    files = {f"/srv/{name}/": f"{attachment},tmpfs" for name in ("data", "deep/er/data", "odd", "level")}
    files |= {f"/opt/{name}/": f"{attachment},tmpfs" for name in NAMES}
    node = node_with(tmp_path, pki, files)
    inside = {"/srv/data/plain": 0o644, "/srv/data/secret": 0o400, "/srv/data/program": 0o4755, "/srv/deep/er/data/x": 0o600}
    inside |= {"/srv/odd/x": 0o644} | {f"/opt/{name}/{name}": 0o640 for name in NAMES}
    for path, mode in inside.items():
        node.file(f"image/rootimg{path}", f"{path}\n", mode)
    node.file("nfs/10.0.0.2/common/srv/level/sub/x", "level\n", 0o640)
    (node.root / "srv/data/link").symlink_to("secret")
    for path, mode in (("srv/odd", 0o1777), ("srv/deep", 0o750), ("srv/data", 0o2700)):
        (node.root / path).chmod(mode)
    os.chown(node.root / "srv/odd", 1, 2)
    paths = [*files, *inside, "/srv/data/link", "/srv/deep/", "/srv/level/sub/x"]
    laid, copied = both(node, paths)
    assert set(ways(laid).values()) == {"overlay"}, laid.log
    assert laid.seen == copied.seen
    assert {path: laid.seen[path]["mode"] for path in ("/srv/odd/", "/srv/data/", "/srv/data/program")} == {
        "/srv/odd/": "1777",
        "/srv/data/": "2700",
        "/srv/data/program": "4755",
    }
    assert all(item["backing"] == "tmpfs" for path, item in laid.seen.items() if path != "/srv/deep/")


def test_what_a_node_writes_stays_on_the_node_and_goes_with_it(tmp_path: Path, pki: Path) -> None:
    node = node_with(tmp_path, pki, {"/srv/data/": "tmpfs", "/srv/level/": "bind,tmpfs"})
    node.file("image/rootimg/srv/data/x", "image\n")
    node.file("nfs/10.0.0.2/common/srv/level/x", "level\n")
    node.lay_out()
    for _boot in range(2):
        seen = node.boot(STATE, ["/srv/data/x", "/srv/level/x", "/srv/data/", "/srv/level/"]).seen
        assert [item["content"] for item in seen.values() if item["type"] == "f"] == ["image\n", "level\n"]
        assert {item["writable"] for item in seen.values()} == {True}
    assert (tmp_path / "nfs/10.0.0.2/common/srv/level/x").read_text() == "level\n"


def test_an_empty_directory_is_made_and_not_laid_over(tmp_path: Path, pki: Path) -> None:
    node = node_with(tmp_path, pki, {"/srv/empty/": "bind,tmpfs", "/srv/full/": "bind,tmpfs"})
    node.file("image/rootimg/srv/empty", None, 0o1777)
    node.file("image/rootimg/srv/full/x", "")
    node.lay_out()
    boot = node.boot(STATE, ["/srv/empty/"])
    assert ways(boot) == {"/srv/empty": "-", "/srv/full": "overlay"}
    assert boot.seen["/srv/empty/"]["mode"] == "1777"


def test_a_site_names_directories_that_it_wants_copied(tmp_path: Path, pki: Path) -> None:
    node = node_with(tmp_path, pki, {"/srv/one/": "tmpfs", "/srv/two/": "tmpfs"})
    for name in ("one", "two"):
        node.file(f"image/rootimg/srv/{name}/x", "")
    node.tables["site"].append({"key": "litecopy", "value": "/srv/two/, /srv/other"})
    node.lay_out()
    assert ways(node.boot()) == {"/srv/one": "overlay", "/srv/two": "-"}


def test_what_a_directory_holds_does_not_decide_whether_it_is_laid_over(tmp_path: Path, pki: Path) -> None:
    node = node_with(tmp_path, pki, {"/srv/big/": "tmpfs", "/srv/links/": "bind,tmpfs", "/srv/.hidden/": "tmpfs"})
    node.file("image/rootimg/srv/big/x", "x" * 100_000)
    node.file("image/rootimg/srv/links", None)
    (tmp_path / "image/rootimg/srv/links/x").symlink_to("nowhere")
    node.file("image/rootimg/srv/.hidden/..x", "x")
    node.lay_out()
    boot = node.boot()
    assert set(ways(boot).values()) == {"overlay"}, boot.log


def test_a_directory_behind_links_of_a_level_lies_over_where_they_lead(tmp_path: Path, pki: Path) -> None:
    node = node_with(tmp_path, pki, {"/srv/in/": "tmpfs", "/srv/out/": "bind,tmpfs", "/srv/away/": "tmpfs"})
    for name in ("in", "out", "away"):
        node.file(f"image/rootimg/srv/{name}/x", "image\n")
    level = tmp_path / "nfs/10.0.0.2/common"
    node.file("nfs/10.0.0.2/common/versions/2/in/x", "second\n")
    node.file("nfs/10.0.0.2/common/versions/2/out/x", "second\n")
    (level / "srv").mkdir()
    for name in ("in", "out"):
        (level / "srv" / name).symlink_to(f"../versions/2/{name}")
    (level / "srv/away").symlink_to("/usr/lib")
    node.lay_out()
    boot = node.boot(STATE, ["/srv/in/x", "/srv/out/x", "/srv/away/"])
    assert set(ways(boot).values()) == {"overlay"}, boot.log
    assert [boot.seen[path]["content"] for path in ("/srv/in/x", "/srv/out/x")] == ["second\n", "second\n"]
    assert {item["writable"] for item in boot.seen.values()} == {True}
    assert (level / "versions/2/in/x").read_text() == "second\n"


@pytest.mark.parametrize("attachment", ["link", "bind"])
def test_a_volatile_directory_in_a_persistent_one_is_not_copied_either(attachment: str, tmp_path: Path, pki: Path) -> None:
    files = {
        "/srv/kept/": f"{attachment},persistent",
        "/srv/kept/live/": f"{attachment},tmpfs",
        "/srv/kept/live/in/x": f"{attachment},persistent",
    }
    node = node_with(tmp_path, pki, files)
    node.file("image/rootimg/srv/kept/live/in/x", "image\n")
    node.file("image/rootimg/srv/kept/live/y", "image\n")
    node.lay_out()
    own = tmp_path / "nfs/10.0.0.1/state/n1/srv/kept"
    for _boot in range(2):
        boot = node.boot(STATE, ["/srv/kept/live/y", "/srv/kept/live/in/x", "/srv/kept/"])
        assert boot.results["/srv/kept/live"] == ("done", "default", "overlay"), boot.log
        assert boot.results["/srv/kept/live/in/x"] == ("done", "kept", "-")
        assert [boot.seen[path]["backing"] for path in boot.seen] == ["tmpfs", "persistent", "persistent"]
        assert (own / "live/in/x").read_text() == "image\n"


UNABLE = {
    "mount": """#!/bin/sh
# A kernel without overlay.
case " $* " in *' -t overlay '*) echo "mount: unknown filesystem type 'overlay'" >&2; exit 32 ;; esac
exec /usr/bin/mount "$@"
""",
    "chmod": """#!/bin/sh
# What is written does not come up.
echo "chmod: changing permissions of '$2': Value too large for defined data type" >&2
exit 1
""",
}
WHY = {"mount": "unknown filesystem type 'overlay'", "chmod": "volatile directories of source default are copied: chmod: "}


@pytest.mark.parametrize("program", sorted(UNABLE))
def test_where_an_overlay_can_not_be_mounted_the_directory_is_copied(program: str, tmp_path: Path, pki: Path) -> None:
    node = node_with(tmp_path, pki, {"/srv/link/": "link,tmpfs", "/srv/bind/": "bind,tmpfs", "/srv/link/kept": "persistent"})
    for name in ("link", "bind"):
        node.file(f"image/rootimg/srv/{name}/a b/x", "image\n", 0o640)
    node.lay_out()
    # In the node's root the test's own programs are the first of the path too.
    node.file(f"image/rootimg{tmp_path}/boot1/bin/{program}", UNABLE[program], 0o755)
    boot = node.boot(STATE, ["/srv/link/a b/x", "/srv/bind/a b/x", "/srv/link/"])
    assert boot.status == 0, boot.log
    assert set(ways(boot).values()) == {"-"}, boot.log
    assert WHY[program] in boot.text("statelite.log")
    assert [boot.seen[path].get("content") for path in ("/srv/link/a b/x", "/srv/bind/a b/x")] == ["image\n", "image\n"]
    assert {item["backing"] for item in boot.seen.values()} == {"tmpfs"}
    assert boot.seen["/srv/link/"]["list"] == ["a b", "kept"]
