# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several processes that do the same work, kept up by the one that started them."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator

LOG = logging.getLogger("statelite-answer")
AGAIN = 1.0
"""Seconds from the start of a process to that of the one that takes its place, at least."""


ENDS = (signal.SIGTERM, signal.SIGINT)
AWAITED = {*ENDS, signal.SIGCHLD}


def _start(work: Callable[[int], None], reading: int, writing: int) -> int:
    """Return the process that does the work; it gets a file that can be read as soon as this process is no more."""
    sys.stderr.flush()
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        os.close(writing)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, AWAITED)
        work(reading)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def keep_working(work: Callable[[int], None], count: int, ready: str) -> int:
    """Do `work` in `count` processes until SIGTERM or SIGINT; who ends before that is replaced. Return the exit status.

    `ready` is told as soon as all of them have been started.
    """
    reading, writing = os.pipe()
    started: dict[int, float] = {}
    # Signals are waited for, and never interrupt: an exception of a handler is lost where Python forks.
    signal.pthread_sigmask(signal.SIG_BLOCK, AWAITED)
    while True:
        while len(started) < count:
            began = time.monotonic()
            started[_start(work, reading, writing)] = began
        if ready:
            LOG.info("%s", ready)
            ready = ""
        if signal.sigwait(AWAITED) in ENDS:
            break
        for process, status in _ended():
            began = started.pop(process, 0.0)
            LOG.error("process %d ended (status %d); another one takes its place", process, os.waitstatus_to_exitcode(status))
            time.sleep(max(0.0, began + AGAIN - time.monotonic()))
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGTERM)
    for process in started:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(process, 0)
    return 0


def _ended() -> Iterator[tuple[int, int]]:
    """Yield process and status of those that have ended."""
    while True:
        try:
            process, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not process:
            return
        yield process, status
