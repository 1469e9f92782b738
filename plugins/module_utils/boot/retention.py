# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which generations of an image somebody still needs and why, and the removal of the others (decisions.md, Layout of an image)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..apply import overrides
from ..apply.files import read_bytes
from ..apply.generations import Generation, current, generations
from ..apply.removal import mounts_under, remove_tree
from ..apply.withdrawn import Withdrawal, history, mark_of, marked, withdrawn
from ..errors import Fault, SiteError, raise_faults
from ..nodes.images import Image, images, osimage
from ..nodes.noderange import expand, read_names
from ..nodes.reports import SPOOL, spooled_boots
from ..nodes.site import Site
from ..tables.store import DEFAULT_SITE, open_store
from .kernel_args import TOLD
from .record import read_record, record_path

SPEC: dict[str, Any] = {
    "image": {"type": "str", "required": True},
    "keep": {"type": "int", "default": 2},
    "dead": {"type": "str"},
    "spool": {"type": "path", "default": SPOOL},
    "site": {"type": "str", "default": DEFAULT_SITE},
}
"""Options of the module generation."""

INFO_SPEC: dict[str, Any] = {name: SPEC[name] for name in ("image", "spool", "site")}
GONE = re.compile(r"\.[1-9][0-9]*\.removed")
ROOT = re.compile(r"(/[^\s:]*)/generations/([1-9][0-9]*)/rootimg")

Reasons = dict[int, list[str]]


@dataclass
class Holders:
    """Who needs the generations of one image directory: by node, what its boot file names, and what it told last that it booted."""

    next: dict[str, int] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    later: dict[str, int] = field(default_factory=dict)
    """What a node boots after what it boots once."""

    rollbacks: Sequence[Withdrawal] = ()

    def runnable(self, numbers: list[int], published: int, dead: frozenset[str]) -> dict[int, list[str]]:
        """Return the nodes that may run each generation.

        A node tells the service once that it booted, and not at all while that is away. So it may run whatever it could have
        booted since the boot that it told of: from that generation to the published one or the one of its boot file. One
        that never told of any boot may run every generation. Where the site went back, the two ends of that are one range.
        """
        found: dict[int, list[str]] = {number: [] for number in numbers}
        for node in sorted({*self.next, *self.last, *self.later} - dead):
            known = [each[node] for each in (self.last, self.next, self.later) if node in each]
            lowest, highest = self._widened(min([*known, published]) if node in self.last else 0, max([*known, published]))
            for number in numbers:
                if lowest <= number <= highest:
                    found[number].append(node)
        return found

    def _widened(self, lowest: int, highest: int) -> tuple[int, int]:
        """Return the range with both ends of every rollback that one end of lies in it."""
        ends = [(each.to, each.generation) for each in self.rollbacks]
        while True:
            touching = [end for pair in ends if any(lowest <= end <= highest for end in pair) for end in pair]
            wider = min([lowest, *touching]), max([highest, *touching])
            if wider == (lowest, highest):
                return wider
            lowest, highest = wider


def boot_files(site: str) -> Iterable[tuple[str, str]]:
    """Give (node, text) of every boot file that nodeset wrote and that is still there.

    Raises SiteError when a directory of them is gone: which generation its nodes boot is not known then.
    """
    for tftpdir, nodes in sorted(read_record(record_path(site)).items()):
        for node, paths in sorted(nodes.items()):
            first = next(iter(paths), "")
            if not first:
                continue
            path = os.path.join(tftpdir, first)
            directory = os.path.dirname(path)
            if not os.path.isdir(directory):
                raise SiteError.of(directory, "the boot files that nodeset wrote are not there", "Mount it, or run nodeset for its nodes")
            content = read_bytes(path) if os.path.isfile(path) else None
            if content is not None:
                yield node, content.decode(errors="replace")


def next_boots(rootimgdir: str, names: frozenset[str], site: str) -> dict[str, int]:
    """Return, by node, the generation of a directory that its boot file names, by the root or by one of the images `names`."""
    return _generations(rootimgdir, names, boot_files(site))


def later_boots(rootimgdir: str, names: frozenset[str], site: str) -> dict[str, int]:
    """Return the same of what nodes boot after what they boot once."""
    standing = overrides.read(overrides.path_in(os.path.dirname(record_path(site))))
    texts = [(node, text) for node, each in sorted(standing.items()) for text in list(each.then.texts.values())[:1]]
    return _generations(rootimgdir, names, texts)


def _generations(rootimgdir: str, names: frozenset[str], texts: Iterable[tuple[str, str]]) -> dict[str, int]:
    found: dict[str, int] = {}
    real = os.path.realpath(rootimgdir)
    for node, text in texts:
        words = dict(TOLD.findall(text))
        root = ROOT.search(text)
        if root and os.path.realpath(root.group(1)) == real:
            found[node] = int(root.group(2))
        elif words.get("image") in names and words.get("generation", "").isdecimal():
            found[node] = int(words["generation"])
    return found


