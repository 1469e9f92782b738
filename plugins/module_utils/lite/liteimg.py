# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""liteimg: lay an image out for its litefile entries, and publish it (the statelite document 2.10).

A tree that nodes may be running from is never changed: a published generation that needs changes is copied to a new
one, which is laid out and then published by one rename. A killed run leaves a copy that the next one throws away, or a
journal that the next one finishes.
"""

from __future__ import annotations

import gc
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from ..apply.commands import run_command
from ..apply.files import sync_directory
from ..apply.generations import ROOTIMG, Generation, current, latest, next_number, publish
from ..apply.lock import only_run
from ..apply.manifest import amend, amendment_due, begin_amendment, is_seal, unseal
from ..apply.packs import OF_ONE_TREE
from ..apply.root import Root
from ..apply.signing import Keys, site_keys
from ..apply.withdrawn import Withdrawal, withdrawn
from ..errors import SiteError
from ..nodes.images import Image, image_of, osimage
from ..nodes.site import Site
from ..tables.lite import TMPFS
from ..tables.store import open_store
from .entry import entries_for
from .inuse import exported_paths, exporter_of, refuse_mounts
from .remarks import Shadowed, remarks, shadowed_rows
from .remembered import digest_of, forget, recall, remember
from .treeplan import EDIT, JOURNAL, TreePlan, Wanted, plan_tree

TABLES = ("osimage", "linuximage", "litefile", "site", "nodetype", "nodelist", "nodegroup")
VERB = "liteimg"
STAGING = ".liteimg"
"""How the name of a copy ends that is no generation yet; one that a killed run left is thrown away."""
COPY_LIMIT = 3600.0
"""Seconds that the copy of a generation may take."""

Warn = Callable[[str], None]


@contextmanager
def uncollected() -> Iterator[None]:
    """Keep Python from looking for rubbish among a million small things that are all in use: a quarter of the time for 20,000 rows."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def nodes_of(site: Site, image: str) -> list[str]:
    """Return the nodes that boot `image` (nodetype.provmethod), sorted; nodes without an image count for none."""
    found = []
    for node in site.nodes():
        try:
            if image_of(site, node) == image:
                found.append(node)
        except SiteError:
            continue
    return sorted(found)


