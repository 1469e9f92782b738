# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Generations on a service node: what the management node sent is compared with its manifest and put in its place by one rename.

    <rootimgdir>/generations/.<n>.<digest>.arriving   what is being sent; cut off, it is gone on with
    <rootimgdir>/generations/<n>                      the same, whole
    <rootimgdir>/generations/.<n>.<k>.replaced        a tree that nodes may still run from, whose generation was amended since

What arrives shares files with the generation here that is most like it, and rsync changes modes, owners and times of what is there
in place. So it never goes on with what was begun of another manifest, and when it goes on it leaves what has arrived alone (role
service_node): that would change the tree that nodes run from. What has arrived otherwise than its manifest says goes, and is sent anew.

The digest of the manifest to be found comes over Ansible's connection: what came by rsync is not trusted alone.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from ..apply.commands import run_command
from ..apply.files import read_bytes
from ..apply.generations import Generation, current, generations, publish
from ..apply.lock import only_run_of_image
from ..apply.manifest import Manifest, amendments, read_manifest, verify
from ..apply.removal import remove_tree
from ..apply.root import Root
from ..apply.signing import Keys, site_keys
from ..apply.treelist import unpacked
from ..errors import Fault, SiteError, raise_faults
from ..tables.address import site_directory
from ..tables.store import DEFAULT_SITE
from .pairs import exchange

OFFER: dict[str, Any] = {
    "image": {"type": "str", "required": True},
    "rootimgdir": {"type": "path", "required": True},
    "generation": {"type": "int", "required": True},
    "id": {"type": "str", "required": True},
    "manifest": {"type": "str", "required": True},
}
SPEC: dict[str, Any] = {
    "generations": {"type": "list", "elements": "dict", "required": True, "options": OFFER},
    "site": {"type": "str", "default": DEFAULT_SITE},
}
"""Options of the module generation_replica."""

OURS = re.compile(r"\.([1-9][0-9]*)\.(?:(?:[0-9a-f]{12}\.)?arriving|([1-9][0-9]*)\.replaced)")
DIGEST = re.compile(r"[0-9a-f]{64}")
AGAIN = "Send it again: run the role service_node"
COPY_LIMIT = 600.0


@dataclass(frozen=True)
class Arriving(Generation):
    """A generation in the directory that it is sent into, beside its place: one for each manifest that it ever had."""

    digest: str = ""

    @property
    def path(self) -> str:
        """That directory."""
        return os.path.join(self.rootimgdir, "generations", f".{self.number}.{self.digest[:12]}.arriving")


def _digest(directory: str) -> str:
    """Return the digest of the manifest that holds for a directory; empty when there is none."""
    manifest = read_manifest(directory)
    return sha256(manifest.content).hexdigest() if manifest else ""


@dataclass
class Coming:
    """One generation as the management node has it, and what is here; `left` is what earlier runs left and nobody needs."""

    image: str
    wanted: Generation
    id: str
    digest: str
    due: bool
    shown: bool
    like: str = ""
    left: list[str] = field(default_factory=list)

    @property
    def arriving(self) -> Arriving:
        """Where it is sent."""
        return Arriving(self.wanted.rootimgdir, self.wanted.number, self.digest)

    @property
    def changes(self) -> bool:
        """Whether anything is to be done."""
        return self.due or not self.shown or bool(self.left)

    def lines(self) -> list[str]:
        """Return what would be done."""
        lines = [f"- {path}" for path in self.left]
        if self.due:
            lines.append(f"+ {self.wanted.path}: generation {self.id} of {self.image}")
        if not self.shown:
            lines.append(f"~ {self.wanted.rootimgdir}/current -> generations/{self.wanted.number}")
        return lines

    def sending(self) -> dict[str, Any]:
        """Return what is to be sent where; `like` is the generation here that is most like it, empty when there is none."""
        return {"image": self.image, "source": self.wanted.path, "target": self.arriving.path, "like": self.like}

    def carry_out(self, keys: Keys | None) -> None:
        """Compare what arrived and put it in its place; what is here stays as it was until then."""
        for path in self.left:
            remove_tree(path)
        if self.due:
            try:
                _check(self, keys)
            except SiteError:
                if amendments(self.arriving.path) is not None:
                    remove_tree(self.arriving.path)
                raise
            with Root(self.arriving.path) as root:
                root.sync()
            _put(self.arriving.path, self.wanted.path)
        publish(self.wanted, keys)


def _check(coming: Coming, keys: Keys | None) -> None:
    """Raise SiteError unless what arrived is what the management node has, signed by it where the site has a key."""
    arriving = coming.arriving
    manifest = read_manifest(arriving.path) if os.path.isdir(arriving.path) else None
    if manifest is None or sha256(manifest.content).hexdigest() != coming.digest:
        raise SiteError.of(arriving.path, f"generation {coming.id} of {coming.image} has not arrived whole", AGAIN)
    _part(arriving.rootimg, manifest)
    try:
        verify(arriving, keys, tree=True)
    except SiteError as error:
        raise SiteError(*(Fault(fault.where, f"{fault.what} (as it arrived)", AGAIN) for fault in error.faults)) from error


