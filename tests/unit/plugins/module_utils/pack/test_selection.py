# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an exclude list leaves of a tree, side by side with find's own -path."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.image.exlist import Pattern
from ansible_collections.diskless.statelite.plugins.module_utils.pack.selection import matcher, select
from ansible_collections.diskless.statelite.plugins.module_utils.pack.staging import look
from hypothesis import given, settings
from hypothesis import strategies as st

NAMES = (
    "usr/share/doc/a/copyright",
    "usr/share/doc/b",
    "usr/bin/p[1]",
    "etc/a b",
    "etc/a^b",
    "etc/x-y",
    "var/\u00e9\nnew",
    "var/]",
    "w\\z",
)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tree")
    for name in NAMES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


def found(tree: Path, pattern: str) -> set[str]:
    """Return what find itself matches."""
    words = ["find", ".", "-path", pattern, "-print0"]
    out = subprocess.run(words, cwd=tree, capture_output=True, check=True, env={**os.environ, "LC_ALL": "C.UTF-8"}).stdout
    return {os.fsdecode(name) for name in out.split(b"\0") if name}


def gone(tree: Path, *lines: str) -> list[str]:
    patterns = [Pattern(line.lstrip("+"), line.startswith("+")) for line in lines]
    return sorted(select(look(str(tree)).entries, patterns).gone)


@given(st.lists(st.sampled_from([*"*?[]!^-abxyzup1/.\\", "[:alpha:]", "./usr/", "doc", "\u00e9"]), max_size=9).map("".join))
@settings(max_examples=150, deadline=None)
def test_a_pattern_matches_what_find_matches(tree: Path, text: str) -> None:
    pattern = f"./{text}"
    # find itself warns of these and matches nothing that a person could mean; glibc and others differ.
    if pattern.endswith("\\") or "[:" in pattern.replace("[[:alpha:]]", "") or "--" in pattern or "-[" in pattern or "\\]" in pattern:
        return
    expected = matcher([Pattern(pattern)], False)
    try:
        own = {path for path in look(str(tree)).entries if expected is not None and expected.fullmatch(path)}
    finally:
        theirs = found(tree, pattern)
    assert own == theirs


def test_a_star_matches_a_slash_and_the_directory_itself_stays(tree: Path) -> None:
    assert gone(tree, "./usr/share/doc/*") == ["./usr/share/doc/a", "./usr/share/doc/a/copyright", "./usr/share/doc/b"]
    assert gone(tree, "./usr/share/doc*")[0] == "./usr/share/doc"


def test_what_is_included_again_comes_with_its_directories_in_whatever_order(tree: Path) -> None:
    for lines in (("./usr*", "+./usr/share/*/copyright"), ("+./usr/share/*/copyright", "./usr*")):
        assert gone(tree, *lines) == ["./usr/bin", "./usr/bin/p[1]", "./usr/share/doc/b"]


def test_a_directory_alone_is_not_taken_from_what_it_holds(tree: Path) -> None:
    assert gone(tree, "./etc") == []


def test_without_patterns_nothing_goes(tree: Path) -> None:
    assert gone(tree) == []
    assert gone(tree, "+./etc/*") == []


def test_a_content_that_another_name_keeps_saves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 1000)
    os.link(tmp_path / "a", tmp_path / "b")
    (tmp_path / "c").write_bytes(b"y" * 500)
    entries = look(str(tmp_path)).entries
    chosen = select(entries, [Pattern("./b"), Pattern("./c")])
    assert (chosen.files, chosen.size) == (2, 500)
    assert select(entries, [Pattern("./[ab]")]).size == 1000


def test_paths_go_deepest_first(tree: Path) -> None:
    chosen = select(look(str(tree)).entries, [Pattern("./usr*")])
    assert all(not later.startswith(f"{path}/") for place, path in enumerate(chosen.gone) for later in chosen.gone[place:])