def holders_of(rootimgdir: str, names: frozenset[str], site: str, spool: str) -> Holders:
    """Return who needs the generations of a directory; `names` are the images that have it.

    A node whose boot file counts counts whatever the image was called when it told of a boot. Raises SiteError for a record or a
    report that can't be read: what is not known may be needed.
    """
    following = next_boots(rootimgdir, names, site)
    holders = Holders(following, rollbacks=history(rootimgdir), later=later_boots(rootimgdir, names, site))
    for node, image, generation in spooled_boots(spool):
        if image in names and generation.isdecimal():
            holders.last[node] = min(int(generation), holders.last.get(node, int(generation)))
    return holders


def _some(nodes: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    return ", ".join(nodes[:3]) + (f" and {len(nodes) - 3} more" if len(nodes) > 3 else "")


def reasons_of(rootimgdir: str, holders: Holders, keep: int, dead: frozenset[str] = frozenset()) -> Reasons:
    """Return, for each generation, why it stays; nothing where it may go."""
    found = [generation.number or 0 for generation in generations(rootimgdir)]
    published = current(rootimgdir)
    number = published.number if published else None
    runnable = holders.runnable(found, number or max(found, default=0), dead)
    gone = withdrawn(rootimgdir)
    newest = [each for each in found if each not in gone][-keep:]
    reasons: Reasons = {each: [] for each in found}
    for each in found:
        following = sorted(node for node, named in holders.next.items() if named == each)
        after = sorted(node for node, named in holders.later.items() if named == each)
        if each == number:
            reasons[each].append("published")
        if each in gone and (each > (number or 0) or not _built_since(rootimgdir, each, newest)):
            reasons[each].append(f"withdrawn: {gone[each].reason}")
        elif number is None or each > number:
            reasons[each].append("not published yet")
        if each in newest:
            reasons[each].append(f"one of the newest {keep}")
        if following:
            reasons[each].append(f"next boot of {_some(following)}")
        if after:
            reasons[each].append(f"boot of {_some(after)} after what is booted once")
        if runnable[each]:
            reasons[each].append(f"may be run by {_some(runnable[each])}")
    return reasons


def _built_since(rootimgdir: str, number: int, others: Sequence[int]) -> bool:
    """Return whether one of the others was built after generation `number`: until then genimage would build that one again."""
    built = {each: str(Generation(rootimgdir, each).record().get("built", "")) for each in (number, *others)}
    return any(built[each] > built[number] for each in others)


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
    """Return what is on its way out of the directory, and marks of generations that are no more."""
    directory = os.path.join(rootimgdir, "generations")
    names = os.listdir(directory) if os.path.isdir(directory) else []
    stale = [mark_of(rootimgdir, number) for number in marked(rootimgdir) if str(number) not in names]
    return [os.path.join(directory, name) for name in sorted(names) if GONE.fullmatch(name)] + stale


def read_site(params: Mapping[str, Any]) -> tuple[Site, str, Image, frozenset[str]]:
    """Return the site, the path of its database, the image, and the names of all images with the same directory."""
    with open_store(params["site"]) as store:
        site = Site(store.tables())
        path = store.site
    image = osimage(site, params["image"])

    def same(one: str, other: str) -> bool:
        return os.path.realpath(one) == os.path.realpath(other)

    return site, path, image, frozenset(each.name for each in images(site) if same(each.rootimgdir, image.rootimgdir))


def plan_prune(params: Mapping[str, Any]) -> PrunePlan:
    """Return the plan that removes what nobody needs; raises SiteError where that can't be known."""
    if params["keep"] < 1:
        raise SiteError.of("keep", f"{params['keep']} would keep no generation", "Keep at least 1")
    view, path, image, names = read_site(params)
    dead = frozenset(expand(view, params["dead"], read_names)) if params["dead"] else frozenset()
    reasons = reasons_of(image.rootimgdir, holders_of(image.rootimgdir, names, path, params["spool"]), params["keep"], dead)
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
    _view, path, image, names = read_site(params)
    holders = holders_of(image.rootimgdir, names, path, params["spool"])
    found = generations(image.rootimgdir)
    numbers = [generation.number or 0 for generation in found]
    published = current(image.rootimgdir)
    shown = published.number if published else None
    runnable = holders.runnable(numbers, shown or max(numbers, default=0), frozenset())
    gone = withdrawn(image.rootimgdir)
    told = []
    for generation, number in zip(found, numbers):
        record = generation.record()
        told.append(
            {
                "generation": number,
                "path": generation.path,
                "built": record.get("built"),
                "kernel_version": record.get("kernel_version"),
                "packages": len(record.get("packages") or ()),
                "published": number == shown,
                "withdrawn": gone[number].reason if number in gone else "",
                "next_boot_of": sorted(node for node, named in holders.next.items() if named == number),
                "may_be_run_by": runnable[number],
            }
        )
    return {"generations": told, "text": "".join(_line(one) for one in told)}


def _line(one: Mapping[str, Any]) -> str:
    words = [f"{one['generation']}: built {one['built'] or 'at a time unknown'}, kernel {one['kernel_version'] or 'unknown'}"]
    words += ["published"] if one["published"] else []
    words += [f"withdrawn: {one['withdrawn']}"] if one["withdrawn"] else []
    words += [f"next boot of {_some(one['next_boot_of'])}"] if one["next_boot_of"] else []
    words += [f"may be run by {_some(one['may_be_run_by'])}"] if one["may_be_run_by"] else []
    return ", ".join(words) + "\n"
