# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say what the lab does: a line when a stage ends, and one at least every fifteen seconds while it lasts."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from processes import tail

BEAT = 14.0
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f-\x9f\udc80-\udcff]")
SHOWN = 90


def plain(text: str) -> str:
    """Return `text` on one line, without a terminal's colours and control characters, cut to what fits behind a stage's name."""
    return CONTROL.sub("", text).replace("\n", " ").strip()[:SHOWN]


class Progress:
    """Print stages to stdout with the seconds since the lab began."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.lock = threading.Lock()

    def say(self, text: str) -> None:
        """Print one line now."""
        with self.lock:
            print(f"[{time.monotonic() - self.began:6.1f} s] {text}", flush=True)

    @contextmanager
    def stage(self, title: str, log: Path | None = None) -> Iterator[None]:
        """A stage of work: `log` is named at its end, and its last line is shown while the stage lasts."""
        began = time.monotonic()
        over = threading.Event()

        def beat() -> None:
            while not over.wait(BEAT):
                last = plain(tail(log, 1)) if log else ""
                self.say(f"  … {title}, {time.monotonic() - began:.0f} s{': ' + last if last else ''}")

        beating = threading.Thread(target=beat, daemon=True)
        beating.start()
        outcome = "failed"
        try:
            yield
            outcome = "done"
        finally:
            over.set()
            beating.join()
            self.say(f"{title}: {outcome} in {time.monotonic() - began:.1f} s{f' (log: {log})' if log else ''}")
