# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node's own disk: found by its label, formatted only where listed and empty, never another node's content, every failure told."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .disks import SIZE, Disk, Disks, run
from .node import Boot, Node, wait_for
from .test_agent import STATE, node_with
from .test_template import NOBODY, bare, without_service, words

FILES = {"/srv/scratch/": "localdisk", "/etc/kept": "localdisk"}
PATHS = ["/srv/scratch/", "/etc/kept"]
SMALLEST_XFS = 310 * 1024 * 1024


@pytest.fixture
def node(tmp_path: Path, pki: Path) -> Node:
    made = node_with(tmp_path, pki, FILES)
    made.file("image/rootimg/srv/scratch/first", "image\n", 0o640)
    made.file("nfs/10.0.0.2/common/etc/kept", "level\n")
    return made


def boot(node: Node, words: str = "", paths: list[str] | None = None) -> Boot:
    node.lay_out()
    return node.boot(words, PATHS if paths is None else paths)


def told(boot: Boot) -> dict[str, Any]:
    """Return what the report says of the disk."""
    disk: dict[str, Any] = json.loads(boot.text("report.json"))["disk"]
    return disk


def failures(boot: Boot) -> set[str]:
    assert {result[0] for result in boot.results.values()} == {"failed"}, boot.log
    return {result[2] for result in boot.results.values()}


def test_the_first_boot_formats_and_copies_and_the_second_keeps_what_was_written(node: Node, disks: Disks) -> None:
    disk = disks.add()
    disks.declare(node, disk.device)
    first = boot(node)
    assert first.status == 0, first.log
    assert told(first) == {"status": "mounted", "device": disk.device, "label": disks.label, "message": "formatted"}
    assert f"formatting {disk.device}" in first.text("console")
    assert first.results == {"/srv/scratch": ("done", "default", "-"), "/etc/kept": ("done", "2", "-")}
    assert first.seen["/srv/scratch/"] | {"mode": ""} == {
        "path": "/srv/scratch/", "type": "d", "mode": "", "backing": "localdisk", "writable": True, "list": ["first"],
    }  # fmt: skip
    disk.inside(f"echo written > {disk.own(node)}/etc/kept && rm {disk.own(node)}/srv/scratch/first")
    second = boot(node)
    assert told(second)["message"] == "-"
    assert {result[:2] for result in second.results.values()} == {("done", "kept")}
    assert (second.seen["/etc/kept"]["content"], second.seen["/srv/scratch/"]["list"]) == ("written\n", [])
    assert json.loads((node.work / "spool/n1.json").read_text())["report"]["disk"]["status"] == "mounted"


@pytest.mark.parametrize(("kind", "size"), [("ext4", SIZE), ("xfs", SMALLEST_XFS)])
def test_a_file_system_with_the_label_is_used_without_any_list(kind: str, size: int, node: Node, disks: Disks) -> None:
    other, disk = disks.add(), disks.add(size)
    other.make("another")
    disk.make(disks.label, kind=kind)
    disks.declare(node)
    before = other.digest()
    for source in ("2", "kept"):
        done = boot(node)
        assert done.results["/etc/kept"] == ("done", source, "-"), done.log
        assert done.seen["/etc/kept"]["backing"] == "localdisk"
    assert other.digest() == before


def test_without_a_list_nothing_is_ever_formatted(node: Node, disks: Disks) -> None:
    disk = disks.add()
    disks.declare(node)
    done = boot(node)
    assert done.status == 0, done.log
    why = f"no file system has the label {disks.label}; the site lists no device that may be formatted"
    assert failures(done) == {f"the local disk: {why}"}
    assert told(done) == {"status": "failed", "device": "-", "label": disks.label, "message": why}
    assert f"local disk: {why}" in done.text("console")
    assert done.seen["/etc/kept"]["backing"] == "image", "what fails shows the read-only image, and is not silently volatile"
    assert done.seen["/srv/scratch/"]["writable"] == "EROFS"
    assert disk.digest() == Disk(disk.image, str(disk.image)).digest()
    assert disk.label() == ""


