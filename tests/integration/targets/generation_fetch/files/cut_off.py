# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill a fetch half-way and see that nothing of it is to be seen, and that the next one ends well: python cut_off.py OPTIONS.json COUNT

OPTIONS.json holds the module's options. The stream stops at a byte that nobody chose until the fetch is killed, so every one is half-way.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from ansible_collections.diskless.statelite.plugins.module_utils.image import fetch


def plan(options: dict[str, object]) -> fetch.Fetch:
    """Return the plan for the options, the module's defaults for the rest."""
    params = {name: option.get("default") for name, option in fetch.SPEC.items()}
    return fetch.read_and_plan({**params, **options}, print)


PART = """
import pathlib, random, subprocess, sys, time
content = subprocess.run(sys.argv[2:], stdout=subprocess.PIPE, check=True).stdout
sys.stdout.buffer.write(content[: random.randrange(1, len(content))])
sys.stdout.buffer.flush()
pathlib.Path(sys.argv[1]).touch()
time.sleep(600)
"""


def stopping(sign: Path) -> Callable[[dict[str, object], str], list[str]]:
    """Return what gives the ssh command with a reader behind it that passes a part on, makes the file `sign` and goes no further."""
    return lambda params, known: [sys.executable, "-c", PART, str(sign), *real(params, known)]


real = fetch.ssh_command
SOON = 120.0
"""Seconds for what takes a moment, on a machine that does other things too."""


def generations(place: Path) -> list[str]:
    """Return what a reader of the image directory sees."""
    directory = place / "generations"
    return sorted(name for name in os.listdir(directory) if not name.startswith(".")) if directory.exists() else []


def working(place: Path) -> list[str]:
    """Return the processes that have to do with the image directory."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if f"{place}/generations/." in words:
                found.append(words)
    return found


def cut_off(options: dict[str, object], sign: Path) -> bool:
    """Start a fetch and kill it when a part of it came; return whether it was half-way."""
    sign.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        fetch.ssh_command = stopping(sign)
        plan(options).apply()
        os._exit(0)
    deadline = time.monotonic() + SOON
    while not sign.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def main(options: dict[str, object], count: int, place: Path) -> None:
    """Cut `count` fetches off, then let one end."""
    before = generations(place)
    half_way = 0
    for number in range(count):
        half_way += cut_off(options, place.with_name("cut-off"))
        ends = time.monotonic() + SOON
        while working(place) and time.monotonic() < ends:
            time.sleep(0.05)
        if working(place) or generations(place) != before:
            sys.exit(f"cut off {number}: at work {working(place)}, to be seen {generations(place)}")
    if half_way != count:
        sys.exit(f"{half_way} of {count} were cut off half-way")
    due = plan(options)
    lines = due.lines()
    due.apply()
    left = [path.name for path in place.glob("generations/.*")]
    if generations(place) == before or left or plan(options).lines():
        sys.exit(f"the last one did not end well: {generations(place)}, left {left}")
    print(f"{half_way} of {count} were cut off half-way; then: {lines}")


if __name__ == "__main__":
    asked = json.loads(Path(sys.argv[1]).read_text())
    main(asked, int(sys.argv[2]), Path(sys.argv[3]))
