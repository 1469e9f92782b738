# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run stages one after the other: a line each with its time, a log each, and one closing line."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from places import LOGS, ROOT, environment

SHOWN = 40
"""Lines of a failed stage's log that are printed."""
NAMED = 10
"""Causes that stand on the line of a failed stage."""
TARGET = re.compile(r"^Running (\S+) integration test role$", re.MULTILINE)
CAUSE = re.compile(r"^(?:FAILED|FAIL|ERROR:?) +(?P<said>.+)$", re.MULTILINE)


class StageError(Exception):
    """A stage that found a fault or could not run; the message says which."""


class Log:
    """One stage's log file, and the commands that write to it."""

    def __init__(self, path: Path, ends: float) -> None:
        self.path = path
        self.ends = ends
        self.remarks: list[str] = []
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("", encoding="utf-8")

    def say(self, text: str) -> None:
        """Add a line of our own."""
        with self.path.open("a", encoding="utf-8") as log:
            log.write(f"{text}\n")

    def remark(self, text: str) -> None:
        """Add a line of our own that stands in the report too: what a stage could not try here."""
        self.say(text)
        self.remarks.append(text)

    def text(self) -> str:
        """Return everything that was written so far."""
        return self.path.read_text(encoding="utf-8", errors="replace")

    def run(self, arguments: Sequence[str], *, cwd: Path = ROOT, seen: bool = False, **extra: str) -> str:
        """Run a command, its output into the log (and, with `seen`, to the terminal); return what it wrote.

        `extra` is added to its environment. Raises StageError when it fails, is missing, or the stage's time is over.
        """
        self.say(f"$ {' '.join(arguments)}")
        start = len(self.text())
        left = self.ends - time.monotonic()
        try:
            status = _follow(arguments, cwd, {**environment(), **extra}, self.path, left, seen)
        except OSError as error:
            raise StageError(f"{arguments[0]} cannot be run: {error}") from error
        if status is None:
            raise StageError(f"{Path(arguments[0]).name} was stopped: the stage's time is over")
        if status != 0:
            raise StageError(f"{Path(arguments[0]).name} ended with status {status}")
        return self.text()[start:]


def _follow(arguments: Sequence[str], cwd: Path, seen_by: Mapping[str, str], path: Path, limit: float, seen: bool) -> int | None:
    """Run a command in a session of its own; return its status, or None when it had to be stopped."""
    with path.open("ab") as log:
        process = subprocess.Popen(
            list(arguments),
            cwd=cwd,
            env=dict(seen_by),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    shown = path.stat().st_size
    ends = time.monotonic() + limit
    try:
        while process.poll() is None:
            if time.monotonic() > ends:
                return None
            time.sleep(0.05)
            shown = _show(path, shown) if seen else shown
        if seen:
            _show(path, shown)
        return process.returncode
    finally:
        _stop(process)


def _show(path: Path, start: int) -> int:
    with path.open("rb") as log:
        log.seek(start)
        new = log.read()
    os.write(1, new)
    return start + len(new)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End what is left of a command's session: ask first (a lab takes its mounts down), then insist."""
    for number, patience in ((signal.SIGTERM, 45), (signal.SIGKILL, 10)):
        if process.poll() is not None:
            return
        os.killpg(process.pid, number)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            continue


def causes(text: str) -> list[str]:
    """Return what a log names as failed: targets of ansible-test with their last error, and tests and facts on lines of their own."""
    found = []
    pieces = TARGET.split(text)
    for name, piece in zip(pieces[1::2], pieces[2::2]):
        if re.search(r"\bfailed=[1-9]", piece):
            errors = re.findall(r"^\[ERROR\]: (.+)$", piece, re.MULTILINE)
            found.append(f"{name}: {errors[-1]}" if errors else name)
    found += [match["said"] for match in CAUSE.finditer(text)]
    return [cause[:300] for cause in dict.fromkeys(found)][:NAMED]


@dataclass(frozen=True)
class Stage:
    """One line of the report. `work` raises StageError, and may return how many tests it ran."""

    name: str
    work: Callable[[Log], int | None]
    limit: float
    always: bool = field(default=False)
    """Runs even when only other stages were asked for; nothing after it makes sense when it fails."""


def run(stages: Sequence[Stage]) -> int:
    """Run the stages; print the closing line; return the exit status."""
    passed = failed = 0
    begun = time.monotonic()
    for stage in stages:
        start = time.monotonic()
        log = Log(LOGS / f"{stage.name}.log", start + stage.limit)
        fault = None
        count = 1
        try:
            count = stage.work(log) or 1
        except StageError as error:
            fault = "; ".join([str(error), *causes(log.text())])
            log.say(fault)
        spent = time.monotonic() - start
        where = log.path.relative_to(ROOT)
        told = "; ".join([*log.remarks, *([fault] if fault else [])])
        print(f"{'FAIL' if fault else 'ok':4} {stage.name:12} {spent:7.1f} s  {where}{f'  {told}' if told else ''}", flush=True)
        if fault is None:
            passed += count
            continue
        failed += 1
        print(*(f"     | {line}" for line in log.text().splitlines()[-SHOWN:]), sep="\n", flush=True)
        if stage.always:
            break
    print(f"total {time.monotonic() - begun:.1f} s")
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed else 0
