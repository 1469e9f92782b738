# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person should know of the litefile rows of an image that are carried out otherwise than they stand there (pure).

Rows that another row of a higher rank shadows, rows that match nothing in the image, and rows that a link of the image
answers. A disabled row neither counts nor shadows, as everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from ..nodes.images import Image, rank
from ..tables.columns import EVERY_IMAGE
from ..tables.lite import normal_path

if TYPE_CHECKING:
    from ..nodes.site import Site
    from .entry import Entry
    from .layout import Layout

Shadowed = dict[str, dict[str, str]]


def told(row: Mapping[str, str]) -> dict[str, str]:
    """Return the cells by which a person finds a litefile row."""
    return {"image": row.get("image") or EVERY_IMAGE, "file": row.get("file") or "", "options": row.get("options") or ""}


def words(row: Mapping[str, str]) -> str:
    """Return a litefile row in a line: image, file, options."""
    return " ".join(part for part in told(row).values() if part)


def shadowed_rows(site: Site, image: Image, entries: Iterable[Entry]) -> list[Shadowed]:
    """Return each row for the image that a row nearer to it takes the place of: `row`, and the one that counts as `by`."""
    winners = {entry.path: entry.row for entry in entries}
    found = []
    for row in site.rows("litefile"):
        winner = winners.get(normal_path(row.get("file") or "")[0])
        if winner is None or winner == row:
            continue
        near = rank(row, image)
        if near is not None and near > (rank(dict(winner), image) or 0):
            found.append({"row": told(row), "by": told(winner)})
    return sorted(found, key=lambda one: (one["row"]["file"], one["row"]["image"]))


def remarks(shadowed: Iterable[Shadowed], entries: Iterable[Entry], layout: Layout) -> list[str]:
    """Return the lines that stand below a plan's changes."""
    lines = [f"shadowed row {words(one['row'])} by {words(one['by'])}" for one in shadowed]
    empty = set(layout.missing)
    missing = {path for placed in layout.entries if placed.path in empty for path in placed.written}
    for entry in entries:
        if entry.path in missing:
            lines.append(f"row {words(entry.row)} matches nothing in the image, so it is made empty")
        elif entry.path in layout.satisfied:
            lines.append(f"row {words(entry.row)} leads to {layout.satisfied[entry.path]}, the node's own, so nothing is laid out")
    return lines
