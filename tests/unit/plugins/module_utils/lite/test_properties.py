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

from ansible_collections.diskless.statelite.plugins.module_utils.apply import root as root_module
from ansible_collections.diskless.statelite.plugins.module_utils.apply.journal import Journal
from ansible_collections.diskless.statelite.plugins.module_utils.apply.root import Root
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.lite.layout import read_layout
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.lite import images
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("STATELITE_EXAMPLES", "0"))
FEW = 40
"""Examples in a run of all tests, always the same; STATELITE_EXAMPLES says how many random ones instead (10000 in the full run)."""
MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None
NAMES = ("a", "b", "etc", "x y", "\u00e9", "-q", "[z]")
ODD = ("n\nl", "\udcff", "t\ta")
"""Names that no row can have and an image may."""
TEXTS = ("/run/a", "a", "../b", "../../etc/a", "/etc", "/a/b", "nowhere", "../../../..", "/proc/self/mounts", "..", "b/a", "/outside")
OPTIONS = ("", "tmpfs", "persistent", "link,persistent", "bind", "ro", "link,ro", "con", "link,con", "bind,persistent", "localdisk")

paths = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))
below = st.lists(st.sampled_from((*NAMES, *ODD)), min_size=1, max_size=5).map(lambda parts: "/" + "/".join(parts))
plain = (
    st.fixed_dictionaries({"type": st.just("d"), "mode": st.sampled_from(["0755", "0700", "1777", "2750"])}),
    st.fixed_dictionaries(
        {"type": st.just("f"), "mode": st.sampled_from(["0644", "0000", "4755"]), "content": st.sampled_from(["", "text"])}
    ),
    st.fixed_dictionaries({"type": st.just("l"), "target": st.sampled_from(TEXTS)}),
)
odd = (
    st.fixed_dictionaries({"type": st.sampled_from("hps"), "mode": st.just("0620")}),
    st.fixed_dictionaries({"type": st.just("l"), "target": st.sampled_from(("../n\nl", "../\udcff/a"))}),
)
trees = st.dictionaries(paths, st.one_of(*plain), max_size=14)
odd_trees = st.dictionaries(st.one_of(paths, below), st.one_of(*plain, *odd), max_size=14)
"""With hard links, pipes, sockets and names that no row can have."""


@st.composite
def sites(draw: Any) -> tuple[dict[str, dict[str, Any]], dict[str, str], dict[str, str]]:
    """Return a tree and two tables, most of whose rows name what is in the tree or above it."""
    tree = draw(odd_trees)
    known = sorted({"/" + "/".join(path.split("/")[1:count]) for path in tree for count in range(2, 7)})
    lawful_ones = [path for path in known if not any(name in path for name in ODD)]
    rows = st.one_of(st.sampled_from(lawful_ones), paths) if lawful_ones else paths
    spelt = st.tuples(rows, st.booleans()).map(lambda pair: pair[0] + "/" * pair[1])
    tables = st.dictionaries(spelt, st.one_of(st.just(""), st.sampled_from(OPTIONS)), max_size=6)
    return tree, draw(tables), draw(tables)


