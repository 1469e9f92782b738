# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the lab's things stand: in the repository (read), in build/cache (kept between runs), in build/lab (one directory a run)."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

LAB = Path(__file__).resolve().parent
REPOSITORY = LAB.parents[1]
BUILD = REPOSITORY / "build"
CACHE = BUILD / "cache"
RUNS = BUILD / "lab"
RUNS_KEPT = 6
"""How many runs' logs are kept; older ones go when a new run begins."""
BOX = "box"
"""Where in a run's directory the management node has its files; gone when the run has ended."""
LOCK = ".held"
TREES_KEPT = 2
"""How many cached directories of a kind are kept: the one in use, and the one before it, which another lab may still use."""


def digest(parts: Sequence[str]) -> str:
    """Return a short name for what `parts` say, the same whenever they say the same."""
    return sha256("\0".join(parts).encode()).hexdigest()[:16]


@contextmanager
def cached(kind: str, parts: Sequence[str]) -> Iterator[tuple[Path, Path | None]]:
    """Give the cached directory for what `parts` say and, when it is not there yet, an empty one to fill, which becomes it.

    One lab at a time is in here for a `kind`. A directory is whole or absent: what fails or is killed half-way is removed,
    now or by the next lab. The newest few stay.
    """
    home = CACHE / kind
    home.mkdir(parents=True, exist_ok=True)
    wanted = home / digest(parts)
    with (home / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for old in home.glob(".making-*"):
            remove_tree(old)
        if wanted.exists():
            yield wanted, None
            return
        making = home / f".making-{wanted.name}"
        making.mkdir()
        yield wanted, making
        making.rename(wanted)
        others = sorted((old for old in home.iterdir() if not old.name.startswith(".")), key=lambda old: old.stat().st_mtime)
        for old in others[: max(0, len(others) - TREES_KEPT)]:
            remove_tree(old)


def remove_tree(path: Path) -> None:
    """Remove a directory, never crossing into another file system: a build that failed may have left a mount in it."""
    subprocess.run(["rm", "-rf", "--one-file-system", str(path)], check=False)


def new_run(kind: str) -> Path:
    """Make the directory of a new run and return it; `build/lab/latest` leads to it.

    This process holds its run until it ends. Of runs that have ended, in whatever way, only logs stay, and of those the newest.
    """
    RUNS.mkdir(parents=True, exist_ok=True)
    ended = sorted(run for run in RUNS.iterdir() if run.is_dir() and not run.is_symlink() and not held(run))
    for old in ended:
        remove_tree(old / BOX)
    for old in ended[: max(0, len(ended) - RUNS_KEPT)]:
        remove_tree(old)
    while True:
        run = RUNS / f"{time.strftime('%Y%m%d-%H%M%S')}-{kind}"
        with contextlib.suppress(FileExistsError):
            run.mkdir()
            break
        time.sleep(1)
    lock = os.open(run / LOCK, os.O_CREAT | os.O_RDWR)  # open until this process ends
    fcntl.flock(lock, fcntl.LOCK_EX)
    latest = RUNS / f".latest-{run.name}"
    latest.symlink_to(run.name)
    latest.replace(RUNS / "latest")
    return run


def held(run: Path) -> bool:
    """Return whether the process that made `run` is still there."""
    try:
        with (run / LOCK).open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
