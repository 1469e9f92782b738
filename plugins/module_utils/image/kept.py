# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tree of packages alone that the last build left beside its image: the next build starts from it.

    <rootimgdir>/.packages/rootimg        what the package manager made, before anything else was put there
    <rootimgdir>/.packages/record.json    what it was made from; not there while the tree is being changed

A build brings this tree to what the repositories would give an empty one now, package by package and version by version, and
copies it. What it can't bring there with certainty it builds from nothing, and says why.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from typing import Any

from ..apply.commands import run_command
from ..apply.files import read_bytes, write_file
from ..apply.generations import ROOTIMG
from ..apply.removal import remove_tree
from ..apply.withdrawn import now
from ..errors import SiteError
from .changes import Changes, changes, state_of
from .definition import Definition
from .installers.editing import ABSENT, Wish
from .installers.editors import editor_for
from .leftovers import left_behind, remove_emptied, texts_of

DIRECTORY, RECORD = ".packages", "record.json"
FORMAT = 1
COLUMNS = ("osvers", "osarch", "kernelver", "krpmver", "scriptlets")
"""Columns of the image that decide its packages."""

COPY_LIMIT = 3600.0


def kept_directory(rootimgdir: str) -> str:
    """Return where the tree of an image directory is kept."""
    return os.path.join(rootimgdir, DIRECTORY)


def kept_root(rootimgdir: str) -> str:
    """Return the tree of packages."""
    return os.path.join(kept_directory(rootimgdir), ROOTIMG)


def read_kept(rootimgdir: str) -> dict[str, Any] | None:
    """Return the record of the kept tree, None when there is none or a run on it was cut off."""
    content = read_bytes(os.path.join(kept_directory(rootimgdir), RECORD))
    if content is None or not os.path.isdir(kept_root(rootimgdir)):
        return None
    try:
        found = json.loads(content)
        return dict(found) if found["format"] == FORMAT else None
    except (ValueError, KeyError, TypeError):
        return None


def invalidate(rootimgdir: str) -> None:
    """Note that the tree is about to be changed: a run that is cut off from here on leaves none to start from."""
    path = os.path.join(kept_directory(rootimgdir), RECORD)
    if os.path.lexists(path):
        os.unlink(path)


def drop_kept(rootimgdir: str) -> None:
    """Remove the tree, with what an interrupted run left of it."""
    invalidate(rootimgdir)
    remove_tree(kept_directory(rootimgdir))


def record_kept(rootimgdir: str, inputs: Mapping[str, Any], generation: int) -> None:
    """Write down that the tree is whole, what it was made from, and the generation that was made of it."""
    record = {"format": FORMAT, "inputs": package_inputs(inputs), "generation": generation, "made": now()}
    write_file(os.path.join(kept_directory(rootimgdir), RECORD), (json.dumps(record, indent=1, sort_keys=True) + "\n").encode())


def package_inputs(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return those inputs of a build that decide its packages."""
    definition = {name: value for name, value in record["definition"].items() if name in COLUMNS}
    found = {name: record[name] for name in ("environment", "installer", "pkglist")}
    return {**found, "definition": definition, "otherpkglist": record.get("otherpkglist", {})}


def why_from_nothing(rootimgdir: str, inputs: Mapping[str, Any]) -> str:
    """Return why a build of `inputs` can't start from the kept tree, empty when it can (but for what is kept, pure)."""
    kept = read_kept(rootimgdir)
    if kept is None:
        return "no tree of packages of a finished build is kept"
    before, now = kept["inputs"], package_inputs(inputs)
    for name, title in (("definition", "the image's definition"), ("environment", "the environment"), ("installer", "the sources")):
        if before.get(name) != now[name]:
            return f"{title} changed"
    for lists in (before, now):
        if lists.get("otherpkglist"):
            return "there is a list of further packages (otherpkglist)"
        if set(lists.get("pkglist", {})) - {"install", "exclude"}:
            return "the list has several runs or removes packages"
    return ""


def renew(definition: Definition, asked: Collection[str]) -> tuple[list[str], Changes]:
    """Bring the kept tree to the packages that the repositories would give an empty one now; return warnings, and what changed in it.

    `asked` are the packages that the list named when the tree was made.
    Raises SiteError when it does not come to exactly those, or when packages that went or changed left something behind.
    """
    rootimg, installer = kept_root(definition.image.rootimgdir), definition.installer
    wanted, there = installer.candidates(), installer.installed(rootimg)
    come = [f"{name}={version}" for name, version in sorted(wanted.items()) if there.get(name) != version]
    gone = [name for name in sorted(there) if name not in wanted]
    if not come and not gone and set(asked) == set(installer.order.install):
        return [], Changes()
    moved = {name for name in there if there[name] != wanted.get(name)}
    editor, warnings = editor_for(installer.order), []
    before, owned = state_of(rootimg), installer.files(rootimg, moved)
    said = installer.scripts(rootimg, gone) + texts_of(rootimg, installer.files(rootimg, gone)) if gone else ""
    if come:
        warnings += editor.carry_out(rootimg, Wish(tuple(come)))
    if gone:
        warnings += editor.carry_out(rootimg, Wish(tuple(gone), ABSENT))
    found = installer.installed(rootimg)
    if found != wanted:
        names = sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name))
        what = f"has other packages than the repositories give an empty one: {', '.join(names[:5])}"
        raise SiteError.of("the kept tree", what, "Build from nothing")
    editor.settle(rootimg, wanted.keys() - there.keys(), {name.partition("=")[0] for name in asked})
    others = installer.files(rootimg, found) if moved else set()
    if moved:
        remove_emptied(rootimg, owned, others)
    after = state_of(rootimg)
    left = left_behind(owned, said, others, before, after) if moved else ""
    if left:
        raise SiteError.of("the kept tree", f"has {left} of {', '.join(sorted(moved)[:5])}, gone or changed since", "Build from nothing")
    return warnings, changes(before, after)


def copy_to(rootimgdir: str, stage: str) -> None:
    """Make a copy of the kept tree in `stage`; where the file system can, it shares its blocks."""
    command = ["cp", "--archive", "--reflink=auto", "--", kept_root(rootimgdir), f"{stage}/"]
    run_command(command, limit=COPY_LIMIT, mend="Make room on the file system of the images, and run genimage again")
