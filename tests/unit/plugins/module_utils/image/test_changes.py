# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a change of packages did to a tree, and what it left there that a build from nothing would not have."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.image.changes import Changes, State, changes, state_of
from ansible_collections.diskless.statelite.plugins.module_utils.image.installers.aptedit import automatic
from ansible_collections.diskless.statelite.plugins.module_utils.image.leftovers import left_behind, remove_emptied, texts_of

EMPTY = State(frozenset(), {}, frozenset())


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, text in (("etc/passwd", "root:x:0:0::/root:/bin/sh\n"), ("etc/group", "root:x:0:\n"), ("etc/hosts", "a\n"), ("usr/gone", "")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "bin").symlink_to("usr/bin")
    return tmp_path


def test_a_tree_that_nobody_touched_has_not_changed(tree: Path) -> None:
    assert changes(state_of(str(tree)), state_of(str(tree))) == Changes()


def test_what_came_went_was_written_in_place_or_got_another_mode_has_changed(tree: Path) -> None:
    before = state_of(str(tree))
    (tree / "usr/gone").unlink()
    (tree / "usr/new").symlink_to("nowhere")
    (tree / "usr/empty").mkdir()
    (tree / "bin").unlink()
    (tree / "bin").symlink_to("usr/nib")
    with open(tree / "etc/hosts", "r+") as stream:
        stream.write("b")
    os.utime(tree / "etc/hosts", ns=(0, before.stamps["/etc/hosts"][3]))
    assert changes(before, state_of(str(tree))).paths == {"/usr/gone", "/usr/new", "/bin", "/etc/hosts"}
    before = state_of(str(tree))
    (tree / "etc/hosts").chmod(0o600)
    assert changes(before, state_of(str(tree))).paths == {"/etc/hosts"}


def test_accounts_are_told_by_their_names(tree: Path) -> None:
    before = state_of(str(tree))
    with open(tree / "etc/passwd", "a") as stream:
        stream.write("tool:x:101:101::/:/bin/false\n")
    (tree / "etc/group").write_text("root:x:0:tool\n")
    assert changes(before, state_of(str(tree))) == Changes(accounts=frozenset({"tool", "root"}))


def test_accounts_behind_a_link_are_nobody_s(tree: Path) -> None:
    (tree / "etc/passwd").unlink()
    (tree / "etc/passwd").symlink_to("/etc/passwd")
    assert state_of(str(tree)).accounts == {"/etc/group:root:x:0:"}


def standing(*paths: str, accounts: tuple[str, ...] = ()) -> State:
    return State(frozenset({"/etc", "/usr/lib"}), dict.fromkeys(paths, (0,)), frozenset(accounts))


@pytest.mark.parametrize(
    ("owned", "said", "after", "left"),
    [
        ({"/etc/tool.conf", "/lib/tool"}, "", standing("/etc/tool.conf"), "/etc/tool.conf"),
        ({"/lib/tool"}, "", standing("/usr/lib/tool"), "/usr/lib/tool"),
        ({"/usr/lib", "/usr/lib/tool"}, "", standing(), "/usr/lib"),
        (set(), "touch '/var/lib/tool/state'\n", standing("/var/lib/tool/state"), "/var/lib/tool/state"),
        (set(), "adduser --system tool\n", standing(accounts=("/etc/passwd:tool:x:101:101::/:",)), "the account tool"),
        (set(), "", standing("/etc/tool.conf.rpmsave"), "/etc/tool.conf.rpmsave"),
    ],
)
def test_what_packages_left_is_found_by_their_lists_and_scripts(owned: set[str], said: str, after: State, left: str) -> None:
    assert left_behind(owned, said, set(), EMPTY, after) == left
    assert left_behind(owned, said, set(), EMPTY, EMPTY) == ""


def test_directories_that_a_package_made_unasked_go_when_they_are_empty_and_of_no_package(tmp_path: Path) -> None:
    for path in ("usr/share/doc/tool/deep", "usr/share/full", "usr/lib/owned", "opt/tool"):
        (tmp_path / path).mkdir(parents=True)
    (tmp_path / "usr/share/full/left").touch()
    (tmp_path / "usr/share/doc/link").symlink_to("/opt/tool")
    owned = {"/usr/share/doc/tool/deep/a", "/usr/share/full/b", "/lib/owned/c", "/usr/share/doc/link/d"}
    remove_emptied(str(tmp_path), owned, {"/usr/lib/owned"})
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_dir() and not path.is_symlink())
    assert found == ["opt", "opt/tool", "usr", "usr/lib", "usr/lib/owned", "usr/share", "usr/share/doc", "usr/share/full"]


def test_what_other_packages_have_or_every_image_has_is_nothing_left() -> None:
    after = standing("/usr/lib/shared", "/etc/old.dpkg-old", accounts=("/etc/group:tool:x:8:", "/etc/passwd:nobody:x:65534:65534::/:"))
    said = "chgrp tool /usr/lib/shared\nchown nobody /var/none\n"
    assert left_behind({"/lib/shared", "/usr/lib"}, said, {"/usr/lib/shared", "/usr/lib"}, after, after) == ""


def test_what_makes_accounts_without_a_script_is_read_too(tmp_path: Path) -> None:
    declared = tmp_path / "usr/lib/sysusers.d/tool.conf"
    declared.parent.mkdir(parents=True)
    declared.write_text("u tool - -\n")
    (tmp_path / "usr/lib/sysusers.d/link.conf").symlink_to("/etc/passwd")
    paths = ["/lib/sysusers.d/tool.conf", "/usr/lib/sysusers.d/link.conf", "/usr/lib/sysusers.d/none.conf", "/etc/other"]
    assert texts_of(str(tmp_path), paths).split() == ["u", "tool", "-", "-"]


def test_apt_s_record_of_what_nobody_asked_for_is_that_of_an_installation() -> None:
    def stanzas(*names: str) -> str:
        return "".join(f"Package: {name}\nArchitecture: amd64\nAuto-Installed: 1\n\n" for name in names)

    text = stanzas("libb", "liba", "libgone", "tool")
    there = {"liba", "libb", "libnew", "tool", "base", "dropped"}
    assert automatic(text, there, {"libnew", "asked", "dropped"}, {"tool"}, "amd64") == stanzas("libb", "liba", "dropped", "libnew")
    assert automatic(text, {*there, "libgone"}, set(), set(), "amd64") == text
    assert automatic("", there, {"tool"}, {"tool"}, "amd64") == ""
