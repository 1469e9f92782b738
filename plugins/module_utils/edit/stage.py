# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An image is edited in a copy of its tree, with liteimg's layout taken back and laid out again, and only a whole edit counts.

The copy becomes the next generation by one rename; or, in place, what the edit changed is carried into the tree that stands
(carry.py). Killed before, a run leaves a copy that the next one throws away; killed while carrying, a journal that it finishes.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from ..apply.commands import run_command
from ..apply.files import sync_directory
from ..apply.generations import ROOTIMG, Generation, current, latest, next_number, publish
from ..apply.lock import only_run
from ..apply.manifest import amend, amendment_due, amendments, begin_amendment, is_seal, unseal
from ..apply.packs import OF_ONE_TREE
from ..apply.removal import remove_tree
from ..apply.root import Root
from ..apply.signing import Keys
from ..apply.withdrawn import Withdrawal, withdrawn
from ..errors import SiteError
from ..image.tree import names_in
from ..lite.entry import entries_for
from ..lite.inuse import refuse_mounts
from ..lite.layout import read_layout
from ..lite.liteimg import nodes_of
from ..lite.remembered import forget
from ..lite.treeplan import JOURNAL, Wanted, journal_of, plan_tree
from ..nodes.images import Image, osimage
from ..nodes.site import Site
from .carry import AMENDED, Carry, begin, carry_out, end, pending
from .difference import Thing, same_file, steps, survey, touched
from .guard import guarded
from .notes import Edit, add_edit, edits_in

COPY_LIMIT = 3600.0
VERBS = ("image_exec", "image_packages")
STAGING = re.compile(r"\.(?:[0-9]+|plain)\.edit")
TICK = 0.02
"""Seconds in which the clock of a file system goes on."""

Work = Callable[[str], Any]


