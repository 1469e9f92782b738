# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node says of entries that came to nothing, of a /.statelite that is full, and of levels whose servers are down."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .node import MOUNT, Node, wait_for
from .test_agent import STATE, node_with

DOWN = """\
case "$*" in *10.0.0.6:*|*10.0.0.7:*|*10.0.0.8:*)
    echo "$5" >> "$WORK/begun"
    while [ "$(wc -l < "$WORK/begun")" -lt 3 ]; do /bin/sleep 0.05; done
    echo "$5" >> "$WORK/together"
    exec /bin/sleep 600
    ;;
esac
"""
"""A server that never answers, and the sign that three are waited for at the same time."""


def servers_down(node: Node) -> None:
    """Three servers never answer."""
    first, rest = MOUNT.split("\n", 1)
    node.programs["mount"] = f"{first}\n{DOWN}{rest}"


def test_a_required_entry_that_is_skipped_ends_the_boot_as_a_failed_one_does(tmp_path: Path, pki: Path) -> None:
    node = node_with(tmp_path, pki, {"/srv/p/": "bind,tmpfs", "/etc/fine": "tmpfs"})
    node.tables["litefile"].append({"image": "ALL", "file": "/srv/p/c", "options": "bind,persistent", "required": "yes"})
    node.lay_out()
    (node.root / "srv/p/c").unlink()
    (node.root / "srv/p").rmdir()
    boot = node.boot(STATE)
    assert boot.status == 3
    assert [boot.results[path][0] for path in ("/srv/p", "/srv/p/c", "/etc/fine")] == ["failed", "skipped", "done"]
    told = json.loads((tmp_path / "spool" / "n1.failure.json").read_text())
    assert told["message"].endswith("required entries failed: /srv/p/c")


def test_what_is_in_something_that_was_skipped_is_skipped_too(tmp_path: Path, pki: Path) -> None:
    files = {"/srv/p/": "bind,tmpfs", "/srv/p/q/": "bind,persistent", "/srv/p/q/r/": "bind,tmpfs", "/srv/p/q/r/s": "bind,persistent"}
    node = node_with(tmp_path, pki, files)
    node.file("image/rootimg/srv/p/q/r/s", "")
    node.lay_out()
    (node.root / "srv/p").rename(tmp_path / "away")
    boot = node.boot(STATE)
    report = json.loads(boot.text("report.json"))
    assert [entry["status"] for entry in report["entries"]] == ["failed", "skipped", "skipped", "skipped"]
    assert (report["done"], report["failed"], report["skipped"]) == (0, 1, 3)
    assert report["entries"][-1]["message"] == "its parent /srv/p/q/r failed"


@pytest.mark.parametrize("attachment", ["link", "bind"])
def test_a_full_statelite_is_told_and_what_has_no_room_is_never_half_there(attachment: str, tmp_path: Path, pki: Path) -> None:
    files = {f"/srv/{name}": f"{attachment},tmpfs" for name in ("a", "big", "last")}
    node = node_with(tmp_path, pki, files)
    node.tables["site"].append({"key": "litetmpfssize", "value": "2m"})
    node.file("image/rootimg/srv/a", "a\n")
    node.file("image/rootimg/srv/big", "x" * 3_000_000)
    node.file("image/rootimg/srv/last", "last\n")
    node.lay_out()
    boot = node.boot(STATE, [*files, "/etc/hostname"])
    assert boot.status == 0, boot.log
    assert {path: result[0] for path, result in boot.results.items()} == {"/srv/a": "done", "/srv/big": "failed", "/srv/last": "done"}
    assert "No space left on device" in boot.results["/srv/big"][2]
    report = json.loads((tmp_path / "spool" / "n1.json").read_text())["report"]
    assert (report["done"], report["failed"]) == (2, 1)
    assert report["room"]["size"] == 2 * 1024 * 1024
    assert 0 < report["room"]["used"] <= report["room"]["size"]
    assert 0 < report["room"]["inodes_used"] < report["room"]["inodes"]
    assert boot.seen["/srv/last"]["content"] == "last\n"
    assert boot.seen["/etc/hostname"]["content"] == "n1\n"
    # The image's own is seen in its place, and can't be written.
    assert (boot.seen["/srv/big"]["backing"], boot.seen["/srv/big"]["writable"]) == ("image", "EROFS")


