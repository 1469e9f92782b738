# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run of its own beside the lab's scenarios (tests/guest, tests/cross): its words, its namespaces, its logs, its table of facts."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import places
import preflight
import sandbox
from facts import Fact, conclude
from processes import LabError, Server
from progress import Progress

WORDS = ("all", "hold")


@dataclass(frozen=True)
class Stages:
    """One run inside its namespaces: where its logs are, what takes things down at its end, the facts that it has noted."""

    word: str
    logs: Path
    progress: Progress
    ends: ExitStack
    facts: list[Fact]


@dataclass(frozen=True)
class Run:
    """What a program in `directory` does: `prepare` where the machine's own network is, then `play` in namespaces of its own."""

    name: str
    usage: str
    directory: Path
    prepare: Callable[[Path], None]
    play: Callable[[Stages], None]
    words: tuple[str, ...] = WORDS

    def main(self) -> int:
        """Do what the word of the command line says; return the exit status."""
        word, *more = sys.argv[1:] or ["all"]
        if more or word not in self.words:
            print(self.usage, file=sys.stderr)
            return 2
        os.environ.pop("PYTHONPATH", None)
        if sandbox.inside():
            return self.played(word)
        try:
            preflight.require_machine()
            places.CACHE.mkdir(parents=True, exist_ok=True)
            self.prepare(places.CACHE / "mirror.log")
        except LabError as error:
            print(f"{self.name} failed: {error}", file=sys.stderr)
            return 1
        return sandbox.enter([word], self.directory)

    def played(self, word: str) -> int:
        """Play, print the table of facts; return the exit status."""
        sandbox.settle()
        logs = places.new_run(self.name)
        progress = Progress()
        progress.say(f"the logs of this run are in {logs}")
        stages = Stages(word, logs, progress, ExitStack(), [])
        ended = False
        try:
            with stages.ends:
                self.play(stages)
            ended = True
        except LabError as error:
            progress.say(f"{self.name} failed: {error}")
        good = conclude(stages.facts, logs) and ended
        progress.say(f"{self.name}: {len(stages.facts)} facts, {'as they must be' if good else 'NOT as they must be'}; logs in {logs}")
        return 0 if good else 1


def hold(progress: Progress, servers: list[Server], *logins: str) -> None:
    """Say how to get in, and keep everything up until a signal ends the run, or a server ends."""
    outside = os.environ[sandbox.INSIDE]
    progress.say(f"enter: nsenter --net --mount --target $(tr -d ' ' </proc/{outside}/task/{outside}/children)")
    for login in logins:
        progress.say(f"log in from there: ssh {login}")
    while all(server.running for server in servers):
        time.sleep(1)
