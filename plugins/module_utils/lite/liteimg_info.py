# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""liteimg's verify mode: one image against what its tables say now and against its own record. Changes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..apply.generations import ROOTIMG, Generation, current, latest
from ..apply.root import Root
from ..errors import Fault, SiteError
from ..nodes.images import Image, osimage
from ..nodes.site import Site
from ..tables.store import open_store
from .arrange import lay_out
from .entry import entries_for
from .inuse import mount_faults
from .layout import Layout, Made, Placed
from .liteimg import TABLES
from .remarks import Shadowed, shadowed_rows
from .standing import Original, inspect
from .verify import Drift, drift_of, record_of

Warn = Callable[[str], None]


@dataclass
class Verdict:
    """What one tree is found to be. `pending` are entries that differ between its record and the tables of today."""

    generation: Generation
    published: bool
    laid_out: bool
    entries: int
    pending: list[dict[str, str]] = field(default_factory=list)
    drift: list[Drift] = field(default_factory=list)
    faults: Sequence[Fault] = ()
    shadowed: list[Shadowed] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return it as sentences, the rows first."""
        found = [f"pending {one['change']} {one['path']}: {one['was'] or 'no entry'} -> {one['now'] or 'no entry'}" for one in self.pending]
        found += [f"refused {fault}" for fault in self.faults]
        return [*found, *(f"drift {drift}" for drift in self.drift)]

    def result(self) -> dict[str, Any]:
        """Return the module's values."""
        lines = self.lines()
        return {
            "rootimg": self.generation.rootimg,
            "generation": self.generation.number,
            "published": self.published,
            "laid_out": self.laid_out,
            "entries": self.entries,
            "clean": self.laid_out and not lines,
            "pending": self.pending,
            "drift": [{"path": drift.where, "what": drift.what, "mend": drift.mend} for drift in self.drift],
            "faults": [fault.told() for fault in self.faults],
            "shadowed": self.shadowed,
            "lines": lines,
        }


def _chosen(image: Image, directory: str, number: int | None) -> Generation:
    """Return the generation asked for; else the published one, or the newest when none is; or the plain tree."""
    if number is not None:
        asked = Generation(directory, number)
        if not os.path.isdir(asked.path):
            raise SiteError.of(
                f"image {image.name}", f"there is no generation {number} in {directory}", "Name one that generation_info tells"
            )
        return asked
    found = current(directory) or latest(directory)
    if found is None:
        raise SiteError.of(os.path.join(directory, ROOTIMG), f"the image {image.name} has no root tree", "Run genimage for it")
    return found


def _words(entry: Placed | None) -> str:
    if entry is None:
        return ""
    return f"{entry.options}{',required' if entry.required else ''} {'directory' if entry.kind == 'd' else 'file'}"


def pending_entries(old: Layout, new: Layout) -> list[dict[str, str]]:
    """Return the entries in which two layouts differ: path, change (add, drop, change), and both in words."""
    was, now = {entry.path: entry for entry in old.entries}, {entry.path: entry for entry in new.entries}
    found = []
    for path in sorted(was.keys() | now.keys()):
        before, after = _words(was.get(path)), _words(now.get(path))
        if before != after:
            change = "change" if before and after else "add" if after else "drop"
            found.append({"path": path, "change": change, "was": before, "now": after})
    return found


def verify_image(site: Site, name: str, rootimgdir: str | None = None, number: int | None = None) -> Verdict:
    """Return what a tree of the osimage `name` is found to be; writes nothing.

    Raises SiteError when there is no such image, or no such tree.
    """
    image = osimage(site, name)
    directory = (rootimgdir or image.rootimgdir).rstrip("/") or "/"
    generation = _chosen(image, directory, number)
    with Root(generation.rootimg) as root:
        layout, wrong = record_of(root)
        drift = drift_of(root, generation, layout, [*wrong, *mount_faults(generation.rootimg)])
        verdict = Verdict(
            generation, current(directory) == generation, layout is not None, len(layout.entries) if layout else 0, drift=drift
        )
        try:
            entries = entries_for(site, image.name)
            verdict.shadowed = shadowed_rows(site, image, entries)
            if layout is not None or not wrong:
                standing = inspect(root, layout.made if layout is not None else Made())
                fresh = lay_out(image.name, entries, Original(root, standing.made, standing.aside), int(image.permission, 8))
                verdict.pending = pending_entries(layout or Layout(), fresh)
        except SiteError as error:
            verdict.faults = error.faults
    return verdict


def tell_liteimg(params: Mapping[str, Any], warn: Warn) -> dict[str, Any]:
    """Read the site database and return the verdict on the module's image."""
    with open_store(params["site"]) as store:
        site = Site(store.tables(TABLES))
    return verify_image(site, params["image"], params["rootimgdir"], params["generation"]).result()
