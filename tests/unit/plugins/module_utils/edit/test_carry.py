# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tree becomes like its edited copy, wherever the run is killed, and what was in use stays readable."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from unittest.mock import patch

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.apply.root import Root
from ansible_collections.diskless.statelite.plugins.module_utils.edit import carry as carrying
from ansible_collections.diskless.statelite.plugins.module_utils.edit.carry import Carry, begin, carry_out, end, pending
from ansible_collections.diskless.statelite.plugins.module_utils.edit.difference import same_file, steps, survey, touched
from hypothesis import given, settings
from hypothesis import strategies as st

NAMES = st.sampled_from(["a", "b", "c", "lib"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
THINGS = st.one_of(
    st.tuples(st.just("file"), st.sampled_from(["", "one", "two"]), st.sampled_from([0o644, 0o4755])),
    st.tuples(st.just("link"), st.sampled_from(["x", "../y"]), st.just(0)),
    st.tuples(st.just("directory"), st.just(""), st.sampled_from([0o755, 0o700])),
    st.tuples(st.just("gone"), st.just(""), st.just(0)),
)
EDITS = st.lists(st.tuples(PATHS, THINGS), max_size=12)


class KilledError(BaseException):
    """As if the process ended here."""


def edit(root: Path, edits: list[tuple[str, tuple[str, str, int]]]) -> None:
    """Make and remove things in a tree, whatever stood there."""
    for path, (kind, text, mode) in edits:
        place = root / path
        parents = [parent for parent in place.parents if root in parent.parents]
        if any(parent.is_symlink() or (parent.exists() and not parent.is_dir()) for parent in parents):
            continue
        if kind == "directory" and place.is_dir() and not place.is_symlink():
            place.chmod(mode)
            continue
        if place.is_symlink() or place.is_file():
            place.unlink()
        elif place.is_dir():
            shutil.rmtree(place)
        if kind == "gone":
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        if kind == "link":
            place.symlink_to(text)
        elif kind == "file":
            place.write_text(text)
            place.chmod(mode)
        else:
            place.mkdir()
            place.chmod(mode)


def looks(root: Path) -> dict[str, tuple]:
    """Return everything that is to be the same in two trees."""
    found = {}
    for path, thing in survey(str(root)).items():
        content = (root / path.lstrip("/")).read_bytes() if thing.kind == 0o100000 else b""
        found[path] = (thing.kind, thing.look, thing.text, content)
    return found


def prepared(work: Path, before: list, after: list) -> tuple[Path, Path, Carry]:
    """Return a tree, its edited copy, and what carries the one to the other."""
    live, copy = work / "live", work / "copy"
    live.mkdir()
    edit(live, before)
    shutil.copytree(live, copy, symlinks=True)
    first = survey(str(copy))
    edit(copy, after)
    second = survey(str(copy))
    found = steps(survey(str(live)), second, touched(first, second), lambda path: same_file(f"{live}{path}", f"{copy}{path}"))
    return live, copy, Carry(str(live), str(copy), str(work / "kept/1"), found, {})


@settings(max_examples=60, deadline=None)
@given(before=EDITS, after=EDITS, killed=st.integers(min_value=0, max_value=40))
def test_a_tree_becomes_like_its_copy_wherever_it_is_killed(before: list, after: list, killed: int) -> None:
    with tempfile.TemporaryDirectory() as directory, patch.object(Root, "sync"):
        work = Path(directory)
        live, copy, carry = prepared(work, before, after)
        wanted = looks(copy)
        begin(str(work), carry)
        calls = iter(range(killed))

        def real_or_killed(call):
            def counted(*args, **kwargs):
                if next(calls, None) is None:
                    raise KilledError
                return call(*args, **kwargs)

            return counted

        try:
            with patch.object(carrying.os, "rename", real_or_killed(os.rename)), patch.object(carrying.os, "link", real_or_killed(os.link)):
                carry_out(carry)
        except KilledError:
            pass
        again = pending(str(work))
        assert again == carry
        carry_out(again)
        carry_out(again)
        end(str(work))
        assert looks(live) == wanted
        assert pending(str(work)) is None


def test_what_a_node_has_open_keeps_its_inode(tmp_path: Path) -> None:
    live, _copy, carry = prepared(
        tmp_path,
        [("a", ("file", "one", 0o644)), ("b", ("file", "two", 0o644)), ("c", ("file", "", 0o644))],
        [("a", ("file", "two", 0o644)), ("b", ("gone", "", 0)), ("c", ("directory", "", 0o755))],
    )
    inodes = {name: (live / name).stat().st_ino for name in "abc"}
    begin(str(tmp_path), carry)
    carry_out(carry)
    assert {name: (tmp_path / "kept/1" / name).stat().st_ino for name in "abc"} == inodes
    assert (live / "a").read_text() == "two"


def test_what_is_the_same_is_left_alone(tmp_path: Path) -> None:
    """A file written anew with the same content and time, and links made again, are no change."""
    live, copy, carry = prepared(tmp_path, [("a", ("file", "one", 0o644)), ("b", ("link", "x", 0))], [])
    assert carry.steps == []
    times = os.stat(live / "a")
    first = survey(str(copy))
    (copy / "a").unlink()
    (copy / "a").write_text("one")
    os.utime(copy / "a", ns=(times.st_atime_ns, times.st_mtime_ns))
    second = survey(str(copy))
    changed = touched(first, second)
    assert steps(survey(str(live)), second, changed, lambda path: same_file(f"{live}{path}", f"{copy}{path}")) == []
    (copy / "a").write_text("two")
    os.utime(copy / "a", ns=(times.st_atime_ns, times.st_mtime_ns))
    second = survey(str(copy))
    found = steps(survey(str(live)), second, touched(first, second), lambda path: same_file(f"{live}{path}", f"{copy}{path}"))
    assert [step.line() for step in found if step.kind != "meta"] == ["put /a"]


def test_libraries_come_before_what_needs_them_and_go_after(tmp_path: Path) -> None:
    _live, _copy, carry = prepared(
        tmp_path,
        [("lib/a", ("file", "", 0o644)), ("b", ("file", "", 0o644))],
        [("a", ("file", "one", 0o644)), ("lib/b", ("file", "one", 0o644)), ("lib/a", ("gone", "", 0))],
    )
    assert [step.line() for step in carry.steps if step.kind != "meta"] == ["put /lib/b", "put /a", "remove /lib/a"]


def test_a_journal_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "edit.json").write_text('{"format": 99}')
    with pytest.raises(Exception, match="is not a journal"):
        pending(str(tmp_path))