def _part(top: str, manifest: Manifest) -> None:
    """Give each file an inode of its own that shares one with another only because both did so in the generation that it is like.

    rsync links what is the same with that one, each name for itself.
    """
    content = read_bytes(manifest.tree_list)
    if content is None:
        return
    wanted = unpacked(content, manifest.tree_list)
    first: dict[tuple[int, int], str] = {}
    for directory, _names, names in os.walk(top):
        for name in sorted(names):
            path = os.path.join(directory, name)
            status = os.lstat(path)
            if not stat.S_ISREG(status.st_mode) or status.st_nlink < 2:
                continue
            key = status.st_dev, status.st_ino
            below = path[len(top) :]
            one = _first_name(wanted, below)
            if first.setdefault(key, one) != one:
                _own_inode(path)


def _first_name(wanted: Mapping[str, Sequence[Any]], path: str) -> str:
    """Return by which of its names a file stands in a list."""
    line = wanted.get(path)
    return str(line[2]) if line and line[1] == "h" else path


def _own_inode(path: str) -> None:
    copy = os.path.join(os.path.dirname(path), ".statelite-own-inode")
    mend = "See whether the disk is full, then run the role service_node again"
    run_command(["cp", "--archive", "--no-target-directory", "--", path, copy], limit=COPY_LIMIT, mend=mend)
    os.rename(copy, path)


def _put(arriving: str, place: str) -> None:
    """Rename what arrived to its place. A tree that stands there, of before an amendment, gets a name of its own: nodes run from it."""
    above, number = os.path.split(place)
    if os.path.isdir(place):
        taken = [int(match.group(2) or 0) for match in map(OURS.fullmatch, os.listdir(above)) if match]
        aside = os.path.join(above, f".{number}.{max(taken, default=0) + 1}.replaced")
        os.rename(arriving, aside)
        exchange(aside, place)
    else:
        os.rename(arriving, place)
    with Root(above) as root:
        root.sync()


@dataclass
class ReplicaPlan:
    """Every generation that this server is to have."""

    coming: list[Coming]
    keys: Keys | None

    def lines(self) -> list[str]:
        """Return one line for everything that comes, goes or is published."""
        return [line for each in self.coming for line in each.lines()]

    def result(self) -> dict[str, Any]:
        """Return what has to be sent before this can be carried out."""
        return {"due": [each.sending() for each in self.coming if each.due]}

    def apply(self) -> None:
        """Take one image after the other; one that has not arrived does not keep the others from it."""
        faults: list[Fault] = []
        for each in self.coming:
            if not each.changes:
                continue
            try:
                os.makedirs(os.path.dirname(each.wanted.path), mode=0o755, exist_ok=True)
                with only_run_of_image(each.wanted.rootimgdir, each.image):
                    each.carry_out(self.keys)
            except SiteError as error:
                faults.extend(error.faults)
        raise_faults(faults)


def coming(offered: Mapping[str, Any]) -> Coming:
    """Return one generation that the management node offers, with what is here of it."""
    wanted = Generation(offered["rootimgdir"].rstrip("/"), offered["generation"])
    above = os.path.dirname(wanted.path)
    there = os.path.isdir(wanted.path)
    due = not there or _digest(wanted.path) != offered["manifest"]
    published = current(wanted.rootimgdir)
    like = _like(wanted, published)
    found = Coming(offered["image"], wanted, offered["id"], offered["manifest"], due, published == wanted, like)
    found.left = _left(above, os.path.basename(found.arriving.path) if due else "")
    return found


def _like(wanted: Generation, published: Generation | None) -> str:
    """Return the directory of the generation here that is most like one: itself before an amendment, the published one, the newest."""
    others = [each.path for each in generations(wanted.rootimgdir)]
    first = [path for path in (wanted.path, published.path if published else "") if path in others]
    return (first or others[-1:] or [""])[0]


def _left(above: str, arriving: str) -> list[str]:
    """Return what was begun to be sent and is not what is `arriving`, and replaced trees of generations that are gone."""
    try:
        names = sorted(os.listdir(above))
    except (FileNotFoundError, NotADirectoryError):
        return []
    left = []
    for match in map(OURS.fullmatch, names):
        if match is None:
            continue
        replaced = match.group(2) is not None
        kept = os.path.isdir(os.path.join(above, match.group(1))) if replaced else match.group(0) == arriving
        if not kept:
            left.append(os.path.join(above, match.group(0)))
    return left


def _faults(offered: Sequence[Mapping[str, Any]]) -> list[Fault]:
    found = []
    for each in offered:
        where, mend = f"option generations, image {each['image']}", "Give what service_node_info returns on the management node"
        if not os.path.isabs(each["rootimgdir"]):
            found.append(Fault(where, f"'{each['rootimgdir']}' is no whole path", mend))
        if each["generation"] < 1 or not DIGEST.fullmatch(each["manifest"]):
            found.append(Fault(where, "names no generation and digest of its manifest", mend))
    return found


def read_and_plan(params: Mapping[str, Any], _warn: Callable[[str], None]) -> ReplicaPlan:
    """Compare what is offered with what is here; `params` are the options of the module."""
    raise_faults(_faults(params["generations"]))
    keys = site_keys(site_directory(params["site"]))
    return ReplicaPlan([coming(each) for each in params["generations"]], keys)
