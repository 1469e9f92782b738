# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must hold for every tree and every table: second run empty, absent restores, edits converge, nothing outside changes."""

from __future__ import annotations

import os
import random
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible_collections.diskless.statelite.plugins.module_utils.apply.root import Root
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.lite import images
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("STATELITE_EXAMPLES", "100"))
NAMES = ("a", "b", "etc", "x y", "é", "-q", "[z]")
TEXTS = ("/run/a", "a", "../b", "../../etc/a", "/etc", "/a/b", "nowhere", "../../../..", "/proc/self/mounts", "..", "b/a", "/outside")
OPTIONS = ("", "tmpfs", "persistent", "link,persistent", "bind", "ro", "link,ro", "con", "link,con", "bind,persistent", "localdisk")

paths = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))
nodes = st.one_of(
    st.fixed_dictionaries({"type": st.just("d"), "mode": st.sampled_from(["0755", "0700", "1777"])}),
    st.fixed_dictionaries(
        {"type": st.just("f"), "mode": st.sampled_from(["0644", "0000", "4755"]), "content": st.sampled_from(["", "text"])}
    ),
    st.fixed_dictionaries({"type": st.just("l"), "target": st.sampled_from(TEXTS)}),
)
trees = st.dictionaries(paths, nodes, max_size=14)
tables = st.dictionaries(st.tuples(paths, st.booleans()).map(lambda pair: pair[0] + "/" * pair[1]), st.sampled_from(OPTIONS), max_size=6)


