# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tree that nodes run from becomes like its edited copy, thing by thing and each by one rename.

At no moment is a path missing that stands before and after. What is replaced or removed keeps its inode in a directory beside
the tree, inside the same export, so that programs on the nodes read on in the files that they have open. Every step can tell
whether it was carried out, so after a kill all of them are simply carried out again.
"""

from __future__ import annotations

import ctypes
import json
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from ..apply.files import read_bytes, sync_directory
from ..apply.root import Root
from ..errors import SiteError
from ..lite.treeplan import EDIT
from .difference import META, PUT, REMOVE, SWAP, Step

FORMAT = 1
AMENDED = "amended"
AT_CWD = -100
EXCHANGE = 2


@dataclass(frozen=True)
class Carry:
    """What is to be carried from the tree `edited` into the tree `live`. `note` is for whoever ends a run that was killed."""

    live: str
    edited: str
    kept: str
    steps: Sequence[Step]
    note: dict[str, Any]


def journal_path(directory: str) -> str:
    """Return the journal in the directory of liteimg's beside a tree."""
    return os.path.join(directory, EDIT)


def begin(directory: str, carry: Carry) -> None:
    """Write the journal, whole and on disk, before the first step."""
    os.makedirs(carry.kept, mode=0o755, exist_ok=True)
    with Root(carry.edited) as root:
        root.sync()
    path = journal_path(directory)
    document = {**asdict(carry), "steps": [asdict(step) for step in carry.steps], "format": FORMAT}
    with open(f"{path}.new", "w", encoding="ascii") as stream:
        json.dump(document, stream)
        stream.flush()
        os.fsync(stream.fileno())
    os.rename(f"{path}.new", path)
    sync_directory(directory)


def pending(directory: str) -> Carry | None:
    """Return what a killed run began to carry, None when there is nothing of the kind."""
    path = journal_path(directory)
    content = read_bytes(path)
    if content is None:
        return None
    try:
        document = json.loads(content)
        if document["format"] != FORMAT:
            raise ValueError(f"format {document['format']}")
        steps = [Step(s["kind"], s["path"], tuple(s["look"]), tuple(s["times"]), s["attributes"]) for s in document["steps"]]
        return Carry(document["live"], document["edited"], document["kept"], steps, document["note"])
    except (ValueError, KeyError, TypeError) as error:
        raise SiteError.of(path, f"is not a journal of this program ({error})", "Finish with the version that wrote it") from error


def end(directory: str) -> None:
    """Forget what was carried."""
    os.unlink(journal_path(directory))
    sync_directory(directory)


def carry_out(carry: Carry) -> None:
    """Carry out every step that is not; raises SiteError at the first that the tree does not allow."""
    with Root(carry.live) as live, Root(carry.edited) as edited, Root(carry.kept) as kept:
        for step in carry.steps:
            try:
                _WAYS[step.kind](live, edited, kept, step)
            except OSError as error:
                where = carry.live + step.path
                mend = "Mend it and run the same again: what was begun is finished"
                raise SiteError.of(where, f"'{step.line()}' failed ({error.strerror})", mend) from error
        live.sync()


def _place(root: Root, path: str) -> str:
    """Return the path by which the kernel finds a thing below an open root, whose directories are ours alone to rename."""
    return f"{root.path}{path}"


def _keep(live: Root, kept: Root, path: str) -> None:
    """Give what stands at `path` a second name outside of the tree: its inode lives on when the first is taken over."""
    above = path.rpartition("/")[0]
    os.makedirs(_place(kept, above), mode=0o700, exist_ok=True)
    with suppress(FileExistsError):
        os.link(_place(live, path), _place(kept, path), follow_symlinks=False)


def _put(live: Root, edited: Root, kept: Root, step: Step) -> None:
    if edited.lstat(step.path) is None:
        return
    found = live.lstat(step.path)
    if found is not None:
        _keep(live, kept, step.path)
    os.rename(_place(edited, step.path), _place(live, step.path))


def _swap(live: Root, edited: Root, kept: Root, step: Step) -> None:
    """Exchange two things of different kinds at once; then put away what stood there."""
    there, here = edited.lstat(step.path), live.lstat(step.path)
    if there is None:
        return
    wanted = kept.lstat(f"/.swapped{step.path}")
    if wanted is None:
        os.makedirs(_place(kept, f"/.swapped{step.path}"), mode=0o700)
        _write_inode(kept, step.path, there.st_ino)
    if here is not None and here.st_ino != _read_inode(kept, step.path):
        _exchange(_place(edited, step.path), _place(live, step.path))
    _put_away(edited, kept, step.path)


def _write_inode(kept: Root, path: str, inode: int) -> None:
    kept.replace(f"/.swapped{path}/.inode", str(inode).encode(), 0o600)


def _read_inode(kept: Root, path: str) -> int:
    return int(kept.read(f"/.swapped{path}/.inode") or b"0")


def _exchange(one: str, other: str) -> None:
    """renameat2(2) with RENAME_EXCHANGE: both names stand at every moment."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.renameat2(AT_CWD, os.fsencode(one), AT_CWD, os.fsencode(other), EXCHANGE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), other)


def _put_away(root: Root, kept: Root, path: str) -> None:
    above = path.rpartition("/")[0]
    os.makedirs(_place(kept, above), mode=0o700, exist_ok=True)
    os.rename(_place(root, path), _place(kept, path))


def _remove(live: Root, _edited: Root, kept: Root, step: Step) -> None:
    if live.lstat(step.path) is not None:
        _put_away(live, kept, step.path)


def _meta(live: Root, _edited: Root, _kept: Root, step: Step) -> None:
    path = step.path or "/"
    found = live.lstat(path)
    if found is None or not stat.S_ISDIR(found.st_mode):
        return
    mode, owner, group = step.look
    place = _place(live, step.path)
    if (found.st_uid, found.st_gid) != (owner, group):
        os.chown(place, owner, group, follow_symlinks=False)
    for name in os.listxattr(place, follow_symlinks=False):
        if name not in step.attributes:
            os.removexattr(place, name, follow_symlinks=False)
    for name, value in step.attributes.items():
        os.setxattr(place, name, bytes.fromhex(value), follow_symlinks=False)
    if stat.S_IMODE(found.st_mode) != mode:
        os.chmod(place, mode)
    os.utime(place, ns=step.times, follow_symlinks=False)


_WAYS = {PUT: _put, SWAP: _swap, META: _meta, REMOVE: _remove}
