# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nodes boot for one boot only, and what they boot after it: a record beside the site database, gone when there is none.

`boot` sets such overrides and ends them; `serve` opens for their nodes what those images need.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from ..errors import SiteError
from .files import read_bytes, write_file

NAME = "boot-once.json"
FORMAT = 1
LIMIT = 1024 * 1024
"""Bytes of a report that are read: more than the answer service keeps."""

BOOTED, FAILED, EXPIRED = "it has booted", "its boot failed", "it expired"
"""What ends an override without anybody asking."""


@dataclass(frozen=True)
class Standing:
    """The boot files that come back: paths below `tftpdir`, the first text is the node's own file."""

    tftpdir: str
    state: str
    texts: Mapping[str, str]
    same: Mapping[str, str]
    links: Mapping[str, str]


@dataclass(frozen=True)
class Override:
    """What one node boots once: the state asked for, the word by which its report tells, until when (seconds since 1970).

    The word is empty where no kernel line of ours is booted: then time alone ends it.
    """

    state: str
    token: str
    since: int
    until: int
    then: Standing
    image: str | None = None

    def over(self, node: str, spool: str, now: float) -> str:
        """Return why it is over, empty while it is not: the node told of the boot, well or not, or the time is up."""
        for suffix, why in ((".json", BOOTED), (".failure.json", FAILED)):
            if self.token and self.token in _told(os.path.join(spool, node.replace("/", "_") + suffix)):
                return why
        return EXPIRED if now >= self.until else ""


def _told(path: str) -> tuple[object, ...]:
    """Return by which words a file of the spool says which boot it tells of; none for one that is not there or not to be read."""
    try:
        with open(path, "rb") as stream:
            found = json.loads(stream.read(LIMIT))
    except (OSError, ValueError):
        return ()
    report = found.get("report") if isinstance(found, dict) else None
    return (found.get("once"), report.get("once") if isinstance(report, dict) else None) if isinstance(found, dict) else ()


def path_in(directory: str) -> str:
    """Return where the record is, in the directory of the site's own files."""
    return os.path.join(directory, NAME)


def read(path: str) -> dict[str, Override]:
    """Return the overrides by node; none without a record. Raises SiteError for a file that is no record."""
    content = read_bytes(path)
    if content is None:
        return {}
    try:
        return _parsed(json.loads(content))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        mend = "Move it away, then run nodeset for the nodes that were to boot something once"
        raise SiteError.of(path, "it is no record of one-time boots of this release", mend) from error


def _parsed(found: Any) -> dict[str, Override]:
    if found["format"] != FORMAT:
        raise ValueError("another format")
    return {node: Override(**{**each, "then": Standing(**each["then"])}) for node, each in found["nodes"].items()}


def write(path: str, overrides: Mapping[str, Override]) -> None:
    """Replace the record, or remove it when no override is left; to be called while it is held."""
    if not overrides:
        if os.path.lexists(path):
            os.unlink(path)
        return
    nodes = {node: asdict(each) for node, each in sorted(overrides.items())}
    write_file(path, (json.dumps({"format": FORMAT, "nodes": nodes}, separators=(",", ":")) + "\n").encode(), 0o600)


@contextmanager
def held(path: str) -> Iterator[None]:
    """Keep everybody else from setting and ending overrides; waits for another one, who holds it while boot files are written."""
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
