# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the agent does of its own: every storage in both attachments, pairs, identity, waiting, falling back, failing."""

from __future__ import annotations

import json
import re
import resource
from collections.abc import Mapping
from pathlib import Path

import pytest

from .node import Node, wait_for

STATE = "STATEMNT=10.0.0.1:/state"
NAMES = ("plain", "a blank", "*", "quote'\"", "back\\slash", "-dash", "$HOME", "ümläut", "[x]", "#hash", "a&b<c>")


def node_with(work: Path, pki: Path, files: Mapping[str, str], liteattach: str = "link", **tables: list[dict[str, str]]) -> Node:
    """Return a node for litefile rows given as path to options, one level and a place for its state."""
    rows = [{"image": "ALL", "file": path, "options": options} for path, options in files.items()]
    levels = [{"priority": "1", "directory": "10.0.0.1:/lt/$node"}, {"priority": "2", "directory": "10.0.0.2:/common"}]
    state = [{"node": "compute", "statemnt": "10.0.0.1:/state"}]
    node = Node(work, pki, {"litefile": rows, "litetree": levels, "statelite": state, **tables})
    node.tables["site"].append({"key": "liteattach", "value": liteattach})
    for place in ("10.0.0.1/lt/n1", "10.0.0.2/common", "10.0.0.1/state/n1"):
        node.file(f"nfs/{place}", None)
    for name in ("machine-id", "hostname", "resolv.conf"):
        node.file(f"image/rootimg/etc/{name}", "")
    return node


@pytest.mark.parametrize("attachment", ["link", "bind"])
@pytest.mark.parametrize("name", NAMES)
def test_every_storage_works_for_every_name(attachment: str, name: str, tmp_path: Path, pki: Path) -> None:
    storages = ("tmpfs", "persistent", "ro", "con")
    files = {f"/etc/{storage} {name}": f"{attachment},{storage}" for storage in storages}
    files |= {f"/srv/{storage} {name}/": f"{attachment},{storage}" for storage in ("tmpfs", "persistent", "ro")}
    node = node_with(tmp_path, pki, files)
    for path in files:
        inside = f"{path}in {name}" if path.endswith("/") else path
        node.file(f"image/rootimg{inside}", "image\n", 0o640)
    for path in (f"/etc/ro {name}", f"/etc/con {name}", f"/srv/ro {name}/in {name}"):
        node.file(f"nfs/10.0.0.2/common{path}", "level\n")
    node.lay_out()
    boot = node.boot(STATE, list(files))
    assert boot.status == 0, boot.log
    assert {result[0] for result in boot.results.values()} == {"done"}, boot.log
    seen = {path: tuple(boot.seen[path].get(key) for key in ("backing", "writable", "content", "list")) for path in files}
    assert seen == {
        f"/etc/tmpfs {name}": ("tmpfs", True, "image\n", None),
        f"/etc/persistent {name}": ("persistent", True, "image\n", None),
        f"/etc/ro {name}": ("level", "EROFS", "level\n", None),
        f"/etc/con {name}": ("tmpfs", True, "image\nlevel\n", None),
        f"/srv/tmpfs {name}/": ("tmpfs", True, None, [f"in {name}"]),
        f"/srv/persistent {name}/": ("persistent", True, None, [f"in {name}"]),
        f"/srv/ro {name}/": ("level", "EROFS", None, [f"in {name}"]),
    }
    report = json.loads(boot.text("report.json"))
    assert sorted(entry["path"] for entry in report["entries"]) == sorted(path.rstrip("/") for path in files)
    assert json.loads((tmp_path / "spool" / "n1.json").read_text())["report"] == report


BACKING = {"tmpfs": ("tmpfs", True), "persistent": ("persistent", True), "ro": ("image", "EROFS"), "con": ("tmpfs", True)}


