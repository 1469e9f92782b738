# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A root image as liteimg would leave it: the operations of its plan, carried out on a copy in memory."""

from __future__ import annotations

from collections.abc import Iterable

from ..apply.operations import (
    ChangeMode,
    MakeDirectory,
    MakeFile,
    MakeLink,
    Move,
    Operation,
    RemoveDirectory,
    RemoveFile,
    RemoveLink,
    WriteText,
)
from ..apply.outside import SetAside
from .namespace import Inode, StepError

REMOVALS = (RemoveDirectory, RemoveFile, RemoveLink, SetAside)


def _place(root: Inode, path: str) -> tuple[Inode, str]:
    """Return the directory that holds `path` and the last name; no link is followed, as in apply/root.py."""
    *above, name = path.split("/")[1:]
    here = root
    for part in above:
        if part not in here.names or here.names[part].kind != "d":
            raise StepError(f"{path}: {part} is no directory of the image")
        here = here.names[part]
    return here, name


def _carried(root: Inode, operation: Operation) -> None:
    above, name = _place(root, operation.path)
    if isinstance(operation, REMOVALS):
        above.names.pop(name, None)
    elif isinstance(operation, MakeDirectory):
        if name not in above.names:
            above.put(name, Inode("d", backing="image", origin="image"))
        made = above.names[name]
        made.mode, made.owner, made.group = operation.mode, operation.owner, operation.group
    elif isinstance(operation, MakeFile):
        above.put(name, Inode("f", operation.mode, backing="image", origin="image", read=bytes))
    elif isinstance(operation, MakeLink):
        above.put(name, Inode("l", 0o777, text=operation.text, backing="image", origin="image"))
    elif isinstance(operation, Move):
        there, new = _place(root, operation.target)
        there.put(new, above.names.pop(name))
    elif isinstance(operation, ChangeMode):
        above.names[name].mode = operation.mode
    elif isinstance(operation, WriteText):
        above.names.pop(name, None)
        if operation.text is not None:
            text = operation.text
            above.put(name, Inode("f", 0o644, backing="image", origin="image", read=lambda: text.encode("utf-8", "surrogateescape")))


def rearranged(image: Inode, operations: Iterable[Operation]) -> Inode:
    """Return a copy of the image's tree on which liteimg's operations were carried out; the image itself is not touched."""
    root = image.copied("image", "image")
    for operation in operations:
        _carried(root, operation)
    return root
