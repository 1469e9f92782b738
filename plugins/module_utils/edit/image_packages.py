# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""image_packages: install, update or remove packages in a root image (the statelite document 2.9 and 5)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..apply.signing import Keys, site_keys
from ..apply.withdrawn import now
from ..errors import Fault, raise_faults
from ..image.definition import Definition, define
from ..image.installers.editing import STATES, PackageChange, Wish, changes, refuse_wish
from ..image.installers.editors import Editor, editor_for
from ..nodes.site import Site
from ..tables.store import DEFAULT_SITE, open_store
from .image_exec import TABLES
from .notes import Edit
from .stage import Edited, edited

SPEC: dict[str, Any] = {
    "image": {"type": "str", "required": True},
    "site": {"type": "str", "default": DEFAULT_SITE},
    "packages": {"type": "list", "elements": "str", "required": True},
    "state": {"type": "str", "default": "present", "choices": list(STATES)},
    "share": {"type": "path", "default": "/usr/share/statelite"},
    "in_place": {"type": "bool", "default": False},
    "keep_identity": {"type": "bool", "default": False},
    "limit": {"type": "int", "default": 7200},
}
"""Options of the module image_packages."""

VERB = "image_packages"


@dataclass
class ImagePackages:
    """The plan: the image as it is edited, what is wished for and what it comes to."""

    image: Edited
    editor: Editor
    wish: Wish
    foreseen: Sequence[PackageChange]
    warn: Callable[[str], None] = field(default=lambda _text: None, repr=False)

    def lines(self) -> list[str]:
        """Return what will be done, package by package."""
        left = self.image.left()
        name = self.image.image.name
        return [*left, *self.image.lines(), *(f"{name}: {change.line()}" for change in self.foreseen)] if self.foreseen else left

    def apply(self) -> None:
        """Change the packages in a copy of the tree and make that count."""
        if not self.foreseen:
            self.image.mend()
            return
        before = self.editor.installed(self.image.base.rootimg)

        def work(rootimg: str) -> None:
            for text in self.editor.carry_out(rootimg, self.wish):
                self.warn(text)
            done = changes(before, self.editor.installed(rootimg))
            if done != sorted(self.foreseen, key=lambda change: change.name):
                self.warn(f"other packages changed than were foreseen: {', '.join(change.line() for change in done) or 'none'}")

        self.image.carry_out(work, Edit(VERB, now(), what=told(self.foreseen)), self.editor.installed)

    def result(self) -> dict[str, Any]:
        """Return the module's values."""
        values = self.image.result() if self.foreseen else self.image.unchanged()
        packages = [{"name": change.name, "old": change.old, "new": change.new} for change in self.foreseen]
        return {**values, "packages": packages}


def told(foreseen: Sequence[PackageChange]) -> str:
    """Return changes as the notes of an image have them."""
    return " ".join(change.line() for change in foreseen)


def _file_faults(wish: Wish) -> list[Fault]:
    """Return a fault for each package file that is not there."""
    return [Fault(path, "does not exist", "Put the package there or correct the path") for path in wish.files if not os.path.isfile(path)]


def plan_packages(site: Site, params: Mapping[str, Any], warn: Callable[[str], None], keys: Keys | None = None) -> ImagePackages:
    """Return the plan for one image; raises SiteError with every fault of the options, the image and its sources."""
    wish = Wish(tuple(params["packages"]), params["state"])
    refuse_wish(wish)
    raise_faults(_file_faults(wish))
    image = edited(site, params["image"], params["in_place"], params["keep_identity"], keys)
    definition: Definition = define(image.image, params["share"], params["limit"])
    editor = editor_for(definition.installer.order)
    foreseen = editor.foretell(image.base.rootimg, wish)
    mark = image.held(VERB, what=told(foreseen)) if foreseen else None
    if mark is not None:
        warn(f"image {image.image.name}: {mark.words()}. It has the same changes of packages, so they are not made in another generation")
    return ImagePackages(image, editor, wish, [] if mark is not None else foreseen, warn)


def read_and_plan(params: Mapping[str, Any], warn: Callable[[str], None]) -> ImagePackages:
    """Read the site's rows and the image, and return the plan."""
    with open_store(params["site"]) as store:
        site, keys = Site(store.tables(TABLES)), site_keys(store.directory)
    return plan_packages(site, params, warn, keys)
