# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boots for once: which are set, which stay and which are over in a run of nodeset, and what comes back after them."""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ..apply.files import read_bytes
from ..apply.overrides import Override, Standing, held, path_in, read, write
from ..errors import Fault, SiteError, raise_faults
from ..nodes.reports import SPOOL
from .method import OFFLINE, Method, NodeFiles
from .methods import METHODS
from .record import Paths, record_path

if TYPE_CHECKING:
    from .planner import Planner

Recorded = Mapping[str, Mapping[str, Paths]]

SPEC: dict[str, Any] = {
    "once": {"type": "bool"},
    "expires": {"type": "str"},
    "spool": {"type": "path", "default": SPOOL},
}
"""Options of the module nodeset."""

USUAL = "1h"
TIME = re.compile(r"([1-9][0-9]{0,4})([mhdw])")
SECONDS = {"m": 60, "h": 3600, "d": 86400, "w": 604800}
ENDED = "it is no longer wanted"
SHOWN = 3


def lasting(expires: str | None) -> int:
    """Return the seconds of the option `expires`; raises SiteError for what is no time."""
    match = TIME.fullmatch(expires or USUAL)
    if match is None:
        raise SiteError.of(f"expires, {expires!r}", "is no time", "Write a number with m, h, d or w, such as 30m or 2h")
    return int(match.group(1)) * SECONDS[match.group(2)]


@dataclass
class Once:
    """The overrides of one run: as they are recorded, those to be set or changed, and those that end, with the reason.

    `asked` is the option: True sets some, False ends those of the noderange, None leaves them what they are.
    """

    path: str = ""
    asked: bool | None = None
    expires: str = USUAL
    lasts: int = 0
    spool: str = SPOOL
    now: float = 0.0
    recorded: Mapping[str, Override] = field(default_factory=dict)
    changed: dict[str, Override] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)
    staying: dict[str, Override] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    """Why nodes can't boot something once."""

    @classmethod
    def of(cls, database: str, params: Mapping[str, Any]) -> Once:
        """Return what the options ask of the overrides beside the database; raises SiteError for options that don't fit."""
        once, expires = params.get("once"), params.get("expires")
        if expires is not None and not once:
            raise SiteError.of("expires", "says how long a boot for once is waited for, and none is asked for", "Set once, or leave it out")
        path = path_in(os.path.dirname(record_path(database)))
        spool = params.get("spool") or SPOOL
        return cls(path, once, expires or USUAL, lasting(expires), spool, time.time(), read(path))

    def settle(self, named: Sequence[str], known: frozenset[str], warn: Callable[[str], None]) -> None:
        """Note which of the nodes have one that stays, which are over, and those of nodes that are no more."""
        self.ended = {node: "there is no such node any more" for node in self.recorded if node not in known}
        for node in named:
            override = self.recorded.get(node)
            if override is not None:
                why = override.over(node, self.spool, self.now) or (ENDED if self.asked is False else "")
                if why:
                    self.ended[node] = why
                else:
                    self.staying[node] = override
        if self.staying and self.asked is None:
            nodes = sorted(self.staying)
            told = ", ".join(nodes[:SHOWN]) + (f" and {len(nodes) - SHOWN} more" if len(nodes) > SHOWN else "")
            warn(f"{told}: what was set for once is booted first, then what is asked for now (once: false ends it)")

    @property
    def matters(self) -> bool:
        """Whether this run has to do with boots for once: time and reports change what such a run comes to."""
        return self.asked is not None or bool(self.recorded)

    @property
    def states(self) -> list[str]:
        """What nodes of this run go on to boot first."""
        return sorted({each.state for each in self.staying.values()})

    def tokens(self, states: Mapping[str, str]) -> dict[str, str]:
        """Return the word of each node that boots a state once: the one that it has already for the same state, else a new one."""
        new, found = secrets.token_hex(6), {}
        for node, state in states.items():
            known = self.staying.get(node)
            found[node] = known.token if known and known.state == state and known.token else new
        return found

    def set(self, planner: Planner, node: str, state: str, about: Mapping[str, Any], recorded: Recorded) -> dict[str, str]:
        """Note that a node boots once what was planned for it; return what the module says of that."""
        tftpdir = planner.files(node).tftpdir
        before = self.recorded.get(node)
        try:
            then = before.then if before else standing(tftpdir, node, METHODS[about["method"]], recorded)
        except SiteError as error:
            self.faults.extend(error.faults)
            return {}
        return self._note(planner, node, state, about, then)

    def stays(self, planner: Planner, first: Planner, node: str, about: Mapping[str, Any]) -> dict[str, str]:
        """Put what a node boots first in the place of what it boots from then on, which comes back; return what is said of that."""
        files, mine = planner.files(node), first.files(node)
        then = standing_of(files.tftpdir, files.wanted[node])
        files.wanted[node] = mine.wanted[node]
        files.pairs.update(mine.pairs)
        return self._note(first, node, self.staying[node].state, about, then)

    def _note(self, planner: Planner, node: str, state: str, about: Mapping[str, Any], then: Standing) -> dict[str, str]:
        """Note what a node boots once and what comes back; one that is set already for the same keeps its time."""
        image = about.get("image")
        token = planner.tokens[node] if image else ""
        before = self.staying.get(node)
        if before is not None and before.state == state:
            found = replace(before, token=token, then=then, image=image)
        else:
            self.ended.pop(node, None)
            found = Override(state, token, int(self.now), int(self.now) + self.lasts, then, image)
        if found != before:
            self.changed[node] = found
        return {"once": state, "then": then.state}

    def lines(self) -> list[str]:
        """Return one line a change of the record."""
        lines = []
        for node, override in sorted(self.changed.items()):
            before = self.recorded.get(node)
            if before is not None and before.until == override.until and before.state == override.state:
                lines.append(f"~ {self.path}: {node} boots {override.then.state} after {override.state}")
            else:
                lines.append(f"+ {self.path}: {node} boots {override.state} once, within {self.expires}, then {override.then.state}")
        return lines + [f"- {self.path}: {node}, {self.recorded[node].state} once: {why}" for node, why in sorted(self.ended.items())]

    @contextmanager
    def carried_out(self, nodes: Iterable[str] = ()) -> Iterator[None]:
        """Write the record around the body, which writes boot files of `nodes`: what is set before it, what is over after it.

        Raises SiteError when somebody else has set or ended one for these nodes since the record was read: what was planned for
        them would stand where what they boot once belongs, or bring it back.
        """
        concerned = dict.fromkeys([*nodes, *self.changed, *self.ended])
        if not self.path or not concerned:
            yield
            return
        with held(self.path):
            there = read(self.path)
            mine = [node for node in concerned if node in there or node not in self.ended]
            what, mend = "was changed while this run planned", "Run nodeset again"
            raise_faults(Fault(f"{self.path}, node {node}", what, mend) for node in mine if there.get(node) != self.recorded.get(node))
            if self.changed:
                there.update(self.changed)
                write(self.path, there)
            yield
            if self.ended:
                write(self.path, {node: each for node, each in there.items() if node not in self.ended})


