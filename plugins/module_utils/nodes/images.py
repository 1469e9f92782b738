# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which image a node boots, what an osimage is, and which rows of litefile and litetree apply to it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ..errors import Fault, SiteError, raise_faults
from ..tables.columns import EVERY_IMAGE, Row
from ..tables.lite import SPELLINGS, normal_path
from .site import split_list
from .values import attribute

if TYPE_CHECKING:
    from .site import Site

WITH_YABOOT = re.compile(r"(?:rh|centos|alma|rocky|ol|sl)[a-z]*(\d+)[A-Za-z0-9._-]*")
LEGACY_METHODS = ("install", "netboot", "statelite")


@dataclass(frozen=True)
class Image:
    """One osimage joined with its linuximage row; `row` holds the columns of both."""

    name: str
    row: Row
    installdir: str

    def column(self, name: str) -> str:
        """Return a column of osimage or linuximage, empty when unset."""
        return self.row.get(name) or ""

    @property
    def osvers(self) -> str:
        """The operating system with its version, as `debian12`."""
        return self.column("osvers")

    @property
    def osarch(self) -> str:
        """The architecture, as `x86_64`."""
        return self.column("osarch")

    @property
    def profile(self) -> str:
        """The profile, as `compute`."""
        return self.column("profile")

    @property
    def provmethod(self) -> str:
        """How nodes get the image, as `statelite`."""
        return self.column("provmethod")

    @property
    def rootimgdir(self) -> str:
        """The image directory: as set, else `<installdir>/netboot/<osvers>/<osarch>/<profile>`."""
        written = self.column("rootimgdir").rstrip("/")
        return written or f"{self.installdir}/netboot/{self.osvers}/{self.osarch}/{self.profile}"

    @property
    def permission(self) -> str:
        """The mode of `/.statelite` on the node."""
        return self.column("permission") or "755"

    @property
    def groups(self) -> list[str]:
        """The image groups in written order."""
        return split_list(self.column("groups"))

    @cached_property
    def ranks(self) -> dict[str, int]:
        """How near a row's image is to this one: its name, then its groups in order, last ALL and blank."""
        groups = self.groups
        ranks = {"": 1 + len(groups), EVERY_IMAGE: 1 + len(groups)}
        for number in range(len(groups), 0, -1):
            ranks[groups[number - 1]] = number
        return {**ranks, self.name: 0}

    @property
    def liteattach(self) -> str:
        """The image's own meaning of bare options words, empty when the site's setting holds."""
        return self.column("liteattach")

    @property
    def state_line(self) -> str:
        """`<osvers>-<osarch>-<profile>`, as boot files name an image."""
        return f"{self.osvers}-{self.osarch}-{self.profile}"


def _joined(site: Site, row: Row) -> Image:
    name = row["imagename"]
    linux = site.row("linuximage", imagename=name) or {}
    merged = {**{key: value for key, value in linux.items() if value}, **{key: value for key, value in row.items() if value}}
    return Image(name, merged, site.setting("installdir").rstrip("/"))


def images(site: Site) -> list[Image]:
    """Return every osimage in table order."""
    return [_joined(site, row) for row in site.rows("osimage")]


DISKLESS = ("statelite", "netboot")
"""The methods of images that nodes boot without a disk."""


def _legacy_names(image: Image) -> tuple[str, ...]:
    """Return the names that an image has without its row saying so (statelite document 2.10: with the method, 2.11: statelite without)."""
    with_method = f"{image.osvers}-{image.osarch}-{image.provmethod}-{image.profile}"
    return (with_method, image.state_line) if image.provmethod == "statelite" else (with_method,)


def find_image(site: Site, name: str) -> Image | None:
    """Return the osimage called `name`, else the one diskless osimage whose legacy name it is, else None."""
    row = site.row("osimage", imagename=name)
    if row:
        return _joined(site, row)
    found = [image for image in images(site) if image.provmethod in DISKLESS and name in _legacy_names(image)]
    return found[0] if len(found) == 1 else None


def osimage(site: Site, name: str) -> Image:
    """Return the osimage called `name` (also by its legacy name); raises SiteError when there is none."""
    found = find_image(site, name)
    if found is None:
        raise SiteError.of(f"table osimage, imagename {name}", "there is no such image", f"Define the osimage {name}, or name another one")
    return found


