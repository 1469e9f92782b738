# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory that a run works in goes with the run; what a killed run left goes with the next one, and nothing else does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.apply import scratch as room
from ansible_collections.diskless.statelite.plugins.module_utils.apply.scratch import PREFIX, remove_abandoned, scratch

RUNNER = """
import sys, time
from ansible_collections.diskless.statelite.plugins.module_utils.apply import scratch as room

room.LARGE = sys.argv[1]
with room.scratch("packages", room.LARGE) as path:
    open(f"{path}/lists", "w").close()
    print(path, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Give directories that stand for /var/tmp and /tmp."""
    large, small = tmp_path / "large", tmp_path / "small"
    large.mkdir()
    small.mkdir()
    monkeypatch.setattr(room, "LARGE", str(large))
    monkeypatch.setattr(tempfile, "tempdir", str(small))
    return large, small


def test_a_directory_is_one_users_own_and_gone_at_the_end(places: tuple[Path, Path]) -> None:
    large, small = places
    with scratch("sign") as path, scratch("packages", str(large)) as other:
        assert os.path.dirname(path) == str(small)
        assert os.path.dirname(other) == str(large)
        assert os.stat(path).st_mode & 0o777 == 0o700
        Path(other, "lists").mkdir()
    with pytest.raises(ValueError, match="it"), scratch("sign"):
        raise ValueError("it")
    assert not [*large.iterdir(), *small.iterdir()]


def test_a_program_that_still_ends_takes_its_own_file_away(places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    remove, gone = os.unlink, []

    def unlink(name: str, dir_fd: int | None = None) -> None:
        remove(name, dir_fd=dir_fd)
        gone.append(name)
        if len(gone) == 1:
            raise FileNotFoundError(2, "it was removed meanwhile", name)

    with scratch("sign") as path:
        for name in ("socket", "text"):
            Path(path, name).touch()
        monkeypatch.setattr(os, "unlink", unlink)
    assert len(gone) == 2
    assert not [entry for place in places for entry in place.iterdir()]


def test_what_a_killed_run_left_goes_with_the_next_run_and_what_is_at_work_stays(places: tuple[Path, Path]) -> None:
    large, small = places
    others = [small / f"{PREFIX}a-file", large / "of-somebody-else"]
    others[0].touch()
    others[1].mkdir()
    (small / f"{PREFIX}link").symlink_to(large)
    found = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    runner = subprocess.Popen([sys.executable, "-c", RUNNER, str(large)], stdout=subprocess.PIPE, text=True, env=found)
    assert runner.stdout is not None
    path = Path(runner.stdout.readline().strip())
    with scratch("sign"):
        assert (path / "lists").exists()
    os.kill(runner.pid, signal.SIGKILL)
    runner.wait()
    runner.stdout.close()
    assert (path / "lists").exists()
    remove_abandoned()
    assert sorted(large.iterdir()) == [others[1]]
    assert sorted(small.iterdir()) == [others[0], small / f"{PREFIX}link"]


def test_one_that_another_run_took_for_abandoned_before_it_was_locked_is_made_again(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, make = [], tempfile.mkdtemp

    def swept(**words: str) -> str:
        path = make(**words)
        made.append(path)
        if len(made) == 1:
            remove_abandoned()
        return path

    monkeypatch.setattr(tempfile, "mkdtemp", swept)
    with scratch("sign") as path:
        assert os.path.isdir(path)
        assert made[1:] == [path]
        assert path != made[0]