@dataclass
class Edited:
    """One image to be edited: `base` is the tree that the edit begins with, `target` the generation that it ends in."""

    image: Image
    base: Generation
    target: Generation
    wanted: Wanted | None
    publishes: bool
    keep_identity: bool = False
    keys: Keys | None = None
    affected: list[str] = field(default_factory=list)
    id: str = ""

    def __post_init__(self) -> None:
        self.id = self._id()

    @property
    def in_place(self) -> bool:
        """The tree that stands is amended."""
        return self.base == self.target

    @property
    def directory(self) -> str:
        """The image directory."""
        return self.base.rootimgdir

    def lines(self) -> list[str]:
        """Return what becomes of the tree, to stand before the edits in it."""
        name = self.image.name
        if self.in_place:
            nodes = ", ".join(self.affected) or "no nodes by the tables"
            return [f"{name}: amend {self.base.rootimg} in place ({nodes})"]
        published = [f"{name}: publish generation {self.target.number}"] if self.publishes else []
        return [f"{name}: new generation {self.target.number} from {self.base.number}", *published]

    def left(self) -> list[str]:
        """Return a line for what a killed run left to be finished."""
        carry = pending(journal_of(self.base.rootimg).directory)
        if carry:
            return [f"{self.image.name}: finish an edit of {carry.live} that was cut off"]
        due = amendment_due(self.base) in VERBS
        return [f"{self.image.name}: seal generation {self.base.number}: an edit of it was cut off"] if due else []

    def begun(self) -> str:
        """Return the digest of an edit that was cut off while it was carried: the tree has it as soon as that is finished."""
        carry = pending(journal_of(self.base.rootimg).directory)
        return str(carry.note.get("digest", "")) if carry is not None else ""

    def held(self, verb: str, digest: str = "", what: str = "") -> Withdrawal | None:
        """Return the rollback from a generation that has this edit, if there is one: the site does not want it in a new one.

        What was built since is another image: the edit is made in it.
        """
        for number, mark in sorted(withdrawn(self.directory).items(), reverse=True):
            rootimg = Generation(self.directory, number).rootimg
            if self.in_place or number < (self.base.number or 0) or not os.path.isdir(rootimg):
                continue
            with Root(rootimg) as root:
                if any((edit.verb, edit.digest, edit.what) == (verb, digest, what) for edit in edits_in(root)):
                    return mark
        return None

    def mend(self) -> None:
        """Finish what a killed run left."""
        with only_run(os.path.join(self.directory, JOURNAL, "lock"), self.directory):
            self._finish()
            self._clear()

    def _clear(self) -> str:
        """Remove the copies that earlier runs left; return the directory in which copies are made."""
        holder = self.directory if self.base.number is None else os.path.join(self.directory, "generations")
        for name in os.listdir(holder):
            if STAGING.fullmatch(name):
                remove_tree(os.path.join(holder, name))
        return holder

    def _finish(self) -> None:
        carry = pending(journal_of(self.base.rootimg).directory)
        if carry is not None:
            carry_out(carry)
        if amendment_due(self.base) in VERBS:
            note = carry.note if carry is not None else {}
            amend(self.base, self.keys, note.get("why", "an edit was cut off before it changed anything"), note.get("packages"))
        if carry is not None:
            end(journal_of(self.base.rootimg).directory)

    def _id(self) -> str:
        """Return the generation as it is called afterwards: its number, and how often it was amended in place since it was published."""
        if not self.in_place or self.target.number is None or current(self.directory) != self.target:
            return str(self.target.number or "")
        return f"{self.target.number}+{(amendments(self.target.path) or 0) + 1}"

    def result(self) -> dict[str, Any]:
        """Return the values that every verb of this room gives."""
        return {
            "image": self.image.name,
            "rootimg": self.target.rootimg,
            "generation": self.target.number,
            "id": self.id,
            "in_place": self.in_place,
            "nodes_affected": self.affected,
        }

    def unchanged(self) -> dict[str, Any]:
        """Return the same values when there is nothing to do."""
        base = self.base
        amended = amendments(base.path) if base.number is not None else None
        known = f"{base.number}+{amended}" if amended else str(base.number or "")
        return {**self.result(), "rootimg": base.rootimg, "generation": base.number, "id": known, "nodes_affected": []}

    def carry_out(self, work: Work, edit: Edit, packages: Callable[[str], Mapping[str, str]] | None = None) -> None:
        """Edit the image by `work`, which gets the path of a tree to change; `packages` tells what such a tree holds."""
        with only_run(os.path.join(self.directory, JOURNAL, "lock"), self.directory), self._staging() as stage:
            self._copy(stage)
            rootimg = os.path.join(stage, ROOTIMG)
            changed = self._work(rootimg, work, edit)
            held = dict(packages(rootimg)) if packages else None
            if self.in_place:
                self._carry(rootimg, changed, edit, held)
            else:
                self._become(stage, held)

    @contextmanager
    def _staging(self) -> Iterator[str]:
        """Give a new directory on the file system of the tree, with what earlier runs left finished or thrown away."""
        umask = os.umask(0o022)
        self._finish()
        stage = os.path.join(self._clear(), f".{self.base.number or 'plain'}.edit")
        os.mkdir(stage, 0o755)
        try:
            yield stage
        finally:
            # What a carry that failed has still to bring over stands there alone.
            if pending(journal_of(self.base.rootimg).directory) is None:
                remove_tree(stage)
            os.umask(umask)

    def _copy(self, stage: str) -> None:
        names = [ROOTIMG] if self.in_place else sorted(name for name in os.listdir(self.base.path) if copied(name))
        sources = [os.path.join(self.base.path, name) for name in names]
        mend = "Make room on the file system of the images, and run again"
        run_command(["cp", "--archive", "--reflink=auto", "--", *sources, stage + "/"], limit=COPY_LIMIT, mend=mend)

    def _work(self, rootimg: str, work: Work, edit: Edit) -> set[int]:
        """Change the copy; return the inodes that were made or written."""
        if self.wanted is not None:
            plan_tree(rootimg, replace(self.wanted, entries=None)).apply()
        time.sleep(TICK)
        before = survey(rootimg)
        kernels = kernels_in(rootimg)
        with guarded(rootimg, self.keep_identity):
            work(rootimg)
        self._refuse_lost_kernel(kernels, kernels_in(rootimg))
        with Root(rootimg) as root:
            add_edit(root, edit)
        changed = touched(before, survey(rootimg))
        if self.wanted is not None:
            plan = plan_tree(rootimg, self.wanted)
            plan.apply()
            shutil.rmtree(journal_of(rootimg).directory, ignore_errors=True)
        return changed

    def _refuse_lost_kernel(self, before: set[str], after: set[str]) -> None:
        """Raise SiteError when the modules of the kernel that nodes boot with this tree are gone: kernel and initramfs stay."""
        version = self.base.record().get("kernel_version")
        if version in before - after:
            what = f"the edit takes the modules of the kernel {version} away, which nodes boot with this image"
            mend = "Leave the kernel's packages out, and build the image with genimage for another kernel"
            raise SiteError.of(f"image {self.image.name}", what, mend)

    def _carry(self, rootimg: str, changed: set[int], edit: Edit, packages: dict[str, str] | None) -> None:
        """Bring the tree that stands to its edited copy."""
        live: dict[str, Thing] = survey(self.base.rootimg)
        due = steps(live, survey(rootimg), changed, lambda path: same_file(self.base.rootimg + path, rootimg + path))
        directory = journal_of(self.base.rootimg).directory
        os.makedirs(directory, mode=0o755, exist_ok=True)
        kept = _free(os.path.join(directory, AMENDED))
        forget(self.base.rootimg)
        if self.base.number is not None and current(self.directory) == self.base:
            begin_amendment(self.base, edit.verb)
        elif self.base.number is not None:
            unseal(self.base)
        note = {"why": f"{edit.verb}: {edit.what}" if edit.what else edit.verb, "packages": packages, "digest": edit.digest}
        begin(directory, Carry(self.base.rootimg, rootimg, kept, due, note))
        self._finish()

    def _become(self, stage: str, packages: dict[str, str] | None) -> None:
        """Turn the copy into the generation that the plan named, and publish it."""
        copy = Generation(stage, None)
        record = copy.record()
        if record:
            copy.write_record(edited_record(record, self.target.number, packages))
        shutil.rmtree(os.path.join(stage, JOURNAL), ignore_errors=True)
        shutil.copystat(self.base.path, stage)
        with Root(stage) as root:
            root.sync()
        if os.path.lexists(self.target.path):
            raise SiteError.of(self.target.path, "it appeared while the image was edited", "Run again")
        os.rename(stage, self.target.path)
        sync_directory(os.path.dirname(self.target.path))
        if self.publishes:
            publish(self.target, self.keys)