@pytest.mark.parametrize("attachment", ["link", "bind"])
@pytest.mark.parametrize("parent", ["tmpfs", "persistent"])
@pytest.mark.parametrize("child", ["tmpfs", "persistent", "ro", "con"])
def test_a_child_keeps_its_own_storage_in_every_parent(attachment: str, parent: str, child: str, tmp_path: Path, pki: Path) -> None:
    files = {"/srv/p/": f"{attachment},{parent}", "/srv/p/sub/c": f"{attachment},{child}"}
    files["/srv/p/sub/new"] = f"{attachment},{child}"
    node = node_with(tmp_path, pki, files)
    for name in ("sub/c", "sub/other"):
        node.file(f"image/rootimg/srv/p/{name}", f"{name}\n")
    node.lay_out()
    for _boot in range(2):
        boot = node.boot(STATE, ["/srv/p/", "/srv/p/sub/c", "/srv/p/sub/new", "/srv/p/sub/other", "/srv/p/sub/"])
        assert boot.status == 0, boot.log
        assert {result[0] for result in boot.results.values()} == {"done"}, boot.log
        seen = boot.seen
        assert (seen["/srv/p/"]["backing"], seen["/srv/p/"]["writable"]) == BACKING[parent]
        assert seen["/srv/p/sub/other"]["backing"] == parent
        assert seen["/srv/p/sub/other"]["content"] == "sub/other\n"
        assert (seen["/srv/p/sub/c"]["backing"], seen["/srv/p/sub/c"]["writable"]) == BACKING[child]
        assert seen["/srv/p/sub/c"]["content"] == "sub/c\n"
        assert seen["/srv/p/sub/new"]["content"] == ""
        assert seen["/srv/p/sub/"]["list"] == ["c", "new", "other"]


@pytest.mark.parametrize("shared", [False, True])
def test_depths_of_different_storages_by_turns(shared: bool, tmp_path: Path, pki: Path) -> None:
    files = {"/srv/a/": "bind,tmpfs", "/srv/a/b/": "bind,persistent", "/srv/a/b/c/": "bind,tmpfs", "/srv/a/b/c/d": "bind,persistent"}
    node = node_with(tmp_path, pki, files)
    node.shared = shared
    node.file("image/rootimg/srv/a/b/c/d", "d\n")
    node.lay_out()
    boot = node.boot(STATE, ["/srv/a/", "/srv/a/b/", "/srv/a/b/c/", "/srv/a/b/c/d"])
    assert [item["backing"] for item in boot.seen.values()] == ["tmpfs", "persistent", "tmpfs", "persistent"]
    assert boot.seen["/srv/a/b/c/d"]["content"] == "d\n"


def test_the_first_level_that_has_a_path_gives_it_and_nothing_is_merged(tmp_path: Path, pki: Path) -> None:
    node = node_with(tmp_path, pki, {"/etc/app/": "tmpfs", "/etc/one": ""})
    node.file("image/rootimg/etc/app/image", "")
    node.file("image/rootimg/etc/one", "image\n")
    node.file("nfs/10.0.0.2/common/etc/app/.dot", "")
    node.file("nfs/10.0.0.2/common/etc/one", "second\n")
    node.file("nfs/10.0.0.1/lt/n1/etc/one", "first\n")
    node.lay_out()
    boot = node.boot(STATE, ["/etc/app/", "/etc/one"])
    assert boot.seen["/etc/app/"]["list"] == [".dot"]
    assert boot.seen["/etc/one"]["content"] == "first\n"
    assert boot.results["/etc/app"] == ("done", "2", "overlay")


def test_the_node_has_its_own_identity_at_every_boot(tmp_path: Path, pki: Path) -> None:
    node = node_with(tmp_path, pki, {})
    node.lay_out()
    paths = ["/etc/machine-id", "/etc/hostname", "/etc/resolv.conf"]
    first, second = node.boot("", paths).seen, node.boot("", paths).seen
    assert first == second
    assert first["/etc/hostname"]["content"] == "n1\n"
    assert first["/etc/resolv.conf"]["content"] == "search lab.test\nnameserver 10.9.9.9\n"
    assert len(first["/etc/machine-id"]["content"]) == 33
    assert first["/etc/machine-id"]["mode"] == "0444"