def test_a_statelite_without_inodes_is_told_for_each_entry(tmp_path: Path, pki: Path) -> None:
    files = {f"/srv/d/{number}": "tmpfs" for number in range(200)}
    node = node_with(tmp_path, pki, files)
    node.tables["site"].append({"key": "litetmpfsinodes", "value": "150"})
    for path in files:
        node.file(f"image/rootimg{path}", f"{path}\n")
    node.lay_out()
    boot = node.boot(STATE)
    report = json.loads((tmp_path / "spool" / "n1.json").read_text())["report"]
    failed = [entry for entry in report["entries"] if entry["status"] == "failed"]
    assert 40 < len(failed) < 200, boot.log
    assert all("No space left on device" in entry["message"] for entry in failed)
    assert report["room"]["inodes_used"] == 150


@pytest.mark.parametrize("attachment", ["link", "bind"])
def test_what_is_created_without_room_is_not_called_done(attachment: str, tmp_path: Path, pki: Path) -> None:
    node = node_with(tmp_path, pki, {f"/srv/new{number}{kind}": f"{attachment},tmpfs" for number, kind in enumerate(["", "/"] * 60)})
    node.tables["site"].append({"key": "litetmpfsinodes", "value": "90"})
    node.lay_out()
    boot = node.boot(STATE)
    entries = json.loads((tmp_path / "spool" / "n1.json").read_text())["report"]["entries"]
    short = [entry for entry in entries if entry["status"] == "failed"]
    assert len(entries) == 120
    assert 20 < len(short) < 120, boot.log
    assert all("No space left on device" in entry["message"] for entry in short)


def test_levels_whose_servers_are_down_cost_their_time_once_and_are_named_with_it(tmp_path: Path, pki: Path) -> None:
    levels = [{"priority": str(number), "directory": f"10.0.0.{number}:/lt"} for number in (6, 7, 8)]
    node = node_with(tmp_path, pki, {"/etc/hosts": ""}, litetree=[*levels, {"priority": "9", "directory": "10.0.0.2:/common"}])
    servers_down(node)
    node.tables["site"].append({"key": "litelevelwait", "value": "4"})
    node.file("nfs/10.0.0.2/common/etc/hosts", "level\n")
    node.lay_out()
    with node.answering() as service:
        process = node.begin(service.port, STATE, ["/etc/hosts"])
        boot = node.finish(process)
    assert boot.status == 0, boot.log
    assert boot.seen["/etc/hosts"]["content"] == "level\n"
    told = json.loads(boot.text("report.json"))["levels"]
    assert [(level["status"], level["message"]) for level in told] == [("failed", "no answer within 4 s")] * 3 + [("mounted", "-")]
    assert [level["source"] for level in told] == [f"10.0.0.{number}" for number in ("6:/lt", "7:/lt", "8:/lt", "2:/common")]
    assert all(level["seconds"] >= 4 for level in told[:3])
    assert len(boot.text("together").splitlines()) == 3, "they are waited for side by side"
    tried = [line for line in boot.text("console").splitlines() if "can't be mounted" in line]
    assert len(tried) == 3
    assert all("tried for" in line and "(optional)" in line for line in tried)


def test_a_required_level_that_never_answers_is_tried_again_and_the_site_is_told_each_time(tmp_path: Path, pki: Path) -> None:
    node = node_with(tmp_path, pki, {}, litetree=[{"priority": "1", "directory": "10.0.0.6:/lt", "required": "yes"}])
    servers_down(node)
    node.tables["site"].append({"key": "litelevelwait", "value": "1"})
    node.lay_out()
    failure = tmp_path / "spool" / "n1.failure.json"
    with node.answering() as service:
        process = node.begin(service.port, STATE)
        try:
            wait_for(lambda: failure.exists() and json.loads(failure.read_text())["attempts"] >= 2)
        finally:
            node.end(process)
    assert "10.0.0.6:/lt: no answer within 1 s" in json.loads(failure.read_text())["message"]


