# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the coverage-guided targets have in common: a tree of their own, an input as numbers and text, a time limit for one input."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import atheris

COLLECTION = "ansible_collections.diskless.statelite"
AGAIN = "STATELITE_FUZZ_AGAIN"
"""Names in the environment a program that starts this target once more: merging does so."""
SLOW = 8.0
"""CPU seconds that one input of at most LARGEST bytes may take, atheris's own counting in them."""
LARGEST = 4096


class FoundError(Exception):
    """A fault that the code under test did not raise itself: what it did, and what it should have done."""


def expect(fact: object, what: object) -> None:
    """Raise FoundError when the fact does not hold."""
    if not fact:
        raise FoundError(str(what))


def work_directory(name: str) -> Path:
    """Return a directory of this target's own; whoever started it removes it, for libFuzzer ends a process without a word."""
    return Path(tempfile.mkdtemp(prefix=f"{name}-"))


class Input:
    """One input: each number takes a byte from its beginning, the text is the rest."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def below(self, limit: int) -> int:
        """Return a number from 0 to `limit` - 1."""
        taken, self._data = self._data[:1], self._data[1:]
        return (taken[0] if taken else 0) % limit

    def one_of(self, choices: Sequence[str]) -> str:
        """Return one of the choices."""
        return choices[self.below(len(choices))]

    def texts(self, count: int) -> list[str]:
        """Return the rest as `count` texts, separated by the byte 0x1e; bytes that are no UTF-8 come as a module gets them."""
        parts = self._data.decode("utf-8", "surrogateescape").split("\x1e", count - 1)
        return [*parts, *[""] * (count - len(parts))]


def fuzz(one: Callable[[bytes], None]) -> None:
    """Give `one` inputs for as long as the words of the command line say; what it raises, or a slow input, ends the run."""

    def timed(data: bytes) -> None:
        began = time.process_time()
        one(data)
        took = time.process_time() - began
        expect(took < SLOW, f"{len(data)} bytes took {took:.1f} CPU s")

    atheris.enabled_hooks.add("str")
    again = os.environ.get(AGAIN, sys.argv[0])
    atheris.Setup([again, *sys.argv[1:], f"-max_len={LARGEST}", "-timeout=120", "-rss_limit_mb=1024"], timed)
    atheris.Fuzz()
