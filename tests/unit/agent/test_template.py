# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A boot without the answer service and without a kept plan: the image's plan template, only when no entry needs more."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.apply.generations import Generation
from ansible_collections.diskless.statelite.plugins.module_utils.boot.kernel_args import Root, kernel_words, line_of
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.images import osimage
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site

from .node import Boot, Node, wait_for
from .test_agent import node_with

NOBODY = 1
"""A port where nobody listens."""


def bare(work: Path, pki: Path, files: Mapping[str, str], state: str = "") -> Node:
    """Return a laid-out node without levels, whose state is at `state`."""
    node = node_with(work, pki, files, litetree=[], statelite=[{"node": "compute", "statemnt": state}] if state else [])
    for path in files:
        node.file(f"image/rootimg{path}" + ("in" if path.endswith("/") else ""), "image\n")
    node.lay_out()
    return node


def words(node: Node) -> str:
    """Return the words that nodeset writes, without those that the test's own boot has."""
    site = Site(node.tables)
    image = osimage(site, "img1")
    line = line_of(kernel_words(site, "n1", Root(image, Generation(image.rootimgdir, None))))
    return " ".join(word for word in line.split() if not word.startswith(("XCAT=", "NODE=", "statelite.image=")))


def waits(node: Node, text: str, port: int = NOBODY, more: str = "") -> str:
    """Boot until the node asks on, and return what the console says; the boot must not end."""
    process = node.begin(port, f"{words(node)} {more}")
    console = node.work / f"boot{node.boots}" / "console"
    try:
        wait_for(lambda: console.exists() and console.read_text().count("asking again") >= 2)
        assert process.poll() is None
    finally:
        node.end(process)
    assert text in console.read_text()
    assert not (console.parent / "status").exists()
    return console.read_text()


def without_service(node: Node, paths: list[str]) -> Boot:
    return node.finish(node.begin(NOBODY, words(node), paths))


FILES = {
    "/etc/app/": "tmpfs",
    "/etc/app/own": "persistent",
    "/etc/motd": "con",
    "/srv/data/": "bind,persistent",
    "/srv/@NODE@": "bind,tmpfs",
    "/srv/kept @NODE@": "persistent",
    "/srv/fixed/": "ro",
}


@pytest.mark.parametrize("state", ["10.0.0.1:/state", "/state"])
def test_the_template_gives_the_root_that_the_services_plan_gives(state: str, tmp_path: Path, pki: Path) -> None:
    node = bare(tmp_path, pki, FILES, state)
    node.tables["site"].append({"key": "master", "value": "127.0.0.1"})
    node.tables.setdefault("noderes", []).append({"node": "compute", "nfsserver": "10.0.0.1"})
    node.lay_out()
    paths = [*FILES, "/etc/machine-id", "/etc/hostname", "/etc/app/in", "/srv/data/in"]
    without = without_service(node, paths)
    assert "plan=template" in without.text("console"), without.log
    report = json.loads(without.text("report.json"))
    assert (report["plan"], report["failed"], report["node"], report["generation"]) == ("template", 0, "n1", "-")
    with node.answering() as service:
        served = node.finish(node.begin(service.port, words(node), paths))
    assert "plan=service" in served.text("console"), served.log
    assert without.seen == served.seen
    assert without.seen["/srv/kept @NODE@"]["backing"] == "persistent"
    assert not set(without.results) ^ set(served.results)


def test_an_image_without_entries_boots_with_levels_too(tmp_path: Path, pki: Path) -> None:
    node = bare(tmp_path, pki, {})
    node.tables["litetree"] = [{"priority": "1", "directory": "10.0.0.1:/lt"}]
    assert "statelite.levels" not in words(node)
    assert "plan=template" in without_service(node, []).text("console")


def test_entries_that_may_come_from_levels_wait_for_the_service(tmp_path: Path, pki: Path) -> None:
    node = bare(tmp_path, pki, {"/etc/hosts": "tmpfs"})
    node.tables["litetree"] = [{"priority": "1", "directory": "10.0.0.1:/lt"}]
    waits(node, "entries may come from levels")


def test_persistent_entries_without_a_state_are_never_silently_volatile(tmp_path: Path, pki: Path) -> None:
    waits(bare(tmp_path, pki, {"/etc/hosts": "persistent"}), "the node's state is not mounted")


def test_persistent_entries_wait_for_a_state_that_is_down(tmp_path: Path, pki: Path) -> None:
    waits(bare(tmp_path, pki, {"/etc/hosts": "persistent"}, "10.0.0.3:/gone"), "the node's state is not mounted")


def test_an_answer_that_refuses_is_not_overruled_by_the_template(tmp_path: Path, pki: Path) -> None:
    node = bare(tmp_path, pki, {"/etc/hosts": "tmpfs"})
    node.tables["policy"] = []
    node.lay_out()
    with node.answering() as service:
        console = waits(node, "Permission denied for request", service.port)
    assert "template" not in console


def test_a_kept_plan_goes_before_the_template(tmp_path: Path, pki: Path) -> None:
    node = bare(tmp_path, pki, {"/etc/hosts": "persistent"}, "10.0.0.1:/state")
    with node.answering() as service:
        node.finish(node.begin(service.port, words(node)))
    assert "plan=kept" in without_service(node, []).text("console")


def test_a_boot_file_written_before_the_words_were_there_has_no_template(tmp_path: Path, pki: Path) -> None:
    node = bare(tmp_path, pki, {"/etc/hosts": "tmpfs"})
    process = node.begin(NOBODY, "statelite.levels=none")
    console = tmp_path / "boot1" / "console"
    try:
        wait_for(lambda: console.exists() and "no statelite.machine-id= word" in console.read_text())
    finally:
        node.end(process)
