# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""liteimg's core against a plain Python loop of the same renames and links, side by side on a tree of 30,000 files.

python3 tests/bench/liteimg.py [rows ...]    prints two lines for each size and ends with 1 when liteimg takes more than its share.

The core is everything between the rows of the tables and the laid-out tree: parsing, planning, journal, carrying out. The
plain loop has nothing but the finished list of what to make, rename and link, and joins paths as text.
"""

from __future__ import annotations

import gc
import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ansible_collections.diskless.statelite.plugins.module_utils.apply.operations import MakeDirectory, MakeFile, MakeLink, Move, WriteText
from ansible_collections.diskless.statelite.plugins.module_utils.lite.liteimg import Known, LiteimgPlan, plan_image, plan_site
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site

SIZES = (60, 2000, 20000)
FILES = 30000
DISK = next(place for place in (Path(__file__).resolve().parents[2] / "build", Path(tempfile.gettempdir())) if place.is_dir())
"""Where the tree is made: on a disk's file system, as images are; in memory the plain loop's own part is several times smaller."""
TIMES = 4
"""How many times the plain loop's CPU time the first run may take."""
SHARE = 4
"""Of how many parts of the first run an unchanged one may take one."""
ROUNDS = 7


def site_of(count: int) -> Site:
    """Return a table as sites have them: mostly files attached by links, every tenth bound, every twentieth a directory."""
    rows = []
    for number in range(count):
        path = f"/opt/site/service{number % (count // 15 + 1)}/entry{number}"
        rows.append({"file": f"{path}/" if number % 20 == 0 else path, "options": "bind" if number % 10 == 5 else "link"})
    image = {"imagename": "bench", "osvers": "debian12", "osarch": "x86_64", "profile": "bench", "provmethod": "statelite"}
    return Site({"osimage": [image], "litefile": rows})


def build(root: Path, count: int) -> None:
    """Make the tree: a file (or a directory with one) for each row, and the rest of the files elsewhere."""
    for number in range(FILES):
        if number < count:
            place = root / f"opt/site/service{number % (count // 15 + 1)}/entry{number}"
            place = place / "inside" if number % 20 == 0 else place
        else:
            place = root / f"usr/share/part{number % 300}/file{number}"
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


def first(site: Site, directory: Path) -> None:
    """Lay the tree out."""
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


def copied(directory: Path, copy: Path) -> None:
    """Make the same tree once more, with the same files under second names."""
    copy.mkdir()
    with os.scandir(directory) as found:
        for one in found:
            if one.is_dir(follow_symlinks=False):
                copied(directory / one.name, copy / one.name)
            else:
                os.link(one.path, copy / one.name)


def seconds(act: Callable[[], object]) -> float:
    """Return the CPU seconds of `act`; the tree as it was made is on the disk before, so that liteimg writes back its own work only."""
    os.sync()
    gc.collect()
    begun = time.process_time()
    act()
    return time.process_time() - begun


def measure(count: int) -> bool:
    """Print the figures for a table of `count` rows; return whether liteimg keeps to both shares.

    Every round has trees of its own, and none is removed before the end: ext4 searches past the inodes that were freed in the
    last minutes, which made each link dearer than all the rest. The least of several rounds is what the work itself takes.
    """
    figures: list[tuple[float, float, float]] = []
    with tempfile.TemporaryDirectory(prefix="statelite-bench-", dir=DISK) as name:
        work = Path(name)
        build(work / "rootimg", count)
        for number in range(ROUNDS if count < 20000 else 3):
            places = [work / f"plain{number}", work / f"liteimg{number}"]
            for place in places:
                place.mkdir()
                copied(work / "rootimg", place / "rootimg")
            steps = steps_of(site_of(count), places[0])
            acts = [partial(plain, steps), partial(first, site_of(count), places[1])]
            order = (0, 1) if number % 2 else (1, 0)
            taken = {one: seconds(acts[one]) for one in order}
            figures.append((taken[0], taken[1], seconds(partial(unchanged, site_of(count), places[1]))))
    naive, laid, again = (min(column) for column in zip(*figures))
    good, quick = laid <= TIMES * naive, again * SHARE <= laid
    for is_good, words in (
        (good, f"liteimg {laid:.4f} CPU s, plain loop {naive:.4f} CPU s, {laid / naive:.1f} times (at most {TIMES})"),
        (quick, f"unchanged {again:.4f} CPU s, 1/{laid / again:.1f} of the first run (at most 1/{SHARE})"),
    ):
        print(f"{'ok  ' if is_good else 'fail'} {count} rows: {words}", flush=True)
    return good and quick


def main() -> None:
    sizes = [int(word) for word in sys.argv[1:]] or list(SIZES)
    failed = [count for count in sizes if not measure(count)]
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