def put(disk: Disk, name: str) -> None:
    if name == "ext4":
        disk.make("foreign")
    elif name == "a partition table":
        disk.write(struct.pack("<8B2I", 0, 0, 0, 0, 0x83, 0, 0, 0, 2048, 8192), 446)
        disk.write(b"\x55\xaa", 510)
    elif name == "a swap area":
        run("mkswap", disk.device)
    else:
        disk.write(b"LUKS\xba\xbe\0\1")


@pytest.mark.parametrize("name", ["ext4", "a partition table", "a swap area", "a LUKS volume"])
def test_a_listed_disk_that_holds_anything_is_left_as_it_is(name: str, node: Node, disks: Disks) -> None:
    disk = disks.add()
    put(disk, name)
    disks.declare(node, disk.device)
    before = disk.digest()
    done = boot(node)
    assert disk.digest() == before
    assert done.status == 0
    assert all(f"{disk.device} holds something (" in message for message in failures(done)), done.log
    assert f"{disk.device} is not formatted: it holds something" in done.text("console")


def test_the_first_listed_disk_that_is_there_and_empty_is_formatted_and_no_other(node: Node, disks: Disks) -> None:
    foreign, empty, later = disks.add(), disks.add(), disks.add()
    foreign.make("foreign")
    disks.declare(node, f"{foreign.device}, {empty.device},/dev/disk/by-id/nowhere,{later.device}")
    before = foreign.digest(), later.digest()
    done = boot(node)
    assert told(done)["device"] == empty.device, done.log
    assert (foreign.digest(), later.digest()) == before
    assert f"{foreign.device} is not formatted: it holds something" in done.text("console")


def test_a_disk_that_takes_no_writes_is_not_formatted_and_not_mounted(node: Node, disks: Disks) -> None:
    empty = disks.add(SIZE, "--read-only")
    disks.declare(node, empty.device)
    assert all(f"{empty.device} is read-only" in message for message in failures(boot(node)))
    run("mkfs.ext4", "-q", "-L", disks.label, str(empty.image))
    disk = disks.attach(empty.image, "--read-only")
    disks.detach(empty)
    done = boot(node)
    assert all(f"{disk.device} is read-only" in message for message in failures(done)), done.log
    assert told(done)["device"] == disk.device


def test_two_file_systems_with_the_label_are_refused_by_name(node: Node, disks: Disks) -> None:
    both = [disks.add(), disks.add()]
    for disk in both:
        disk.make(disks.label)
    disks.declare(node)
    before = [disk.digest() for disk in both]
    (message,) = failures(boot(node))
    assert f"several file systems have the label {disks.label} (" in message
    assert all(disk.device in message for disk in both)
    assert [disk.digest() for disk in both] == before


def test_a_label_on_anything_but_ext4_and_xfs_is_refused_by_name(node: Node, disks: Disks) -> None:
    disk = disks.add()
    disk.make(disks.label, kind="ext2")
    disks.declare(node, disk.device)
    before = disk.digest()
    assert all(f"{disk.device} has the label {disks.label} and is ext2, not ext4 or xfs" in message for message in failures(boot(node)))
    assert disk.digest() == before


def test_what_another_node_kept_is_not_this_nodes_and_out_of_its_sight(node: Node, disks: Disks, tmp_path: Path) -> None:
    disk = disks.add()
    names = [disk.own(node, "n2"), disk.own(node, "n1").replace(".", ".0")]
    for name in names:
        node.file(f"moved/{name}/etc/kept", "somebody else's\n")
    disk.make(disks.label, tmp_path / "moved")
    disks.declare(node)
    done = boot(node, paths=[*PATHS, "/.statelite/localdisk/"])
    assert done.seen["/etc/kept"]["content"] == "level\n", done.log
    assert done.seen["/.statelite/localdisk/"]["list"] == ["etc", "srv"]
    for name in names:
        assert f"also holds what {name.split('/')[1]} kept" in done.text("statelite.log")
        assert disk.inside(f"cat {name}/etc/kept", "-o", "ro") == "somebody else's"


def test_another_site_with_the_same_names_starts_anew(node: Node, disks: Disks) -> None:
    disk = disks.add()
    disks.declare(node, disk.device)
    boot(node)
    disks.declare(node, disk.device, litemachineseed="the other site")
    assert {result[1] for result in boot(node).results.values()} == {"default", "2"}