@dataclass
class LiteimgPlan:
    """What liteimg does to one image directory: change `target` in place, or make it a changed copy of `base`."""

    image: str
    base: Generation
    target: Generation
    tree: TreePlan
    publishes: bool
    affected: list[str] = field(default_factory=list)
    shadowed: list[Shadowed] = field(default_factory=list)
    digest: str = ""
    keys: Keys | None = None

    @property
    def amends(self) -> bool:
        """A published tree is changed in place, or was when a run was cut off: it needs another manifest."""
        return self.target.number is not None and not self.copies and not self.publishes and current(self.target.rootimgdir) == self.target

    @property
    def copies(self) -> bool:
        """A new generation is made."""
        return self.base != self.target

    def lines(self) -> list[str]:
        """Return the new generation, every change of the tree, and the publishing."""
        lines = [f"new generation {self.target.number} from {self.base.number}"] if self.copies else []
        lines += self.tree.lines()
        if not lines and amendment_due(self.target) == VERB:
            lines = [f"seal generation {self.target.number}: a change of it was cut off"]
        return [*lines, f"publish generation {self.target.number}"] if self.publishes else lines

    def remarks(self) -> list[str]:
        """Return what stands below the changes in a diff: rows that are shadowed, match nothing or need nothing."""
        return remarks(self.shadowed, self.tree.wanted.entries or (), self.tree.layout)

    def result(self) -> dict[str, Any]:
        """Return the module's values."""
        return {
            "rootimg": self.target.rootimg,
            "generation": self.target.number,
            "published": self.publishes or current(self.target.rootimgdir) == self.target,
            "nodes_affected": self.affected,
            **self._told(),
        }

    def _told(self) -> dict[str, Any]:
        """Return the values that follow from rows and tree alone."""
        layout = self.tree.layout
        return {
            "entries": len(layout.entries),
            "counts": dict(sorted(Counter(entry.options for entry in layout.entries).items())),
            "satisfied": dict(layout.satisfied),
            "missing": list(layout.missing),
            "shadowed": self.shadowed,
        }

    def apply(self) -> None:
        """Carry the plan out under the image directory's lock."""
        directory = self.target.rootimgdir
        with only_run(os.path.join(directory, JOURNAL, "lock"), directory), uncollected():
            if self.copies:
                self._new_generation()
            else:
                self._change_in_place()
            if self.publishes:
                publish(self.target, self.keys)

    def _change_in_place(self) -> None:
        """Change the tree; a manifest made before tells of another one, so it is replaced, or followed by one of the amendment."""
        forget(self.target.rootimg)
        if self.amends:
            begin_amendment(self.target, VERB)
        elif self.target.number is not None and self.tree.changes:
            unseal(self.target)
        with Root(self.tree.rootimg) as root:
            self.tree.apply_in(root)
            if self.amends:
                amend(self.target, self.keys, "liteimg laid it out in place")
            self._remember(self.tree, root)

    def _remember(self, tree: TreePlan, root: Root) -> None:
        if self.digest and tree.wanted.entries is not None:
            warnings: list[str] = []
            warn_of_satisfied(self, warnings.append)
            remember(tree, root, self.digest, {**self._told(), "warnings": warnings})

    def _new_generation(self) -> None:
        """Copy, lay out, rename: the number appears only with the whole generation behind it.

        Kernel, initramfs and whatever lies beside the tree never change, so they are the same files under another name.
        """
        holder = os.path.join(self.target.rootimgdir, "generations")
        for name in os.listdir(holder):
            if re.fullmatch(rf"\.[0-9]+{re.escape(STAGING)}", name):
                refuse_mounts(os.path.join(holder, name))
                shutil.rmtree(os.path.join(holder, name))
        staging = os.path.join(holder, f".{self.target.number}{STAGING}")
        os.mkdir(staging, 0o755)
        names = sorted(name for name in os.listdir(self.base.path) if not (name == JOURNAL or is_seal(name) or OF_ONE_TREE.fullmatch(name)))
        files = [name for name in names if os.path.isfile(os.path.join(self.base.path, name))]
        for way, chosen in (("--link", files), ("--reflink=auto", [name for name in names if name not in files])):
            sources = [os.path.join(self.base.path, name) for name in chosen]
            if sources:
                mend = "Make room on the file system of the images, and run liteimg again"
                run_command(["cp", "--archive", way, "--", *sources, staging + "/"], limit=COPY_LIMIT, mend=mend)
        copied = Generation(staging, None)
        record = copied.record()
        if record:
            copied.write_record({**record, "generation": self.target.number})
        shutil.copystat(self.base.path, staging)
        tree = plan_tree(os.path.join(staging, ROOTIMG), self.tree.wanted)
        with Root(tree.rootimg) as root:
            tree.apply_in(root)
            shutil.rmtree(os.path.join(staging, JOURNAL), ignore_errors=True)
            self._remember(tree, root)
        if os.path.lexists(self.target.path):
            raise SiteError.of(self.target.path, "it appeared while liteimg was at work", "Run liteimg again")
        os.rename(staging, self.target.path)
        sync_directory(holder)


def _base(image: Image, directory: str) -> Generation:
    """Return the newest complete generation or the plain tree of an image; raises SiteError when there is none."""
    found = latest(directory)
    if found is None or not os.path.isdir(found.rootimg) or os.path.islink(found.rootimg):
        where = found.rootimg if found else os.path.join(directory, ROOTIMG)
        raise SiteError.of(where, f"the image {image.name} has no root tree", "Run genimage for it, or correct osimage.rootimgdir")
    return found


@dataclass
class Known:
    """An image that is as liteimg left it, with the same rows: nothing to do."""

    told: dict[str, Any]

    def lines(self) -> list[str]:
        """Return no change."""
        return []

    def result(self) -> dict[str, Any]:
        """Return the values of the run that laid it out."""
        return self.told

    def apply(self) -> None:
        """Do nothing."""


def _looked_at(site: Site, name: str, rootimgdir: str | None) -> tuple[Image, Generation]:
    """Return the image and the tree that liteimg is about; raises SiteError when either is not there, or in use by a mount."""
    image = osimage(site, name)
    if image.provmethod and image.provmethod != "statelite":
        raise SiteError.of(f"table osimage, imagename {image.name}", f"provmethod is {image.provmethod}", "Set provmethod to statelite")
    base = _base(image, (rootimgdir or image.rootimgdir).rstrip("/") or "/")
    refuse_mounts(base.rootimg)
    if os.path.lexists(os.path.join(base.path, JOURNAL, EDIT)):
        what = "is being edited in place, or an edit of it was cut off"
        raise SiteError.of(base.rootimg, what, "Run the same image_exec or image_packages again, which finishes it; then liteimg")
    return image, base


def known_image(site: Site, name: str, in_use: bool = False, rootimgdir: str | None = None) -> tuple[Known | None, str]:
    """Return the plan of an image that is known to be as its rows ask, else None; and the digest of the rows."""
    return _known(site, *_looked_at(site, name, rootimgdir), in_use)