def manifest(tree: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the lines of a tree: nothing lies below what is no directory."""
    lines: dict[str, dict[str, Any]] = {"/run": {"type": "d", "mode": "0755"}}
    for path in sorted(tree):
        parts = path.split("/")[1:]
        places = ["/" + "/".join(parts[:count]) for count in range(1, len(parts))]
        if all(lines.get(place, {"type": "d"})["type"] == "d" for place in places):
            for place in places:
                lines.setdefault(place, {"type": "d", "mode": "0755"})
            lines.setdefault(path, tree[path])
    return [{"path": path, **line} for path, line in lines.items()]


@contextmanager
def image(tree: dict[str, dict[str, Any]]) -> Iterator[Path]:
    """Give a tree on disk beside a directory that nothing may touch."""
    with tempfile.TemporaryDirectory(prefix="statelite-") as directory:
        root = images.build(Path(directory) / "rootimg", manifest(tree))
        outside = Path(directory) / "outside"
        outside.mkdir()
        (outside / "etc").mkdir()
        (outside / "file").write_text("kept", encoding="utf-8")
        before = images.snapshot(outside)
        yield root
        assert images.snapshot(outside) == before
        assert sorted(os.listdir(directory)) in (["outside", "rootimg"], [".liteimg", "outside", "rootimg"])
        for name in ("journal", "marks"):
            assert not os.path.exists(os.path.join(directory, ".liteimg", name))


PROFILE = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


def lawful(root: Path, table: dict[str, str]) -> bool:
    """Tell whether a table can be carried out on the tree; a refused one must leave everything as it is."""
    before = images.snapshot(root)
    try:
        images.plan(root, table)
    except SiteError as error:
        assert all(fault.where and fault.what and fault.mend for fault in error.faults)
        assert images.snapshot(root) == before
        return False
    assert images.snapshot(root) == before
    return True


@PROFILE
@given(trees, tables)
def test_a_second_run_is_empty_and_absent_gives_the_tree_back(tree, table):
    with image(tree) as root:
        before = images.snapshot(root)
        assume(lawful(root, table))
        assert images.apply(root, table)
        laid = images.snapshot(root)
        assert images.apply(root, table) == []
        assert images.snapshot(root) == laid
        assert images.apply(root, None)
        assert images.snapshot(root) == before
        assert images.apply(root, None) == []


@PROFILE
@given(trees, tables, tables)
def test_an_edited_table_gives_the_tree_of_a_first_run(tree, first, second):
    with image(tree) as root, image(tree) as fresh:
        assume(lawful(root, first) and lawful(root, second))
        images.apply(root, first)
        images.apply(root, second)
        images.apply(fresh, second)
        assert images.timeless(images.snapshot(root)) == images.timeless(images.snapshot(fresh))


@PROFILE
@given(trees, tables, st.randoms())
def test_the_order_of_rows_is_irrelevant(tree, table, chance):
    names = list(table)
    random.Random(chance.random()).shuffle(names)
    with image(tree) as root, image(tree) as other:
        assume(lawful(root, table))
        images.apply(root, table)
        images.apply(other, {name: table[name] for name in names})
        assert images.timeless(images.snapshot(root)) == images.timeless(images.snapshot(other))


@PROFILE
@given(trees, tables)
def test_everything_that_could_be_read_can_be_read_at_its_path_or_is_the_default(tree, table):
    """Nothing is lost: each regular file and directory of the image is found again with its content below some name."""
    with image(tree) as root:
        assume(lawful(root, table))
        inodes = {path.stat().st_ino for path in root.rglob("*") if not path.is_symlink()}
        images.apply(root, table)
        assert inodes <= {os.lstat(path).st_ino for path in [*root.rglob("*"), *root.rglob(".*")]}


def edit(root: Path, chance: random.Random) -> None:
    """Do to a laid-out tree what administrators do: write through the links, add files, put a file where a link was."""
    with Root(str(root)) as opened:
        places = sorted(path for path in images.snapshot(root) if not path.startswith(images.OURS) and path != "/.")
        for path in chance.sample(places, min(3, len(places))):
            try:
                real = opened.resolve(path)
            except SiteError:
                continue
            found = opened.lstat(real)
            if found is not None and stat.S_ISDIR(found.st_mode):
                name = f"{real}/{chance.choice(('a', 'new'))}"
                if opened.lstat(name) is None:
                    opened.replace(name, b"added", 0o644)
            elif chance.random() < 0.5 and found is not None and stat.S_ISREG(found.st_mode):
                opened.replace(real, b"edited", found.st_mode & 0o7777)
            elif stat.S_ISLNK(opened.lstat(path).st_mode):
                opened.unlink(path)
                opened.replace(path, b"newer", 0o640)


def without_record(root: Path) -> dict[str, Any]:
    """Return a tree without what the record says of it: whether a default was made or grew since is remembered differently."""
    return {path: item for path, item in images.timeless(images.snapshot(root)).items() if path != "/.statelite.json"}


@PROFILE
@given(trees, tables, tables, st.integers())
def test_an_edited_tree_converges_as_if_it_had_been_given_back_first(tree, first, second, seed):
    with image(tree) as root, tempfile.TemporaryDirectory(prefix="statelite-") as other:
        assume(lawful(root, first))
        images.apply(root, first)
        edit(root, random.Random(seed))
        copy = Path(other) / "rootimg"
        subprocess.run(["cp", "-a", str(root), str(copy)], check=True)
        try:
            images.apply(copy, None)
            images.apply(copy, second)
        except SiteError:
            assume(False)
        images.apply(root, second)
        assert without_record(root) == without_record(copy)
        assert images.apply(root, second) == []


@settings(PROFILE, max_examples=max(EXAMPLES // 5, 20))
@given(trees, tables, tables, st.data())
def test_a_failure_on_the_way_is_taken_back(tree, first, second, data):
    with image(tree) as root:
        assume(lawful(root, first) and lawful(root, second))
        images.apply(root, first)
        before = images.snapshot(root)
        made = images.plan(root, second)
        assume(made.operations)
        step = data.draw(st.integers(0, len(made.operations) - 1))
        broken = made.operations[step]

        class Refused:
            path = broken.path

            def run(self, _root):
                raise OSError(28, "No space left on device")

            def __getattr__(self, name):
                return getattr(broken, name)

        made.operations[step] = Refused()
        try:
            made.apply()
        except SiteError:
            pass
        else:
            raise AssertionError("a failing operation went unnoticed")
        assert images.timeless(images.snapshot(root)) == images.timeless(before)
        shutil.rmtree(root.parent / ".liteimg", ignore_errors=True)
