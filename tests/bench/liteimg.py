# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""liteimg's core against a plain Python loop of the same renames and links, side by side on a tree of 30,000 files.

python3 tests/bench/liteimg.py [rows ...]    prints two lines for each size and ends with 1 when liteimg takes more than its share.

The core is everything between the rows of the tables and the laid-out tree: parsing, planning, journal, carrying out. A whole
run also asks what this machine mounts and exports, takes the lock, and notes what makes the next run short. The plain loop
has nothing but the finished list of what to make, rename and link, with full paths.
"""

from __future__ import annotations

import gc
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from ansible_collections.diskless.statelite.plugins.module_utils.apply.files import sync_directory
from ansible_collections.diskless.statelite.plugins.module_utils.apply.operations import MakeDirectory, MakeFile, MakeLink, Move, WriteText
from ansible_collections.diskless.statelite.plugins.module_utils.lite.entry import entries_for
from ansible_collections.diskless.statelite.plugins.module_utils.lite.liteimg import Known, LiteimgPlan, plan_image, plan_site, uncollected
from ansible_collections.diskless.statelite.plugins.module_utils.lite.treeplan import Wanted, plan_tree
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site

SIZES = (60, 2000, 20000)
FILES = 30000
DISK = next(place for place in (Path(__file__).resolve().parents[2] / "build", Path(tempfile.gettempdir())) if place.is_dir())
"""Where the tree is made: on a disk's file system, as images are; in memory the plain loop's own part is several times smaller."""
TIMES = 4
"""How many times the plain loop's CPU time the core may take."""
SHARE = 4
"""Of how many parts of the first run an unchanged one may take one."""
FEW = 200
ROUNDS = ((3, 6), (15, 90))
"""How many rounds there are, at least and at most: of many rows, and of few."""


def site_of(count: int) -> Site:
    """Return a table as sites have them: mostly files attached by links, every tenth bound, every twentieth a directory."""
    rows = []
    for number in range(count):
        path = f"/opt/site/service{number % (count // 15 + 1)}/entry{number}"
        rows.append({"file": f"{path}/" if number % 20 == 0 else path, "options": "bind" if number % 10 == 5 else "link"})
    image = {"imagename": "bench", "osvers": "debian12", "osarch": "x86_64", "profile": "bench", "provmethod": "statelite"}
    return Site({"osimage": [image], "litefile": rows})


def place_of(root: Path, number: int, count: int) -> Path:
    """Return where the file of a row is; every twentieth is in a directory of its own."""
    place = root / f"opt/site/service{number % (count // 15 + 1)}/entry{number}"
    return place / "inside" if number % 20 == 0 else place


def fill(places: Iterable[Path]) -> None:
    """Make empty files and the directories above them."""
    for place in places:
        try:
            place.touch()
        except FileNotFoundError:
            place.parent.mkdir(parents=True)
            place.touch()


def planned(site: Site, directory: Path) -> LiteimgPlan | Known:
    """Return what liteimg has to do, as the module does."""
    plan = plan_site(site, "bench", True, False, str(directory), sys.exit)
    plan.result()
    return plan


def core(site: Site, directory: Path) -> None:
    """Lay the tree out, from the rows on."""
    with uncollected():
        tree = plan_tree(str(directory / "rootimg"), Wanted("bench", entries_for(site, "bench")))
        if not tree.lines():
            sys.exit("there was nothing to do")
        tree.apply()


def first(site: Site, directory: Path) -> None:
    """Lay the tree out as the module does."""
    plan = planned(site, directory)
    if not plan.lines():
        sys.exit("there was nothing to do")
    plan.apply()


def unchanged(site: Site, directory: Path) -> None:
    """Find that nothing is to be done."""
    if planned(site, directory).lines():
        sys.exit("the second run found something to do")