@pytest.mark.parametrize(
    ("options", "level", "content"),
    [("tmpfs", "level\n", "level\n"), ("tmpfs", "", "search lab.test\nnameserver 10.9.9.9\n"), ("bind,con", "piece\n", "piece\n")],
)
def test_a_listed_resolver_comes_from_its_level_else_from_dhcp(options: str, level: str, content: str, tmp_path: Path, pki: Path) -> None:
    node = node_with(tmp_path, pki, {"/etc/resolv.conf": options})
    if level:
        node.file("nfs/10.0.0.2/common/etc/resolv.conf", level)
    node.lay_out()
    assert node.boot("", ["/etc/resolv.conf"]).seen["/etc/resolv.conf"]["content"] == content


@pytest.mark.parametrize("content", ["", "nameserver 10.1.1.1\n"])
def test_a_node_to_which_dhcp_says_nothing_has_a_resolver_file_of_its_own(content: str, tmp_path: Path, pki: Path) -> None:
    node = node_with(tmp_path, pki, {"/srv/data/": "tmpfs"})
    node.file("image/rootimg/etc/resolv.conf", content)
    node.lay_out()
    node.resolver = ""
    seen = node.boot("", ["/etc/resolv.conf"]).seen["/etc/resolv.conf"]
    assert (seen["content"], seen["backing"], seen["writable"]) == (content, "tmpfs", True)


def test_a_resolver_that_is_a_link_is_left(tmp_path: Path, pki: Path) -> None:
    node = node_with(tmp_path, pki, {})
    (node.root / "etc/resolv.conf").unlink()
    (node.root / "etc/resolv.conf").symlink_to("../run/resolved")
    node.lay_out()
    boot = node.boot("", ["/etc/resolv.conf"])
    assert boot.status == 0
    assert boot.seen["/etc/resolv.conf"]["type"] == "ENOENT"


def test_a_service_that_comes_back_is_enough(tmp_path: Path, pki: Path) -> None:
    node = node_with(tmp_path, pki, {"/etc/hosts": "tmpfs"})
    node.lay_out()
    with node.answering() as service:
        port = service.port
    process = node.begin(port)
    console = tmp_path / "boot1" / "console"
    wait_for(lambda: console.exists() and console.read_text().count("boot plan:") >= 9)
    with node.answering(port):
        boot = node.finish(process)
    assert boot.status == 0, boot.log
    assert "plan=service" in boot.text("console")


def test_without_the_service_the_plan_carried_out_last_is_used(tmp_path: Path, pki: Path) -> None:
    node = node_with(tmp_path, pki, {"/etc/hosts": "persistent"})
    node.lay_out()
    first = node.boot(STATE)
    assert "plan=service" in first.text("console")
    second = node.finish(node.begin(1, STATE, ["/etc/hosts"]))
    assert second.status == 0, second.log
    assert "plan=kept" in second.text("console")
    assert second.seen["/etc/hosts"]["backing"] == "persistent"


def test_a_plan_for_another_generation_is_not_used(tmp_path: Path, pki: Path) -> None:
    node = node_with(tmp_path, pki, {"/etc/hosts": "persistent"})
    node.lay_out()
    node.boot(STATE)
    process = node.begin(1, f"{STATE} statelite.generation=7")
    console = tmp_path / "boot2" / "console"
    try:
        wait_for(lambda: console.exists() and console.read_text().count("asking again") >= 2)
    finally:
        node.end(process)
    assert "asking again in 60 s" in console.read_text()