@pytest.mark.parametrize("outer", ["1", "2"])
def test_a_level_in_another_level_is_found_whichever_comes_first(outer: str, tmp_path: Path, pki: Path) -> None:
    inner = {"1": "2", "2": "1"}[outer]
    levels = [{"priority": outer, "directory": "10.0.0.2:/common"}, {"priority": inner, "directory": "10.0.0.2:/common/own"}]
    node = node_with(tmp_path, pki, {"/etc/both": "", "/etc/inner": ""}, litetree=levels)
    node.file("nfs/10.0.0.2/common/etc/both", "outer\n")
    node.file("nfs/10.0.0.2/common/own/etc/both", "inner\n")
    node.file("nfs/10.0.0.2/common/own/etc/inner", "inner\n")
    node.lay_out()
    boot = node.boot(STATE, ["/etc/both", "/etc/inner"])
    assert [item["content"] for item in boot.seen.values()] == ["outer\n" if outer == "1" else "inner\n", "inner\n"]
    assert [level["status"] for level in json.loads(boot.text("report.json"))["levels"]] == ["mounted", "mounted"]


NESTED = ("/a", "/a/b", "/a/b/c", "/a/b/c")
SLOW = 'case "$*" in *:/a/b\\ *) until grep -qx 10.0.0.2:/ab "$WORK/asked"; do /bin/sleep 0.05; done ;; esac\n'
"""The level in the middle is mounted only when the one beside it was asked for."""


def nested(tmp_path: Path, pki: Path, slow: str, wait: str = "60") -> Node:
    """Return a node with levels in levels, deepest first, one of them twice, and one beside them; `slow` comes before every mount."""
    levels = [{"priority": str(9 - number), "directory": f"10.0.0.2:{place}"} for number, place in enumerate(NESTED)]
    node = node_with(tmp_path, pki, {"/etc/c": "", "/etc/b": ""}, litetree=[*levels, {"priority": "1", "directory": "10.0.0.2:/ab"}])
    first, rest = MOUNT.split("\n", 1)
    log = 'case "$*" in "-t nfs "*) echo "$5" >> "$WORK/asked" ;; esac\n'
    node.programs["mount"] = f"{first}\n{slow}{log}{rest}"
    node.tables["site"].append({"key": "litelevelwait", "value": wait})
    for place in ("a/b/c/etc", "ab"):
        node.file(f"nfs/10.0.0.2/{place}", None)
    for name in ("b", "c"):
        node.file(f"nfs/10.0.0.2/a/{'b/' if name == 'b' else 'b/c/'}etc/{name}", f"{name}\n")
    node.lay_out()
    return node


@pytest.mark.parametrize("_time", range(3))
def test_levels_in_levels_come_outermost_first_however_slow_one_is(_time: int, tmp_path: Path, pki: Path) -> None:
    boot = nested(tmp_path, pki, SLOW).boot(STATE, ["/etc/b", "/etc/c"])
    asked = [place.partition(":")[2] for place in boot.text("asked").splitlines() if ":/state" not in place]
    assert [place for place in asked if place != "/ab"] == ["/a", "/a/b", "/a/b/c"], boot.log
    assert asked.index("/ab") < asked.index("/a/b"), "what lies in nothing does not wait"
    assert [boot.seen[path]["content"] for path in ("/etc/b", "/etc/c")] == ["b\n", "c\n"]
    assert [level["status"] for level in json.loads(boot.text("report.json"))["levels"]] == ["mounted"] * 5


def test_levels_in_levels_of_a_server_that_is_down_cost_the_time_once(tmp_path: Path, pki: Path) -> None:
    node = nested(tmp_path, pki, 'case "$*" in *:/a\\ *|*:/a/*) exec /bin/sleep 600 ;; esac\n', "6")
    boot = node.boot(STATE)
    told = json.loads(boot.text("report.json"))["levels"]
    assert [level["status"] for level in told] == ["mounted"] + ["failed"] * 4, boot.log
    assert {level["message"] for level in told[1:]} == {"no answer within 6 s"}
    took = {level["source"]: level["seconds"] for level in told if level["source"] != "10.0.0.2:/ab"}
    assert sum(took.values()) < 2 * 6, took