def kernels_in(rootimg: str) -> set[str]:
    """Return the versions of the kernels that a tree has modules for."""
    with Root(rootimg) as root:
        return set(names_in(root, "/usr/lib/modules"))


def copied(name: str) -> bool:
    """Tell whether something in the directory of a generation belongs to its copy too: what vouches for it alone, and its packs, do not."""
    return not (name == JOURNAL or is_seal(name) or OF_ONE_TREE.fullmatch(name))


def edited_record(record: dict[str, Any], number: int | None, packages: dict[str, str] | None) -> dict[str, Any]:
    """Return the record of an edited copy. What the lists gave stays beside what the image holds now: genimage compares with it."""
    found = {**record, "generation": number}
    if packages is not None and packages != record.get("packages"):
        found["offered"] = record.get("offered") or record.get("packages", {})
        found["packages"] = packages
    return found


def _free(directory: str) -> str:
    """Return the next directory for what an amendment takes away."""
    number = 1
    while os.path.lexists(os.path.join(directory, str(number))):
        number += 1
    return os.path.join(directory, str(number))


def edited(site: Site, name: str, in_place: bool, keep_identity: bool, keys: Keys | None = None) -> Edited:
    """Return how the osimage `name` is edited; raises SiteError when its tree can't be.

    In place it is the tree that nodes get now, else a copy of the newest generation.
    """
    image = osimage(site, name)
    directory = image.rootimgdir.rstrip("/") or "/"
    newest, published = latest(directory), current(directory)
    base = (published or newest) if in_place else newest
    if base is None or not os.path.isdir(base.rootimg) or os.path.islink(base.rootimg):
        where = base.rootimg if base else os.path.join(directory, ROOTIMG)
        raise SiteError.of(where, f"the image {image.name} has no root tree", "Run genimage for it, or correct osimage.rootimgdir")
    refuse_mounts(base.rootimg)
    if base.number is None and not in_place:
        what = "the image has a plain root tree and no generations, so there is no other way to edit it than in place"
        raise SiteError.of(base.rootimg, what, "Say in_place: true, or build the image with genimage")
    wanted = _wanted(site, image, base, in_place)
    affected = nodes_of(site, image.name) if in_place else []
    target = base if in_place else replace(base, number=next_number(directory))
    # Stateless nodes boot what packimage makes of a generation, which publishes it then.
    publishes = not in_place and base == published and image.provmethod != "netboot"
    return Edited(image, base, target, wanted, publishes, keep_identity, keys, affected)


def _wanted(site: Site, image: Image, base: Generation, in_place: bool) -> Wanted | None:
    """Return the layout that the tree has, None when liteimg has not run on it.

    In place it must be the one that the tables ask for: a new link would lead running nodes to what they do not have.
    """
    if read_layout(base.rootimg) is None and not os.path.lexists(journal_of(base.rootimg).path):
        return None
    wanted = Wanted(image.name, entries_for(site, image.name), int(image.permission, 8))
    if in_place and pending(journal_of(base.rootimg).directory) is None:
        due = plan_tree(base.rootimg, wanted).lines()
        if due:
            what = f"its layout is not what the tables ask for ({due[0]}{f', and {len(due) - 1} more' if len(due) > 1 else ''})"
            raise SiteError.of(base.rootimg, what, "Run liteimg first, which publishes a generation; then edit that one")
    return wanted
