# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which generations of an image somebody still needs and why, and the removal of the others (decisions.md, Layout of an image)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..apply.files import read_bytes
from ..apply.generations import Generation, current, generations
from ..apply.removal import mounts_under, remove_tree
from ..errors import Fault, SiteError, raise_faults
from ..nodes.images import Image, images, osimage
from ..nodes.reports import SPOOL, spooled_boots
from ..nodes.site import Site
from ..tables.store import DEFAULT_SITE, open_store
from .bootfiles import BootFiles
from .record import read_record, record_path

SPEC: dict[str, Any] = {
    "image": {"type": "str", "required": True},
    "keep": {"type": "int", "default": 2},
    "force": {"type": "bool", "default": False},
    "spool": {"type": "path", "default": SPOOL},
    "site": {"type": "str", "default": DEFAULT_SITE},
}
"""Options of the module generation."""

INFO_SPEC: dict[str, Any] = {name: SPEC[name] for name in ("image", "spool", "site")}
GONE = re.compile(r"\.[1-9][0-9]*\.removed")
WORD = re.compile(r"statelite\.(image|generation)=(\S+)")

Reasons = dict[int, list[str]]


@dataclass(frozen=True)
class Holders:
    """Who needs the generations of one image directory: by number, the nodes that boot it next, and those that booted it last."""

    next: Mapping[int, tuple[str, ...]]
    last: Mapping[int, tuple[str, ...]]


def boot_files(site: str) -> Iterable[tuple[str, str]]:
    """Give (node, text) of every boot file that nodeset wrote and that is still there."""
    for tftpdir, names in sorted(read_record(record_path(site)).items()):
        directory = BootFiles(tftpdir, frozenset()).directory
        for name in sorted(names):
            path = os.path.join(directory, name)
            content = read_bytes(path) if os.path.isfile(path) else None
            if content is not None:
                yield name, content.decode(errors="replace")


def holders_of(rootimgdir: str, names: frozenset[str], site: str, spool: str) -> Holders:
    """Return who needs the generations of a directory; `names` are the images that have it.

    A boot file counts by the image that it names, or by the root that it names. Raises SiteError for a record or a report
    that can't be read: what is not known may be needed.
    """
    following: dict[int, list[str]] = {}
    for node, text in boot_files(site):
        words = dict(WORD.findall(text))
        root = re.search(rf"{re.escape(rootimgdir)}/generations/([1-9][0-9]*)/", text)
        if root or (words.get("image") in names and words.get("generation", "").isdecimal()):
            following.setdefault(int(root.group(1) if root else words["generation"]), []).append(node)
    before: dict[int, list[str]] = {}
    for node, image, generation in spooled_boots(spool):
        if image in names and generation.isdecimal():
            before.setdefault(int(generation), []).append(node)
    return Holders(*({number: tuple(dict.fromkeys(nodes)) for number, nodes in found.items()} for found in (following, before)))


def _some(nodes: tuple[str, ...]) -> str:
    """Return the first names, and how many more there are."""
    return ", ".join(nodes[:3]) + (f" and {len(nodes) - 3} more" if len(nodes) > 3 else "")


def reasons_of(rootimgdir: str, holders: Holders, keep: int) -> Reasons:
    """Return, for each generation, why it stays; nothing where it may go."""
    found = [generation.number or 0 for generation in generations(rootimgdir)]
    published = current(rootimgdir)
    number = published.number if published else None
    reasons: Reasons = {each: [] for each in found}
    for each in found:
        if each == number:
            reasons[each].append("published")
        if number is None or each > number:
            reasons[each].append("not published yet")
        if each in found[len(found) - keep :]:
            reasons[each].append(f"one of the newest {keep}")
        if each in holders.next:
            reasons[each].append(f"next boot of {_some(holders.next[each])}")
        if each in holders.last:
            reasons[each].append(f"last boot of {_some(holders.last[each])}")
    return reasons