def test_an_over_full_disk_fails_what_has_no_room_and_nothing_else(node: Node, disks: Disks) -> None:
    node.file("image/rootimg/srv/scratch/big", "x" * 6_000_000)
    disk = disks.add(4 * 1024 * 1024)
    disks.declare(node, disk.device)
    done = boot(node)
    assert done.status == 0
    assert done.results["/srv/scratch"][0] == "failed"
    assert "No space left on device" in done.results["/srv/scratch"][2], done.log
    assert done.results["/etc/kept"] == ("done", "2", "-")
    assert disk.inside(f"ls -A {disk.own(node)}/srv", "-o", "ro") == "", "the half copy is gone"


def test_a_required_entry_without_its_disk_stops_the_boot_with_the_cause(node: Node, disks: Disks) -> None:
    disks.declare(node)
    node.tables["litefile"][0]["required"] = "yes"
    done = boot(node)
    assert done.status == 3
    assert "required entries failed: /srv/scratch" in done.text("console")
    assert json.loads((node.work / "spool/n1.failure.json").read_text())["stage"] == "entries"


def test_a_disk_in_disorder_is_not_mounted(node: Node, disks: Disks) -> None:
    disk = disks.add()
    disk.make(disks.label)
    disks.declare(node)
    for request in ("clri <2>", "set_super_value state 2"):
        run("debugfs", "-w", "-R", request, disk.device)
    (message,) = failures(boot(node))
    assert f"{disk.device} is not in order (e2fsck: 4)" in message


def test_a_disk_that_was_cut_off_is_mended_first(node: Node, disks: Disks) -> None:
    disk = disks.add()
    disk.make(disks.label)
    disks.declare(node)
    for request in ("set_super_value free_blocks_count 1", "set_super_value state 2"):
        run("debugfs", "-w", "-R", request, disk.device)
    done = boot(node)
    assert {result[0] for result in done.results.values()} == {"done"}, done.log
    assert run("e2fsck", "-n", "-f", disk.device)


def test_a_disk_that_shows_up_late_is_waited_for(node: Node, disks: Disks) -> None:
    disk = disks.add()
    disks.declare(node, litediskwait="60")
    node.lay_out()
    with node.answering() as service:
        process = node.begin(service.port)
        console = node.work / "boot1/console"
        wait_for(lambda: console.exists() and f"looking for the label {disks.label} for 60 s" in console.read_text())
        assert process.poll() is None
        disk.make(disks.label)
        done = node.finish(process)
    assert done.results["/etc/kept"] == ("done", "2", "-"), console.read_text()


def test_without_the_service_nothing_is_formatted(node: Node, disks: Disks) -> None:
    disk = disks.add()
    disks.declare(node, "/dev/disk/by-id/nowhere")
    failures(boot(node, STATE))
    kept = node.nfs / "10.0.0.1/state/n1/.statelite/plan"
    kept.write_text(kept.read_text().replace("/dev/disk/by-id/nowhere", disk.device))
    before = disk.digest()
    done = node.finish(node.begin(NOBODY, STATE))
    assert "plan=kept" in done.text("console"), done.log
    assert all("nothing is formatted without the answer service" in message for message in failures(done))
    assert disk.digest() == before


def test_the_template_finds_the_disk_by_the_kernel_lines_word(tmp_path: Path, pki: Path, disks: Disks) -> None:
    disk = disks.add()
    disk.make(disks.label)
    node = bare(tmp_path, pki, FILES)
    disks.declare(node, disk.device)
    done = without_service(node, PATHS)
    assert "plan=template" in done.text("console"), done.log
    assert {result[:2] for result in done.results.values()} == {("done", "default")}
    assert done.seen["/etc/kept"]["backing"] == "localdisk"
    said = without_disk_word(node)
    assert "no statelite.disk= word" in said


def without_disk_word(node: Node) -> str:
    """Boot without the service from a boot file that was written before the image had a row for local disks; return what is said."""
    given = " ".join(word for word in words(node).split() if not word.startswith("statelite.disk="))
    process = node.begin(NOBODY, given)
    console = node.work / f"boot{node.boots}" / "console"
    try:
        wait_for(lambda: console.exists() and "asking again" in console.read_text())
    finally:
        node.end(process)
    return console.read_text()


