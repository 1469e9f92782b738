# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Generations that a site rolled back from: marked beside them, so that no later run publishes them again or loses them unsaid.

    <rootimgdir>/generations/<n>.withdrawn.json    every rollback from generation n, with its reason; the last one may be lifted

What is published never changes, so the mark is no part of the generation. A lifted mark stays as a record: which generations
a node may have booted does not follow from their order once a site went back.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace

from ..errors import SiteError
from .files import read_bytes, write_file

FORMAT = 1
MARK = re.compile(r"([1-9][0-9]*)\.withdrawn\.json")


@dataclass(frozen=True)
class Withdrawal:
    """One rollback: from `generation` to `to`, in UTC `at`, because of `reason`; `lifted` is when the site took it back."""

    generation: int
    to: int
    at: str
    reason: str
    lifted: str = ""

    def words(self) -> str:
        """Return it as it stands in a sentence."""
        return f"generation {self.generation} is withdrawn since {self.at}: {self.reason}"


def mark_of(rootimgdir: str, number: int) -> str:
    """Return the path of the mark of generation `number`."""
    return os.path.join(rootimgdir, "generations", f"{number}.withdrawn.json")


def marked(rootimgdir: str) -> list[int]:
    """Return the numbers of all marks, lifted ones too."""
    try:
        names = os.listdir(os.path.join(rootimgdir, "generations"))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(int(match.group(1)) for match in map(MARK.fullmatch, names) if match)


def history(rootimgdir: str) -> list[Withdrawal]:
    """Return every rollback that is recorded, by generation and time; raises SiteError for a mark that can't be read."""
    return [each for number in marked(rootimgdir) for each in _read(rootimgdir, number)]


def withdrawn(rootimgdir: str) -> dict[int, Withdrawal]:
    """Return the rollbacks that hold, by the number of the generation that must not be published again."""
    last = {each.generation: each for each in history(rootimgdir)}
    return {number: each for number, each in last.items() if not each.lifted}


def _read(rootimgdir: str, number: int) -> list[Withdrawal]:
    path = mark_of(rootimgdir, number)
    content = read_bytes(path)
    if content is None:
        return []
    mend = "Move it away; the next genimage or liteimg may publish that generation again then"
    try:
        document = json.loads(content)
        if document["format"] == FORMAT:
            return [
                Withdrawal(number, int(one["to"]), str(one["at"]), str(one["reason"]), str(one["lifted"])) for one in document["rollbacks"]
            ]
        what = f"the mark has format {document['format']}, this release knows format {FORMAT}"
    except (ValueError, KeyError, TypeError):
        what = "it is no mark of a withdrawn generation"
    raise SiteError.of(path, what, mend)


def _write(rootimgdir: str, number: int, rollbacks: Iterable[Withdrawal]) -> None:
    told = [{name: value for name, value in asdict(each).items() if name != "generation"} for each in rollbacks]
    write_file(mark_of(rootimgdir, number), f"{json.dumps({'format': FORMAT, 'rollbacks': told}, indent=1)}\n".encode())


def now() -> str:
    """Return this moment, in UTC, as records have it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def withdraw(rootimgdir: str, number: int, to: int, reason: str) -> None:
    """Mark generation `number` as one that the site went back from, to `to`."""
    _write(rootimgdir, number, [*_read(rootimgdir, number), Withdrawal(number, to, now(), reason)])


def lift(rootimgdir: str, number: int) -> None:
    """Take the mark of a generation back: it may be published again."""
    _write(rootimgdir, number, [each if each.lifted else replace(each, lifted=now()) for each in _read(rootimgdir, number)])