class PrunePlan:
    """The generations that go, with the copies of their kernels that nodes fetched."""

    def __init__(self, image: Image, going: list[Generation], pairs: list[str], kept: Reasons) -> None:
        self._image = image
        self._going = going
        self._pairs = pairs
        self._kept = kept
        self._left = _left(image.rootimgdir)

    def lines(self) -> list[str]:
        """Return a line for everything that goes."""
        lines = [f"{path}: removed, an interrupted run left it" for path in self._left]
        lines += [f"{pair}: removed" for pair in self._pairs]
        return lines + [
            f"{generation.path}: removed, built {generation.record().get('built', 'at a time unknown')}" for generation in self._going
        ]

    def result(self) -> dict[str, Any]:
        """Return what goes, and why the others stay."""
        kept = [{"generation": number, "reasons": reasons} for number, reasons in sorted(self._kept.items())]
        return {"removed": [generation.number for generation in self._going], "kept": kept}

    def apply(self) -> None:
        """Remove: each generation is renamed first, so that no half of one is ever taken for a whole."""
        for pair in self._pairs:
            remove_tree(pair)
        for generation in self._going:
            os.rename(generation.path, os.path.join(os.path.dirname(generation.path), f".{generation.number}.removed"))
        for path in _left(self._image.rootimgdir):
            remove_tree(path)


def _left(rootimgdir: str) -> list[str]:
    """Return what is on its way out of the directory."""
    directory = os.path.join(rootimgdir, "generations")
    names = os.listdir(directory) if os.path.isdir(directory) else []
    return [os.path.join(directory, name) for name in sorted(names) if GONE.fullmatch(name)]


def _site(params: Mapping[str, Any]) -> tuple[Site, str, Image, frozenset[str]]:
    with open_store(params["site"]) as store:
        site = Site(store.tables())
        path = store.path
    image = osimage(site, params["image"])
    return site, path, image, frozenset(each.name for each in images(site) if each.rootimgdir == image.rootimgdir)


def read_and_plan(params: Mapping[str, Any], _warn: Callable[[str], None]) -> PrunePlan:
    """Return the plan that removes what nobody needs; raises SiteError where that can't be known."""
    if params["keep"] < 1:
        raise SiteError.of("keep", f"{params['keep']} would keep no generation", "Keep at least 1")
    _view, path, image, names = _site(params)
    holders = holders_of(image.rootimgdir, names, path, params["spool"])
    if params["force"]:
        holders = Holders(holders.next, {})
    reasons = reasons_of(image.rootimgdir, holders, params["keep"])
    going = [generation for generation in generations(image.rootimgdir) if not reasons[generation.number or 0]]
    raise_faults(
        Fault(point, f"something is mounted in generation {generation.number} of {image.name}", f"umount {point}")
        for generation in going
        for point in mounts_under(generation.path)
    )
    kept = {number: why for number, why in reasons.items() if why}
    return PrunePlan(image, going, _pairs(path, names, {generation.number for generation in going}), kept)


def _pairs(site: str, names: frozenset[str], going: set[int | None]) -> list[str]:
    """Return the directories of kernel and initramfs that nodeset copied for these generations."""
    paths = [
        os.path.join(tftpdir, "xcat/osimage", name, str(number))
        for tftpdir in sorted(read_record(record_path(site)))
        for name in sorted(names)
        for number in sorted(number for number in going if number is not None)
    ]
    return [path for path in paths if os.path.isdir(path) and not os.path.islink(path)]


def read_generations(params: Mapping[str, Any], _warn: Callable[[str], None]) -> dict[str, Any]:
    """Return the generations of an image, and who needs them."""
    _view, path, image, names = _site(params)
    holders = holders_of(image.rootimgdir, names, path, params["spool"])
    published = current(image.rootimgdir)
    told = []
    for generation in generations(image.rootimgdir):
        record, number = generation.record(), generation.number or 0
        told.append(
            {
                "generation": number,
                "path": generation.path,
                "built": record.get("built"),
                "kernel_version": record.get("kernel_version"),
                "packages": len(record.get("packages") or ()),
                "published": published is not None and published.number == number,
                "next_boot_of": list(holders.next.get(number, ())),
                "last_boot_of": list(holders.last.get(number, ())),
            }
        )
    return {"generations": told, "text": "".join(_line(one) for one in told)}


def _line(one: Mapping[str, Any]) -> str:
    words = [f"{one['generation']}: built {one['built'] or 'at a time unknown'}, kernel {one['kernel_version'] or 'unknown'}"]
    words += ["published"] if one["published"] else []
    words += [f"next boot of {_some(tuple(one['next_boot_of']))}"] if one["next_boot_of"] else []
    words += [f"last boot of {_some(tuple(one['last_boot_of']))}"] if one["last_boot_of"] else []
    return ", ".join(words) + "\n"