@pytest.mark.parametrize("options", ["link,persistent", "link,tmpfs", "bind,persistent", "bind,tmpfs"])
def test_a_node_keeps_its_identity_in_whatever_etc_is(options: str, tmp_path: Path, pki: Path) -> None:
    node = node_with(tmp_path, pki, {"/etc/": options})
    node.lay_out()
    for _boot in range(2):
        seen = node.boot(STATE, ["/etc/machine-id", "/etc/hostname", "/etc/resolv.conf"]).seen
        assert seen["/etc/hostname"]["content"] == "n1\n"
        assert len(seen["/etc/machine-id"]["content"]) == 33
        assert seen["/etc/resolv.conf"]["content"] == "search lab.test\nnameserver 10.9.9.9\n"
    assert not any((tmp_path / "nfs/10.0.0.1/state/n1/etc" / name).stat().st_size for name in ("hostname",) if "persistent" in options)


def test_an_etc_of_the_image_alone_still_has_the_nodes_identity(tmp_path: Path, pki: Path) -> None:
    node = node_with(tmp_path, pki, {"/etc/": "link,ro"})
    node.lay_out()
    seen = node.boot(STATE, ["/etc/machine-id", "/etc/hostname"]).seen
    assert seen["/etc/hostname"]["content"] == "n1\n"
    assert len(seen["/etc/machine-id"]["content"]) == 33


@pytest.mark.parametrize("ignored", ["", "trap '' TERM; "])
def test_a_server_that_dies_while_content_is_copied_is_told_with_its_cause_and_the_node_starts_again(
    ignored: str, tmp_path: Path, pki: Path
) -> None:
    node = node_with(tmp_path, pki, {"/etc/hosts": ""})
    node.programs["chroot"] = (
        f'#!/bin/sh\ncase "$*" in *entries.sh) {ignored}while :; do /bin/sleep 1; done ;; esac\nexec /usr/sbin/chroot "$@"\n'
    )
    node.lay_out()
    boot = node.boot(f"{STATE} statelite.limit=0 statelite.limit=1 statelite.limit=1x")
    assert boot.status == 3, boot.log
    told = json.loads((tmp_path / "spool" / "n1.failure.json").read_text())
    assert told["stage"] == "entries"
    assert "not done after 1 s: does a server of a level, or of the state, no longer answer?" in told["message"]
    assert "starting again in" in boot.text("console")


@pytest.mark.parametrize(("word", "told"), [("statelite.once=0a1b2c3d4e5f", "0a1b2c3d4e5f"), ("statelite.once=no-such", None), ("", None)])
def test_a_boot_for_once_is_told_by_its_own_number(word: str, told: str | None, tmp_path: Path, pki: Path) -> None:
    node = node_with(tmp_path, pki, {"/etc/fine": "tmpfs"})
    node.lay_out()
    boot = node.boot(f"{STATE} {word}".strip())
    assert boot.status == 0, boot.log
    assert json.loads((tmp_path / "spool" / "n1.json").read_text())["report"].get("once") == told


def test_a_boot_for_once_that_failed_is_told_by_it_too(tmp_path: Path, pki: Path) -> None:
    node = node_with(tmp_path, pki, {"/srv/p/": "bind,tmpfs"})
    node.tables["litefile"].append({"image": "ALL", "file": "/srv/p/c", "options": "bind,persistent", "required": "yes"})
    node.lay_out()
    (node.root / "srv/p/c").unlink()
    (node.root / "srv/p").rmdir()
    assert node.boot(f"{STATE} statelite.once=0a1b2c3d4e5f").status == 3
    assert json.loads((tmp_path / "spool" / "n1.failure.json").read_text())["once"] == "0a1b2c3d4e5f"