def standing(tftpdir: str, node: str, method: Method, recorded: Recorded) -> Standing:
    """Return the boot files that the node has now, by which it boots again after an override.

    Raises SiteError when those are of another method or in another directory than the node has by the tables.
    """
    found = {place: list(nodes[node]) for place, nodes in recorded.items() if node in nodes}
    main = method.main(node)
    for place, paths in found.items():
        if place != tftpdir or paths[0] != main:
            what = f"its boot file is {place}/{paths[0]}, and the tables say {tftpdir}/{main}"
            raise SiteError.of(f"node {node}", what, "Run nodeset for it without once first")
    texts: dict[str, str] = {}
    same: dict[str, str] = {}
    links: dict[str, str] = {}
    inodes: dict[int, str] = {}
    for path in dict.fromkeys([*found.get(tftpdir, ()), *method.own(node)]):
        full = os.path.join(tftpdir, path)
        if os.path.islink(full):
            links[path] = os.readlink(full)
        elif os.path.isfile(full):
            first = inodes.setdefault(os.stat(full).st_ino, path)
            if first == path:
                texts[path] = (read_bytes(full) or b"").decode(errors="surrogateescape")
            else:
                same[path] = first
    state = method.comment(texts[main]) if main in texts else method.absent
    return Standing(tftpdir, state or "unknown", texts, same, links)


def standing_of(tftpdir: str, files: NodeFiles) -> Standing:
    """Return files that were planned, as what comes back."""
    return Standing(tftpdir, files.state, dict(files.texts), dict(files.same), dict(files.links))


def refused(state: str, kind: str) -> list[Fault]:
    """Return the fault of a state that no node boots once."""
    if kind == OFFLINE:
        return [Fault(f"state {state}", "is no boot, so it can't be one for once", "Use boot, or leave once out")]
    return []
