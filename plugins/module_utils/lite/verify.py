# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an image still is what it was laid out for: the tree against its own record, path by path. Only reads."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress

from ..apply.generations import INITRD, KERNEL, Generation
from ..apply.root import Root
from ..errors import Fault, SiteError
from ..tables.lite import BIND
from .layout import DEFAULT, KEPT, RECORD, STATELITE, Layout, Made, Placed, layout_in
from .place import OWN, Found
from .standing import found_at, names_in
from .template import TEMPLATE, template_of
from .treeplan import journal_of

RUN = "Run liteimg, which makes it as it was laid out"
NAMES = {"d": "a directory", "f": "a file", "l": "a symbolic link", "o": "a special file"}


Drift = Fault
"""One path that is not as it was laid out (`where`): what is found there, and what to do."""


def _kind(found: Found) -> str:
    return f"a symbolic link to {found.text}" if found.kind == "l" else NAMES[found.kind]


def _links(root: Root, made: Made) -> Iterator[Drift]:
    for path, text in made.links.items():
        found = found_at(root, path)
        if found is None:
            yield Drift(path, f"the link to {text} is missing", RUN)
        elif found.kind != "l":
            mend = (
                "The next run of liteimg puts it beside the tree and makes the link again"
                if path.split("/")[1] in OWN
                else "The next run of liteimg takes it for the newer default and puts the older one beside the tree;"
                " to keep the older one remove it first"
            )
            yield Drift(path, f"{_kind(found)} stands where the link to {text} was", mend)
        elif found.text != text:
            yield Drift(
                path,
                f"the link leads to {found.text}, not to {text}",
                "Remove it and run liteimg, or keep it: its target is then the default",
            )


def _directories(root: Root, made: Made) -> Iterator[Drift]:
    for path, kind in made.directories.items():
        found = found_at(root, path)
        if found is None:
            yield Drift(path, "the directory is missing", RUN)
        elif found.kind != "d":
            yield Drift(path, f"{_kind(found)} stands where a directory was", "Move it away and run liteimg")
        elif (found.mode, found.owner, found.group) != (kind.mode, kind.owner, kind.group):
            was = f"mode {kind.mode:04o}, owner {kind.owner}:{kind.group}"
            what = f"it has mode {found.mode:04o}, owner {found.owner}:{found.group}, and was made with {was}"
            yield Drift(
                path, what, f"chmod {kind.mode:04o} and chown {kind.owner}:{kind.group}, or change the directory that it stands for"
            )
    for path, (_was, mode) in made.modes.items():
        found = found_at(root, path)
        if found is not None and found.mode != mode:
            yield Drift(path, f"it has mode {found.mode:04o}, not {mode:04o}", f"chmod {mode:04o}")


def _contents(root: Root, made: Made) -> Iterator[Drift]:
    for path, mode in made.files.items():
        found = found_at(root, path)
        if found is None:
            yield Drift(path, "the file that was made for an entry is missing", RUN)
        elif found.kind != "f":
            yield Drift(path, f"{_kind(found)} stands where a file was made for an entry", "Keep it, or remove it; then run liteimg")
        elif found.mode != mode:
            yield Drift(
                path, f"it has mode {found.mode:04o} and was made with {mode:04o}", "Nothing, if that is meant: it is the image's own now"
            )
    for path, content in made.moves.items():
        if root.lstat(content) is None:
            if content.startswith(KEPT + "/"):
                yield Drift(
                    content, f"the link that stood at {path} is missing, so it can't be given back", "Put it back from another generation"
                )
            else:
                yield Drift(content, f"the default of {path} is missing", "Put it back from another generation; liteimg makes an empty one")


