# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several of the field's tools in a row: what one writes the next one reads, and the last one writes a file."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import IO

from ..errors import Fault, SiteError
from .commands import ENVIRONMENT, last_lines, not_run, with_us

BROKEN_PIPE = -signal.SIGPIPE


@dataclass(frozen=True)
class Stage:
    """One tool of a row; `name` is what errors call it."""

    name: str
    arguments: Sequence[str]


def run_pipeline(
    stages: Sequence[Stage],
    output: str,
    *,
    limit: float,
    mend: str,
    source: str = os.devnull,
    environment: Mapping[str, str] | None = None,
    cwd: str | None = None,
) -> None:
    """Run the stages side by side: the first reads the file `source`, the last writes the new file `output`.

    `limit` is in seconds, for all of them together. Each leads a process group of its own; all are killed when the limit is
    over or this process is interrupted, and each stage itself is when this process is killed.
    Raises SiteError with the last lines of every stage that failed by itself.
    """
    deadline, variables = time.monotonic() + limit, {**ENVIRONMENT, **(environment or {})}
    with ExitStack() as ends:
        spoken: list[IO[bytes]] = []
        running: list[subprocess.Popen[bytes]] = []
        try:
            before: IO[bytes] = ends.enter_context(open(source, "rb"))
            target = ends.enter_context(open(output, "wb"))
            for stage in stages:
                spoken.append(ends.enter_context(tempfile.TemporaryFile()))
                last = len(spoken) == len(stages)
                running.append(_start(stage, before, target if last else None, spoken[-1], variables, cwd, mend))
                before.close()
                before = running[-1].stdout or before
            for process in running:
                process.wait(max(0.1, deadline - time.monotonic()))
        except BaseException as error:
            for process in running:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            if isinstance(error, subprocess.TimeoutExpired):
                names = " | ".join(stage.name for stage in stages)
                raise SiteError.of(names, f"did not end within {limit:g} s", mend) from error
            raise
        finally:
            for process in running:
                if process.stdout:
                    process.stdout.close()
        _judge(stages, [process.returncode for process in running], spoken, mend)


def _start(
    stage: Stage,
    before: IO[bytes],
    target: IO[bytes] | None,
    spoken: IO[bytes],
    environment: Mapping[str, str],
    cwd: str | None,
    mend: str,
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            with_us(stage.arguments, environment),
            stdin=before,
            stdout=target or subprocess.PIPE,
            stderr=spoken,
            env=environment,
            cwd=cwd,
            start_new_session=True,
        )
    except OSError as error:
        raise not_run(error, stage.name, mend) from error


def _judge(stages: Sequence[Stage], statuses: Sequence[int], spoken: Sequence[IO[bytes]], mend: str) -> None:
    """Raise the faults of the stages that failed; one that only lost its reader did not fail by itself."""
    failed = [place for place, status in enumerate(statuses) if status]
    causes = [place for place in failed if statuses[place] != BROKEN_PIPE] or failed
    faults = []
    for place in causes:
        spoken[place].seek(0)
        said = last_lines(spoken[place].read().decode(errors="replace"))
        faults.append(Fault(stages[place].name, f"ended with status {statuses[place]}; its last lines were:\n{said}", mend))
    if faults:
        raise SiteError(*faults)