def test_an_answer_that_refuses_is_not_overruled_by_a_kept_plan(tmp_path: Path, pki: Path) -> None:
    node = node_with(tmp_path, pki, {"/etc/hosts": "persistent"})
    node.lay_out()
    node.boot(STATE)
    node.tables["policy"] = []
    node.lay_out()
    console = tmp_path / "boot2" / "console"
    with node.answering() as service:
        process = node.begin(service.port, STATE)
        try:
            wait_for(lambda: console.exists() and "asking again" in console.read_text())
        finally:
            node.end(process)
    assert "Permission denied for request" in console.read_text()


def test_a_server_that_the_sites_ca_does_not_know_is_not_believed(tmp_path: Path, pki: Path, other_pki: Path) -> None:
    node = node_with(tmp_path, pki, {})
    node.lay_out()
    node.pki = other_pki
    console = tmp_path / "boot1" / "console"
    with node.answering() as service:
        process = node.begin(service.port)
        try:
            wait_for(lambda: console.exists() and "asking again" in console.read_text())
        finally:
            node.end(process)
    assert "verif" in console.read_text()
    assert not list((tmp_path / "spool").iterdir())


def test_a_server_of_any_ca_in_the_image_is_believed(tmp_path: Path, pki: Path, other_pki: Path) -> None:
    node = node_with(tmp_path, pki, {})
    node.lay_out()
    (node.root / "etc/statelite/ca.pem").write_bytes((pki / "ca.pem").read_bytes() + (other_pki / "ca.pem").read_bytes())
    for served in (pki, other_pki):
        node.pki = served
        assert "plan=service" in node.boot().text("console")


def test_a_required_level_is_waited_for_and_every_failure_is_told(tmp_path: Path, pki: Path) -> None:
    node = node_with(tmp_path, pki, {}, litetree=[{"priority": "1", "directory": "10.0.0.3:/late", "required": "yes"}])
    node.lay_out()
    failure = tmp_path / "spool" / "n1.failure.json"
    with node.answering() as service:
        process = node.begin(service.port)
        wait_for(lambda: failure.exists() and json.loads(failure.read_text())["attempts"] >= 2)
        told = json.loads(failure.read_text())
        node.file("nfs/10.0.0.3/late", None)
        boot = node.finish(process)
    assert boot.status == 0, boot.log
    assert told["stage"] == "levels"
    assert "10.0.0.3:/late" in told["message"]
    assert not failure.exists(), "a good report ends the count"
    assert json.loads((tmp_path / "spool" / "n1.json").read_text())["failed_before"] >= 2


def test_an_optional_level_that_is_down_is_reported_and_the_boot_goes_on(tmp_path: Path, pki: Path) -> None:
    node = node_with(tmp_path, pki, {"/etc/hosts": ""}, litetree=[{"priority": "1", "directory": "10.0.0.3:/gone"}])
    node.lay_out()
    boot = node.boot()
    assert boot.status == 0
    assert [(level["status"], level["source"]) for level in json.loads(boot.text("report.json"))["levels"]] == [
        ("failed", "10.0.0.3:/gone")
    ]


def test_a_failed_required_entry_ends_the_boot_and_says_which(tmp_path: Path, pki: Path) -> None:
    node = node_with(tmp_path, pki, {})
    node.tables["litefile"] = [{"image": "ALL", "file": "/etc/must", "options": "bind,tmpfs", "required": "yes"}]
    node.lay_out()
    (node.root / "etc/must").unlink()
    boot = node.boot()
    assert boot.status == 3
    told = json.loads((tmp_path / "spool" / "n1.failure.json").read_text())
    assert (told["stage"], told["attempts"]) == ("entries", 1)
    assert "/etc/must" in told["message"]
    assert node.boot().status == 3
    assert json.loads((tmp_path / "spool" / "n1.failure.json").read_text())["attempts"] == 2
    node.file("image/rootimg/etc/must", "")
    assert node.boot().status == 0