def manifest(tree: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the lines of a tree: nothing lies below what is no directory; a hard link has the first file for its other name."""
    lines: dict[str, dict[str, Any]] = {"/run": {"type": "d", "mode": "0755"}}
    for path in sorted(tree):
        parts = path.split("/")[1:]
        places = ["/" + "/".join(parts[:count]) for count in range(1, len(parts))]
        if all(lines.get(place, {"type": "d"})["type"] == "d" for place in places):
            for place in places:
                lines.setdefault(place, {"type": "d", "mode": "0755"})
            lines.setdefault(path, tree[path])
    first = next((path for path, line in lines.items() if line["type"] == "f"), None)
    same = {"type": "h", "target": first} if first else {"type": "f", "mode": "0600"}
    return [{"path": path, **(same if line["type"] == "h" else line)} for path, line in lines.items()]


@contextmanager
def image(tree: dict[str, dict[str, Any]]) -> Iterator[Path]:
    """Give a tree on disk beside a directory that nothing may touch."""
    with tempfile.TemporaryDirectory(prefix="statelite-", dir=MEMORY) as directory:
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


SLOW = [HealthCheck.too_slow, HealthCheck.filter_too_much]
PROFILE = settings(max_examples=EXAMPLES or FEW, derandomize=not EXAMPLES, database=None, deadline=None, suppress_health_check=SLOW)


LESS = settings(PROFILE, max_examples=max(EXAMPLES // 5, FEW))


class KilledError(BaseException):
    """What no handler of liteimg's catches: the process is as good as gone."""


@contextmanager
def confined(by_kernel: bool) -> Iterator[None]:
    """Let liteimg find openat2 or do without it."""
    known = root_module.openat2_works
    root_module.openat2_works = lambda descriptor: by_kernel and known(descriptor)
    try:
        yield
    finally:
        root_module.openat2_works = known


def killed_at_every_step(root: Path, table: dict[str, str] | None, chance: random.Random) -> list[str]:
    """Lay a tree out in runs that are killed after one step each, before or after it is marked; return the first plan's lines."""
    step, kills, lines = Journal._step, 0, []
    while True:
        done = iter([False] if not kills else [True, False])
        marked = chance.random() < 0.5

        def stepped(self: Journal, opened: Root, operation: Any, done: Iterator[bool] = done, marked: bool = marked) -> None:
            if not next(done):
                raise KilledError
            step(self, opened, operation)
            if not marked:
                raise KilledError

        Journal._step = stepped
        try:
            told = images.apply(root, table)
            return lines or told
        except KilledError:
            kills += 1
            assert kills < 1000
            lines = lines or ["killed"]
        finally:
            Journal._step = step


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


def shuffled(table: dict[str, str], chance: random.Random) -> dict[str, str]:
    """Return the same rows in another order."""
    names = list(table)
    chance.shuffle(names)
    return {name: table[name] for name in names}


@PROFILE
@given(sites(), st.integers(), st.booleans())
def test_what_must_hold_for_every_tree_and_every_table(site, seed, by_kernel):
    """Apply is plan, a second run is empty, the order of rows is irrelevant, edits converge, absent gives back, kills leave no trace."""
    chance = random.Random(seed)
    tree, first, second = site
    with image(tree) as root, confined(by_kernel):
        before = images.snapshot(root)
        wanted = [table for table in (first, second) if lawful(root, table)]
        assume(wanted)
        plans = [images.plan(root, table).layout for table in wanted]
        for table, layout in zip(wanted, plans):
            assert images.plan(root, shuffled(table, chance)).layout == layout
        for table, layout in zip(wanted, plans):
            assert killed_at_every_step(root, table, chance) or layout.text() == plans[0].text()
            laid = images.snapshot(root)
            assert images.told(laid, layout.made) == images.foretold(before, layout.made)
            assert read_layout(str(root)) == layout
            assert images.apply(root, shuffled(table, chance)) == []
            assert images.snapshot(root) == laid
        assert killed_at_every_step(root, None, chance)
        assert images.snapshot(root) == before
        assert images.apply(root, None) == []


@LESS
@given(sites())
def test_everything_that_could_be_read_can_be_read_at_its_path_or_is_the_default(site):
    """Nothing is lost: each regular file and directory of the image is found again with its content below some name."""
    tree, table, _second = site
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


@LESS
@given(sites(), st.integers())
def test_an_edited_tree_converges_as_if_it_had_been_given_back_first(site, seed):
    tree, first, second = site
    with image(tree) as root, tempfile.TemporaryDirectory(prefix="statelite-", dir=MEMORY) as other:
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


@LESS
@given(sites(), st.data())
def test_a_failure_on_the_way_is_taken_back(site, data):
    tree, first, second = site
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