def steps_of(site: Site, directory: Path) -> list[tuple[int, str, str]]:
    """Return what has to be made (0), linked (1), renamed (2) and written (3) for the same tree, with full paths."""
    root = str(directory / "rootimg")
    steps: list[tuple[int, str, str]] = []
    for operation in plan_image(site, "bench", rootimgdir=str(directory)).tree.operations:
        path = root + operation.path
        if isinstance(operation, MakeDirectory):
            steps.append((0, path, ""))
        elif isinstance(operation, MakeLink):
            steps.append((1, path, operation.text))
        elif isinstance(operation, Move):
            steps.append((2, path, root + operation.target))
        elif isinstance(operation, (MakeFile, WriteText)):
            steps.append((3, path, getattr(operation, "text", "")))
    return steps


def plain(steps: list[tuple[int, str, str]]) -> None:
    """Make the tree."""
    for kind, path, text in steps:
        if kind == 0:
            os.mkdir(path)
        elif kind == 1:
            os.symlink(text, path)
        elif kind == 2:
            os.rename(path, text)
        else:
            with open(path, "w", encoding="utf-8") as stream:
                stream.write(text)


def seconds(act: Callable[[], object]) -> float:
    """Return the CPU seconds of `act`; the making of the tree is in the file system's journal before."""
    sync_directory(str(DISK))
    gc.collect()
    begun = time.process_time()
    act()
    return time.process_time() - begun


def on_a_tree(rest: Path, directory: Path, acts: Iterable[Callable[[], object]]) -> list[float]:
    """Return the CPU seconds of each act while the files that no row is for are in the tree."""
    os.rename(rest, directory / "rootimg/usr")
    taken = [seconds(act) for act in acts]
    os.rename(directory / "rootimg/usr", rest)
    return taken


def rounds(count: int, work: Path) -> Iterator[tuple[float, ...]]:
    """Give the CPU seconds of the plain loop, of the core, of a whole first run and of an unchanged one, as often as asked.

    Every run has a tree of its own, into which the files that no row is for are moved, and none is removed before the end: ext4
    searches past the inodes that were freed in the last minutes, which makes links dearer than everything else.
    """
    rest = work / "usr"
    fill(rest / f"share/part{number % 300}/file{number}" for number in range(FILES - count))
    number = 0
    while True:
        places = [work / f"{side}{number}" for side in range(3)]
        for place in places:
            fill(place_of(place / "rootimg", row, count) for row in range(count))
        steps, site = steps_of(site_of(count), places[0]), site_of(count)
        sides: list[list[Callable[[], object]]] = [
            [partial(plain, steps)],
            [partial(core, site_of(count), places[1])],
            [partial(first, site, places[2]), partial(unchanged, site_of(count), places[2])],
        ]
        taken = {side: on_a_tree(rest, places[side], sides[side]) for side in ((0, 1, 2) if number % 2 else (2, 1, 0))}
        yield (*taken[0], *taken[1], *taken[2])
        number += 1


def measure(count: int) -> bool:
    """Print the figures for a table of `count` rows; return whether liteimg keeps to both shares.

    What else runs on the machine only ever adds to a run's CPU time, so the least of several rounds on each side is what the work
    itself takes; while that is too much there are more rounds, up to a bound. One that is too slow in itself never passes.
    """
    fewest, most = ROUNDS[count <= FEW]
    figures: list[tuple[float, ...]] = []
    with tempfile.TemporaryDirectory(prefix="statelite-bench-", dir=DISK) as name:
        for figure in rounds(count, Path(name)):
            figures.append(figure)
            naive, laid, whole, again = (min(column) for column in zip(*figures))
            good, quick = laid <= TIMES * naive, again * SHARE <= whole
            if len(figures) >= (fewest if good and quick else most):
                break
    share = f"plain loop {naive:.4f} CPU s: {laid / naive:.1f} times (at most {TIMES}), a whole run {whole / naive:.1f} times"
    for is_good, words in (
        (good, f"the core {laid:.4f} CPU s, {share}"),
        (quick, f"unchanged {again:.4f} CPU s, 1/{whole / again:.1f} of the first run (at most 1/{SHARE})"),
    ):
        print(f"{'ok  ' if is_good else 'fail'} {count} rows: {words}, the least of {len(figures)} rounds", flush=True)
    return good and quick


def main() -> None:
    sizes = [int(word) for word in sys.argv[1:]] or list(SIZES)
    failed = [count for count in sizes if not measure(count)]
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