def _entries(root: Root, entries: Iterable[Placed], said: set[str]) -> Iterator[Drift]:
    for entry in entries:
        place = entry.path if entry.attachment == BIND and entry.parent is None else entry.content
        found = found_at(root, place)
        if found is not None and found.kind == "l":
            with suppress(SiteError):
                found = found_at(root, root.resolve(place))
        word = "mount point" if entry.attachment == BIND and entry.parent is None else "default"
        if place in said or entry.path in said:
            continue
        if found is None:
            yield Drift(place, f"the {word} of {entry.path} is missing", "Put it back from another generation; liteimg makes an empty one")
        elif (found.kind == "d") != (entry.kind == "d"):
            wanted = NAMES["d"] if entry.kind == "d" else NAMES["f"]
            yield Drift(
                place,
                f"the {word} of {entry.path} is {_kind(found)}, not {wanted}",
                "Run liteimg, if that is meant, or put the former one back",
            )


def _foreign(root: Root, made: Made) -> Iterator[Drift]:
    ours = {*made.links, *made.files, *made.directories, *made.moves.values(), TEMPLATE}
    for path in sorted(made.directories):
        if path.split("/")[1] in OWN and made.home_of(path) == path:
            for name in names_in(root, path):
                if name not in ours:
                    yield Drift(name, "it stands where only liteimg's own belongs", "Move it to its place in the image, or remove it")


def _unfinished(root: Root, rootimg: str) -> Iterator[Drift]:
    journal = journal_of(rootimg)
    try:
        pending = journal.pending()
    except SiteError as error:
        yield Drift(journal.path, error.faults[0].what, error.faults[0].mend)
        return
    if pending is not None:
        left = [line for line in (operation.line() for operation in journal.remaining(root)) if line]
        what = f"a run was cut off with {len(left)} changes left" + (f", first '{left[0]}'" if left else "")
        yield Drift(journal.path, what, "Run liteimg, which finishes it")


def _boot_files(generation: Generation) -> Iterator[Drift]:
    if generation.number is None:
        return
    for name in (KERNEL, INITRD):
        path = os.path.join(generation.path, name)
        if not os.path.isfile(path):
            yield Drift(
                path, "it is missing, so no node can boot this generation", "Run genimage with force, or nodeset for another generation"
            )


def _copies(generation: Generation) -> Iterator[Drift]:
    holder = os.path.dirname(generation.path)
    if generation.number is None or not os.path.isdir(holder):
        return
    for name in sorted(os.listdir(holder)):
        if re.fullmatch(r"\.[0-9]+\.liteimg", name):
            yield Drift(os.path.join(holder, name), "a copy that a killed run left", "The next run of liteimg that copies removes it")


def record_of(root: Root) -> tuple[Layout | None, list[Drift]]:
    """Return the layout that a tree records, and what is wrong with the record."""
    try:
        layout = layout_in(root)
    except SiteError as error:
        mend = "Put it back from another generation with the same rows, or build the image again"
        return None, [Drift(RECORD, f"the record is damaged: it {error.faults[0].what}", mend)]
    if layout is None and any(root.lstat(path) is not None for path in (DEFAULT, f"{STATELITE}/tmpfs")):
        mend = "Put it back from another generation with the same rows, or build the image again"
        return None, [Drift(RECORD, "the record of what the tree is laid out for is missing", mend)]
    return layout, []


def drift_of(root: Root, generation: Generation, layout: Layout | None, wrong: Iterable[Drift] = ()) -> list[Drift]:
    """Return everything in which a tree is not what its record says, sorted by path; in it and beside it."""
    found = [*wrong, *_unfinished(root, generation.rootimg), *_boot_files(generation), *_copies(generation)]
    if layout is not None:
        made = layout.made
        found += [*_links(root, made), *_directories(root, made), *_contents(root, made)]
        said = {drift.where for drift in found}
        said |= {path for path, content in made.moves.items() if content in said}
        found += _entries(root, layout.entries, said)
        found += _foreign(root, made)
        text = root.read(TEMPLATE)
        if text is None or text.decode("utf-8", "surrogateescape") != template_of(layout):
            found.append(Drift(TEMPLATE, "it is not the plan that the record asks for" if text is not None else "it is missing", RUN))
    return sorted({drift.where: drift for drift in reversed(found)}.values(), key=lambda drift: drift.where)