@pytest.mark.parametrize("parent", ["tmpfs", "persistent", "localdisk"])
@pytest.mark.parametrize("child", ["tmpfs", "persistent", "ro", "con", "localdisk"])
def test_a_child_keeps_its_own_storage(parent: str, child: str, tmp_path: Path, pki: Path, disks: Disks) -> None:
    files = {"/srv/p/": f"bind,{parent}", **{f"/srv/p/sub/{name}": f"bind,{child}" for name in ("c", "new")}}
    node = node_with(tmp_path, pki, files)
    disks.declare(node, disks.add().device)
    for name in ("sub/c", "sub/other"):
        node.file(f"image/rootimg/srv/p/{name}", f"{name}\n")
    backing = {"tmpfs": "tmpfs", "persistent": "persistent", "localdisk": "localdisk", "ro": "image", "con": "tmpfs"}
    for _boot in range(2):
        done = boot(node, STATE, ["/srv/p/", "/srv/p/sub/c", "/srv/p/sub/new", "/srv/p/sub/other", "/srv/p/sub/"])
        assert {result[0] for result in done.results.values()} == {"done"}, done.log
        seen = done.seen
        assert (seen["/srv/p/"]["backing"], seen["/srv/p/sub/other"]["backing"]) == (backing[parent], backing[parent])
        assert (seen["/srv/p/sub/c"]["backing"], seen["/srv/p/sub/c"]["content"]) == (backing[child], "sub/c\n")
        assert (seen["/srv/p/sub/new"]["backing"], seen["/srv/p/sub/new"]["content"]) == (backing[child], "")
        assert seen["/srv/p/sub/"]["list"] == ["c", "new", "other"]


@pytest.fixture
def parted(disks: Disks) -> Iterator[tuple[Disk, Disk]]:
    """Give a disk with a partition table, and its one partition, on which nothing is."""
    disk = disks.add()
    put(disk, "a partition table")
    run("addpart", disk.device, "1", "2048", "32768")
    yield disk, Disk(disk.image, f"{disk.device}p1")
    run("delpart", disk.device, "1")


def test_a_listed_partition_is_formatted_and_its_disk_is_not(node: Node, disks: Disks, parted: tuple[Disk, Disk]) -> None:
    disk, partition = parted
    disks.declare(node, f"{disk.device},{partition.device}")
    with open(disk.device, "rb") as stream:
        before = stream.read(2048 * 512)
    done = boot(node)
    assert told(done) == {"status": "mounted", "device": partition.device, "label": disks.label, "message": "formatted"}, done.log
    assert f"{disk.device} is not formatted: it has partitions" in done.text("console")
    with open(disk.device, "rb") as stream:
        assert stream.read(2048 * 512) == before
    assert {result[:2] for result in boot(node).results.values()} == {("done", "kept")}


def test_a_listed_disk_in_use_is_left_alone(node: Node, disks: Disks, tmp_path: Path) -> None:
    disk = disks.add()
    disk.make("used")
    disks.declare(node, disk.device)
    (tmp_path / "used").mkdir()
    run("mount", disk.device, str(tmp_path / "used"))
    try:
        assert all(f"{disk.device} is in use" in message for message in failures(boot(node)))
    finally:
        run("umount", str(tmp_path / "used"))
    assert disk.label() == "used"


SLOW = "#!/bin/sh\nexec /bin/sleep 60\n"
IMPATIENT = '#!/bin/sh\n[ "$1" != 600 ] || { shift; set -- 1 "$@"; }\nexec /usr/bin/timeout "$@"\n'
"""Ten minutes in one second."""


@pytest.mark.parametrize("tool", ["e2fsck", "mkfs.ext4"])
def test_a_tool_that_does_not_end_costs_the_disk_and_not_the_boot(tool: str, node: Node, disks: Disks) -> None:
    disk = disks.add()
    if tool == "e2fsck":
        disk.make(disks.label)
    disks.declare(node, disk.device)
    node.lay_out()
    with node.answering() as service:
        node.programs = {tool: SLOW, "timeout": IMPATIENT}
        done = node.finish(node.begin(service.port))
    (message,) = failures(done)
    why = {"e2fsck": f"the check of {disk.device} did not end in 600 s", "mkfs.ext4": f"{disk.device} could not be formatted"}[tool]
    assert why in message
