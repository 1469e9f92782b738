# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tree that a node boots from is laid out for: the record in that generation, read again when it changed."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..apply.generations import Generation, current
from ..errors import SiteError
from .layout import RECORD, Layout, read_layout

if TYPE_CHECKING:
    from ..nodes.images import Image


def generation_of(image: Image, asked: str) -> Generation:
    """Return the generation a node says it boots (a number); the published one when it says none.

    Raises SiteError when the image has none.
    """
    if re.fullmatch(r"[1-9][0-9]{0,8}", asked):
        return Generation(image.rootimgdir, int(asked))
    found = current(image.rootimgdir)
    if found is None:
        raise SiteError.of(f"image {image.name}", f"{image.rootimgdir} has no published image", "Run genimage and liteimg for it")
    return found


@dataclass
class Layouts:
    """Layouts read before, by the path of their record and the time it was written."""

    _known: dict[str, tuple[int, Layout]] = field(default_factory=dict)

    def of(self, image: Image, generation: Generation) -> Layout:
        """Return what the generation's tree is laid out for; raises SiteError when liteimg has not run on it."""
        record = generation.rootimg + RECORD
        where = f"image {image.name}, {generation.path}"
        try:
            stamp = os.stat(record).st_mtime_ns
        except OSError as error:
            raise SiteError.of(where, f"{record} can't be read ({error.strerror})", "Run genimage and liteimg for the image") from error
        known = self._known.get(record)
        if known is not None and known[0] == stamp:
            return known[1]
        try:
            layout = read_layout(generation.rootimg)
        except OSError as error:
            raise SiteError.of(where, f"{record} can't be read ({error.strerror})", "Let the service's user read it") from error
        if layout is None:
            raise SiteError.of(where, "liteimg has not been run on it", "Run liteimg")
        self._known[record] = (stamp, layout)
        return layout