def _known(site: Site, image: Image, base: Generation, in_use: bool) -> tuple[Known | None, str]:
    digest = digest_of(site, image)
    published = current(base.rootimgdir)
    told = recall(base.rootimg, digest) if base.number is None or base == published else None
    if told is None:
        return None, digest
    place = {"rootimg": base.rootimg, "generation": base.number, "published": base == published}
    return Known({**place, "nodes_affected": nodes_of(site, image.name) if in_use else [], **told}), digest


def plan_image(site: Site, name: str, present: bool = True, in_use: bool = False, rootimgdir: str | None = None) -> LiteimgPlan:
    """Return what liteimg has to do for the osimage `name`, from the tree itself; writes nothing.

    `in_use` allows to change a tree that nodes may be running from. Raises SiteError with every fault.
    """
    return _planned(site, *_looked_at(site, name, rootimgdir), present, in_use)


def _planned(site: Site, image: Image, base: Generation, present: bool, in_use: bool) -> LiteimgPlan:
    with uncollected():
        plan = _plan(site, image, base, present, in_use)
    plan.shadowed = shadowed_rows(site, image, plan.tree.wanted.entries or ())
    return plan


def _plan(site: Site, image: Image, base: Generation, present: bool, in_use: bool) -> LiteimgPlan:
    directory = base.rootimgdir
    entries = entries_for(site, image.name) if present else None
    tree = plan_tree(base.rootimg, Wanted(image.name, entries, int(image.permission, 8)))
    published = current(directory)
    affected = nodes_of(site, image.name)
    if base.number is None:
        exporter = exporter_of(base.rootimg, exported_paths()) if tree.changes and not in_use else None
        if exporter is not None:
            names = ", ".join(affected) or "none by the tables"
            raise SiteError.of(
                base.rootimg,
                f"the tree is exported ({exporter}), so nodes may be running from it ({names})",
                "Build the image with genimage, which keeps generations, or say in_use: true",
            )
        return LiteimgPlan(image.name, base, base, tree, False, affected if in_use else [])
    if base != published:
        return LiteimgPlan(image.name, base, base, tree, present)
    if not present and (tree.begun or (in_use and tree.changes)):
        what = "a run on the published tree was cut off" if tree.begun else "nodes could not boot the published generation any more"
        mend = (
            "Run liteimg with state present first" if tree.begun else "Leave in_use out: the tree is given back as a generation of its own"
        )
        raise SiteError.of(base.rootimg, what, mend)
    if not tree.changes or in_use or tree.begun:
        return LiteimgPlan(image.name, base, base, tree, False, affected if in_use else [])
    return LiteimgPlan(image.name, base, replace(base, number=next_number(directory)), tree, present)


def plan_liteimg(params: Mapping[str, Any], warn: Warn) -> LiteimgPlan | Known:
    """Read the site database and return the plan of the module's options."""
    with open_store(params["site"]) as store:
        site = Site(store.tables(TABLES))
        keys = site_keys(store.directory)
    plan = plan_site(site, params["image"], params["state"] == "present", params["in_use"], params["rootimgdir"], warn)
    if isinstance(plan, LiteimgPlan):
        plan.keys = keys
    return plan


def plan_site(site: Site, name: str, present: bool, in_use: bool, rootimgdir: str | None, warn: Warn) -> LiteimgPlan | Known:
    """Return the plan of an image, a known one without looking into it."""
    image, base = _looked_at(site, name, rootimgdir)
    known, digest = _known(site, image, base, in_use) if present else (None, "")
    if known is not None:
        for text in known.told.pop("warnings", []):
            warn(text)
        return known
    plan = _planned(site, image, base, present, in_use)
    held = _held_by(plan) if present and plan.copies else None
    if held is not None:
        warn(f"image {plan.image}: {held.words()}. It is laid out as the rows ask, so generation {plan.base.number} stays as it is")
        return Known({**plan.result(), "rootimg": plan.base.rootimg, "generation": plan.base.number, "published": True})
    plan.digest = digest
    warn_of_satisfied(plan, warn)
    return plan


def _held_by(plan: LiteimgPlan) -> Withdrawal | None:
    """Return the withdrawn generation that is laid out as a changed copy of the published one would be, if there is one."""
    directory = plan.base.rootimgdir
    for number, mark in sorted(withdrawn(directory).items(), reverse=True):
        rootimg = Generation(directory, number).rootimg
        if os.path.isdir(rootimg) and not plan_tree(rootimg, plan.tree.wanted).lines():
            return mark
    return None


def warn_of_satisfied(plan: LiteimgPlan, warn: Warn) -> None:
    """Say of which rows a link of the image decides otherwise than they ask."""
    satisfied = plan.tree.layout.satisfied
    for entry in plan.tree.wanted.entries or ():
        if entry.path in satisfied and entry.storage != TMPFS:
            warn(f"{entry.where}: it leads to {satisfied[entry.path]}, so it is not {entry.storage} but the node's own")
