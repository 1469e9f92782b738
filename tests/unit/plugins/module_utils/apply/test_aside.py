# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process beside this one: what it says, what it mounts, and that nothing of it outlasts its time."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.apply.aside import Aside, LateError, Piece

LIMIT = 30.0


def serve(request: Sequence[Any]) -> Iterator[Piece]:
    """What the processes of these tests do."""
    verb, *rest = request
    if verb == "say":
        yield from rest
        yield bytes(range(256)) * 4096
    elif verb == "fail":
        yield "begun"
        raise OSError(rest[0], os.strerror(rest[0]))
    elif verb == "hang":
        yield "begun"
        time.sleep(rest[0])
    elif verb == "mount":
        subprocess.run(["mount", "-t", "tmpfs", "aside-test", rest[0]], check=True)
        Path(rest[0], "inside").touch()
        yield sorted(os.listdir(rest[0]))
    elif verb == "who":
        held = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]
        yield [os.getpid(), sorted(os.readlink(name).split(":")[0] for name in held if os.path.islink(name))]


@pytest.fixture
def aside() -> Iterator[Aside]:
    made = Aside(serve)
    yield made
    made.close()


def only(aside: Aside, verb: str) -> Any:
    """Return the one piece of an answer."""
    (piece,) = aside.ask([verb], LIMIT)
    return piece


def alive(pid: int) -> bool:
    """Return whether a process runs; one that is dead and not buried does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def gone(pid: int, limit: float = 60) -> bool:
    """Wait until a process has ended."""
    deadline = time.monotonic() + limit
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(pid)


def test_what_it_says_comes_piece_by_piece_and_faults_as_they_are(aside: Aside) -> None:
    name = os.fsdecode(b"odd \xff name")
    pieces = list(aside.ask(["say", {"name": name}, [1, 2]], LIMIT))
    assert pieces[:2] == [{"name": name}, [1, 2]]
    assert pieces[2] == bytes(range(256)) * 4096
    for number in (errno.ENOENT, errno.ETIMEDOUT, errno.ECONNREFUSED):
        with pytest.raises(OSError) as caught:
            list(aside.ask(["fail", number], LIMIT))
        assert caught.value.errno == number
    assert only(aside, "say")[:3] == b"\x00\x01\x02", "a fault does not end it"


def test_a_late_answer_ends_it_and_takes_no_longer_than_said(aside: Aside) -> None:
    pid = only(aside, "who")[0]
    began = time.monotonic()
    with pytest.raises(LateError):
        list(aside.ask(["hang", 60], 0.3))
    assert time.monotonic() - began < 50
    assert gone(pid)
    with pytest.raises(LateError):
        list(aside.ask(["say"], LIMIT))


def test_an_answer_that_nobody_takes_to_its_end_is_not_taken_for_the_next(aside: Aside) -> None:
    answer = aside.ask(["say", 1, 2], LIMIT)
    assert next(answer) == 1
    answer.close()
    with pytest.raises(LateError):
        list(aside.ask(["say", 3], LIMIT))


def test_it_holds_no_descriptor_that_somebody_could_wait_for(aside: Aside) -> None:
    null = os.devnull
    assert only(aside, "who")[1] == [null, null, null, "socket"]


def test_what_it_mounts_is_seen_by_it_alone_and_goes_with_it(aside: Aside, tmp_path: Path) -> None:
    assert list(aside.ask(["mount", str(tmp_path)], LIMIT)) == [["inside"]]
    assert not list(tmp_path.iterdir())
    pid = only(aside, "who")[0]
    assert "aside-test" in Path(f"/proc/{pid}/mounts").read_text(encoding="utf-8")
    aside.close()
    assert gone(pid)


def test_it_dies_with_the_process_that_made_it_however_that_ends(tmp_path: Path) -> None:
    script = (
        "import sys, time\n"
        "from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.apply.test_aside import serve\n"
        "from ansible_collections.diskless.statelite.plugins.module_utils.apply.aside import Aside\n"
        "aside = Aside(serve)\n"
        f"list(aside.ask(['mount', {str(tmp_path)!r}], 30))\n"
        "print(list(aside.ask(['who'], 30))[0][0], flush=True)\n"
        "list(aside.ask(['hang', 600], 600))\n"
    )
    above = Path(__file__).resolve()
    roots = [path for path in sys.path if path] + [str(above.parents[7])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(roots)}
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    assert alive(pid)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert gone(pid)
    assert process.stdout.read() == ""
    process.stdout.close()