def image_of(site: Site, node: str, method: str | None = None) -> str:
    """Return the name of the image that `node` boots: nodetype.provmethod, or the legacy name made of os, arch, profile.

    `method` (`statelite` or `netboot`) stands in the legacy name; without it what provmethod says does, else statelite.
    Raises SiteError when neither is set for the node (behaviour.md c.1; decisions.md, Tables).
    """
    own = attribute(site, node, "nodetype", "provmethod")
    if own and own.text not in LEGACY_METHODS:
        return site.once(("image called", own.text), lambda: _called(site, own.text))
    parts = {column: attribute(site, node, "nodetype", column) for column in ("os", "arch", "profile")}
    missing = [column for column, value in parts.items() if value is None]
    if missing:
        raise SiteError.of(
            f"table nodetype, node {node}",
            f"the node has no image: provmethod names none and {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set",
            "Set provmethod to the name of an osimage, or os, arch and profile",
        )
    texts = {column: value.text for column, value in parts.items() if value}
    kind = method or (own.text if own and own.text in DISKLESS else "statelite")
    return _called(site, f"{texts['os']}-{texts['arch']}-{kind}-{texts['profile']}")


def architecture(site: Site, node: str, usual: str = "") -> str:
    """Return the architecture of the image that a node boots; else what nodetype says, else `usual`."""
    try:
        image = find_image(site, image_of(site, node))
    except SiteError:
        image = None
    if image and image.osarch:
        return image.osarch
    value = attribute(site, node, "nodetype", "arch")
    return value.text if value else usual


def yaboot_directory(osvers: str) -> str | None:
    """Return the directory below the TFTP directory for a system that boots with the yaboot of its own medium, else None."""
    match = WITH_YABOOT.fullmatch(osvers)
    return f"yb/{osvers}" if match and int(match.group(1)) >= 6 else None


def _called(site: Site, name: str) -> str:
    """Return the own name of the image of a name, the name itself when there is no such image."""
    found = find_image(site, name)
    return found.name if found else name


def rank(row: Row, image: Image) -> int | None:
    """Return how near `row.image` is to the image: 0 its name, then its groups in order, last ALL and blank; None for no match."""
    return image.ranks.get((row.get("image") or "").strip())


def _options(row: Row, liteattach: str) -> object:
    """Return what the options of a row mean where bare words are attached as `liteattach` says; two spellings of one meaning agree."""
    words = frozenset(word for word in (row.get("options") or "").split(",") if word)
    found = SPELLINGS.get(words)
    return words if found is None else (found[0], found[1] or liteattach)


def _content(table: str, row: Row, liteattach: str) -> object:
    """Return what two rows for the same thing must agree in."""
    if table == "litefile":
        return _options(row, liteattach), (row.get("required") or "")
    return row.get("directory") or "", row.get("mntopts") or "", row.get("required") or ""


def _row_name(table: str, row: Row) -> str:
    thing = row.get("file") if table == "litefile" else f"priority {row.get('priority')}"
    return f"table {table}, image {row.get('image') or EVERY_IMAGE}, {thing}"


def rows_for_image(site: Site, table: str, image: Image) -> list[Row]:
    """Return the rows of `litefile` or `litetree` that hold for `image`: image beats group beats ALL (decisions.md, Tables).

    One row a path (litefile) or a priority (litetree). Raises SiteError that names every pair of rows of one rank
    that say different things about the same one.
    """
    best: dict[str, tuple[int, Row]] = {}
    faults: list[Fault] = []
    liteattach = image.liteattach or site.setting("liteattach")
    for row in site.rows(table):
        near = rank(row, image)
        if near is None:
            continue
        key = normal_path(row.get("file") or "")[0] if table == "litefile" else (row.get("priority") or "").strip()
        if key not in best or near < best[key][0]:
            best[key] = (near, row)
        elif near == best[key][0]:
            other = best[key][1]
            if _content(table, row, liteattach) != _content(table, other, liteattach):
                faults.append(_clash(table, row, other))
            elif table == "litefile" and (row.get("file") or "").endswith("/"):
                best[key] = (near, row)
    raise_faults(faults)
    return [row for _near, row in best.values()]


def _clash(table: str, row: Row, other: Row) -> Fault:
    return Fault(
        f"{_row_name(table, other)} and {_row_name(table, row)}",
        "two rows of the same rank say different things",
        "Keep one of them, or give one the name of an image",
    )
