# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Back to an earlier generation of an image, and forward again: marks first, then one rename of `current`.

Nodes that run go on with what they run. What they boot next is nodeset's to write: the plan names those it is due for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from ..apply.generations import IN_MEMORY, INITRD, KERNEL, Generation, current, generations, publish
from ..apply.lock import only_run_of_image
from ..apply.manifest import verify
from ..apply.signing import Keys, site_keys
from ..apply.withdrawn import Withdrawal, lift, withdraw, withdrawn
from ..errors import SiteError
from ..nodes.images import Image
from ..tables.address import site_directory
from .bootset import LAYOUT
from .retention import SPEC as PRUNE_SPEC
from .retention import PrunePlan, next_boots, plan_prune, read_site
from .sealing import SealPlan, plan_seal

PREVIOUS, NEWEST = "previous", "newest"

SPEC: dict[str, Any] = {
    **PRUNE_SPEC,
    "current": {"type": "str"},
    "reason": {"type": "str"},
    "seal": {"type": "list", "elements": "int"},
}
"""Options of the module generation."""


def incomplete(image: Image, generation: Generation) -> str:
    """Return what a generation lacks to be booted, empty when it is whole."""
    initramfs = next((name for name in (INITRD, IN_MEMORY) if os.path.exists(os.path.join(generation.path, name))), INITRD)
    wanted = [generation.rootimg, *(os.path.join(generation.path, name) for name in (KERNEL, initramfs))]
    if image.provmethod == "statelite":
        wanted.append(os.path.join(generation.rootimg, LAYOUT))
    return ", ".join(path for path in wanted if not os.path.exists(path))


def chosen(image: Image, asked: str, published: Generation, marks: Mapping[int, Withdrawal]) -> Generation:
    """Return the generation that `asked` names: a number, `previous` or `newest`.

    `previous` is the last whole one before the newest that was ever published, so that asking twice goes back once.
    Raises SiteError when there is none, or it can't be booted.
    """
    where = f"image {image.name}"
    found = {each.number or 0: each for each in generations(image.rootimgdir)}
    top = max([published.number or 0, *(number for number in marks if number in found)])
    if asked == NEWEST:
        numbers = [number for number, each in found.items() if number == top or (number > top and not incomplete(image, each))]
    elif asked == PREVIOUS:
        numbers = [number for number, each in found.items() if number < top and number not in marks and not incomplete(image, each)]
        if not numbers:
            raise SiteError.of(where, f"there is no whole generation before {top}", "See generation_info for those there are")
    elif asked.isdecimal() and int(asked) in found:
        numbers = [int(asked)]
    else:
        there = ", ".join(map(str, found)) or "none"
        raise SiteError.of(where, f"there is no generation '{asked}'; there are: {there}", f"Name one of them, or {PREVIOUS} or {NEWEST}")
    target = found[max(numbers)]
    missing = incomplete(image, target)
    if missing:
        what = f"generation {target.number} can't be booted: there is no {missing}"
        raise SiteError.of(where, what, "Name a generation that was published; liteimg publishes a new one")
    return target


class RollbackPlan:
    """`current` moves to `target`; every published generation after it is marked as withdrawn, and its own mark is lifted."""

    def __init__(
        self, image: Image, published: Generation, target: Generation, reason: str, due: list[str], keys: Keys | None = None
    ) -> None:
        self.keys = keys
        self.image = image
        self.published = published
        self.target = target
        self.reason = reason
        self.due = due
        self.marks = withdrawn(image.rootimgdir)
        first, last = target.number or 0, published.number or 0
        there = [each.number or 0 for each in generations(image.rootimgdir)]
        self.going = [number for number in there if first < number <= last and number not in self.marks]

    def lines(self) -> list[str]:
        """Return one line a mark, and one for the switch."""
        name, to = self.image.name, self.target.number
        lines = [f"{name}: generation {number} is withdrawn: {self.reason}" for number in self.going]
        if to in self.marks:
            lines.append(f"{name}: generation {to} is no longer withdrawn (it was: {self.marks[to].reason})")
        if self.published != self.target:
            lines.append(f"{name}: current is generation {to} instead of {self.published.number}")
        return lines

    def result(self) -> dict[str, Any]:
        """Return where `current` leads, what is withdrawn, and the nodes whose boot files name another generation."""
        to = self.target.number
        reasons = {number: each.reason for number, each in self.marks.items() if number != to}
        reasons.update(dict.fromkeys(self.going, self.reason))
        marked = [{"generation": number, "reason": reasons[number]} for number in sorted(reasons)]
        return {"current": to, "previous": self.published.number, "withdrawn": marked, "nodeset_due": self.due, "removed": [], "kept": []}

    def apply(self) -> None:
        """Mark, then switch: a run killed in between leaves marks by which the next run of anything ends the same."""
        directory = self.image.rootimgdir
        with only_run_of_image(directory, self.image.name):
            for number in self.going:
                withdraw(directory, number, self.target.number or 0, self.reason)
            if self.target.number in self.marks:
                lift(directory, self.target.number or 0)
            if self.published != self.target:
                publish(self.target, self.keys)


def plan_rollback(params: Mapping[str, Any], warn: Callable[[str], None]) -> RollbackPlan:
    """Return the plan that makes `current` the generation asked for; raises SiteError where it can't be."""
    _view, path, image, names = read_site(params)
    published = current(image.rootimgdir)
    if published is None or published.number is None:
        what = f"no generation of {image.rootimgdir} is published"
        raise SiteError.of(f"image {image.name}", what, "Run genimage and liteimg for it first")
    marks = withdrawn(image.rootimgdir)
    target = chosen(image, params["current"], published, marks)
    keys = site_keys(site_directory(path))
    if target != published and (target.number or 0) <= max([published.number, *marks]):
        verify(target, keys)
    due = sorted(node for node, number in next_boots(image.rootimgdir, names, path).items() if number != target.number)
    plan = RollbackPlan(image, published, target, params["reason"] or "rolled back", due, keys)
    if due:
        shown = ", ".join(due[:3]) + (f" and {len(due) - 3} more" if len(due) > 3 else "")
        warn(f"image {image.name}: the boot files of {shown} name another generation than {target.number}; run nodeset for them")
    return plan


def read_and_plan(params: Mapping[str, Any], warn: Callable[[str], None]) -> RollbackPlan | SealPlan | PrunePlan:
    """Return the plan of the options: the switch when `current` is given, manifests with `seal`, else what nobody needs goes."""
    if params.get("current") and params.get("seal"):
        raise SiteError.of("seal", "goes without current", "Seal first, then go there")
    if params.get("current"):
        return plan_rollback(params, warn)
    if params.get("reason"):
        raise SiteError.of("reason", "says why a generation is withdrawn, and none is", "Name the generation to go to in current")
    return plan_seal(params) if params.get("seal") else plan_prune(params)
