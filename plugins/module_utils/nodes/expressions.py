# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Regular expressions that stand in tables, searched in bounded time.

`(.+.+)+!` takes longer than anybody waits on a name of forty letters, and the answer service has every node waiting.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from typing import Optional

from ..errors import SiteError

LIMIT = 0.25
"""Seconds of this process's own CPU time that one search may take; a sound expression takes microseconds."""

Found = Optional["re.Match[str]"]


class _OverError(Exception):
    """The time is over."""


def compiled(pattern: str, where: str) -> re.Pattern[str]:
    """Return the expression that stands at `where`; raises SiteError when it is none."""
    try:
        return re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise SiteError.of(where, f"'{pattern}' is not a regular expression ({error})", "Correct the pattern") from error


def search(pattern: re.Pattern[str], text: str, where: str) -> Found:
    """Return where `pattern` matches in `text`; raises SiteError at `where` when that can't be told in time."""
    return _timed(pattern.search, text, where)


def fullmatch(pattern: re.Pattern[str], text: str, where: str) -> Found:
    """Return the match of `pattern` with the whole of `text`; raises SiteError at `where` when that can't be told in time."""
    return _timed(pattern.fullmatch, text, where)


def _timed(look: Callable[[str], Found], text: str, where: str) -> Found:
    """Look under a timer, whose signal the engine heeds; signals come to the main thread alone, elsewhere there is no timer."""

    def over(_number: int, _frame: object) -> None:
        raise _OverError

    try:
        before = signal.signal(signal.SIGVTALRM, over)
    except ValueError:
        return look(text)
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, LIMIT)
        try:
            return look(text)
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    except _OverError as error:
        what = f"the expression takes longer than {LIMIT} s on '{text[:80]}'"
        raise SiteError.of(where, what, "Write it without repetitions inside repetitions, such as (x+)+") from error
    finally:
        signal.signal(signal.SIGVTALRM, before)