def test_children_of_a_failed_entry_are_skipped_and_the_rest_is_done(tmp_path: Path, pki: Path) -> None:
    node = node_with(tmp_path, pki, {"/srv/p/": "bind,tmpfs", "/srv/p/c": "bind,persistent", "/etc/fine": "tmpfs"})
    node.lay_out()
    for path in ("srv/p/c", "srv/p"):
        place = node.root / path
        place.unlink() if place.is_file() else place.rmdir()
    boot = node.boot(STATE)
    assert boot.status == 0
    assert boot.results["/srv/p"][0] == "failed"
    assert boot.results["/srv/p/c"] == ("skipped", "-", "its parent /srv/p failed")
    assert boot.results["/etc/fine"][0] == "done"
    assert "done=1 failed=1 skipped=1" in boot.text("console")


def test_a_first_copy_cut_off_in_the_middle_is_made_again(tmp_path: Path, pki: Path) -> None:
    node = node_with(tmp_path, pki, {"/srv/data/": "persistent"})
    node.file("image/rootimg/srv/data/whole", "x")
    node.file("nfs/10.0.0.1/state/n1/srv/.statelite-new/half", "")
    node.lay_out()
    boot = node.boot(STATE, ["/srv/data/"])
    assert boot.seen["/srv/data/"]["list"] == ["whole"]
    assert sorted(path.name for path in (tmp_path / "nfs/10.0.0.1/state/n1/srv").iterdir()) == ["data"]


def test_relative_links_of_a_linked_directory_lead_where_they_led(tmp_path: Path, pki: Path) -> None:
    node = node_with(tmp_path, pki, {"/etc/": ""})
    node.file("image/rootimg/opt/release", "12\n")
    node.file("image/rootimg/etc/hosts", "")
    (node.root / "etc/os-release").symlink_to("../opt/release")
    node.lay_out()
    boot = node.boot("", ["/etc/os-release", "/etc/hosts"])
    assert boot.seen["/etc/os-release"]["content"] == "12\n"
    assert boot.seen["/etc/hosts"]["writable"] is True


def test_two_thousand_entries_take_few_processes(tmp_path: Path, pki: Path) -> None:
    files = {f"/srv/d{number % 40}/f{number}": ("", "bind,tmpfs")[number % 2] for number in range(2000)}
    node = node_with(tmp_path, pki, files)
    for path in files:
        node.file(f"image/rootimg{path}", path)
    node.lay_out()
    before = sum(process_times())
    boot = node.boot("", ["/srv/d7/f7", "/srv/d8/f8"])
    assert boot.status == 0
    assert {result[0] for result in boot.results.values()} == {"done"}
    assert [item["content"] for item in boot.seen.values()] == ["/srv/d7/f7", "/srv/d8/f8"]
    assert sum(process_times()) - before < 10, "a tripwire: the bench has the figure"


def process_times() -> tuple[float, float]:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime, usage.ru_stime


def test_the_word_debug_traces_to_console_and_log(tmp_path: Path, pki: Path) -> None:
    node = node_with(tmp_path, pki, {"/etc/hosts": "bind"})
    node.lay_out()
    quiet, traced = node.boot(), node.boot("statelite.debug")
    for name in ("console", "statelite.log"):
        assert not re.search(r"^\+ ", quiet.text(name), re.MULTILINE)
        assert re.search(r"^\+ mount_statelite", traced.text(name), re.MULTILINE)
        assert re.search(r"^\+ make_binds", traced.text(name), re.MULTILINE)
        assert "STATELITE node=n1" in traced.text(name)
    assert traced.status == 0


def test_a_traced_boot_that_fails_still_says_so(tmp_path: Path, pki: Path) -> None:
    node = node_with(tmp_path, pki, {})
    node.tables["litefile"] = [{"image": "ALL", "file": "/etc/must", "options": "bind,tmpfs", "required": "yes"}]
    node.lay_out()
    (node.root / "etc/must").unlink()
    assert node.boot("statelite.debug").status == 3
