# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The small changes that every change of a tree is made of: typed, reversible, printable, safe to carry out again.

An operation tells from the tree alone whether it still has to be done: a killed process leaves at most one of them
half way, and `run` finishes that one. None replaces or removes something that it was not made for.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from .root import Root

READY, DONE, OTHER = "ready", "done", "other"
"""Whether an operation can be carried out, has been, or meets a tree that is neither."""


@dataclass(frozen=True)
class Operation:
    """One change at `path` inside a root."""

    path: str
    verb: ClassVar[str] = ""

    def state(self, root: Root) -> str:
        """Return READY, DONE or OTHER for the tree as it is."""
        raise NotImplementedError

    def run(self, root: Root) -> None:
        """Carry the change out, or the rest of it."""
        raise NotImplementedError

    def inverse(self) -> Operation:
        """Return the change that takes this one back."""
        raise NotImplementedError

    def line(self) -> str:
        """Return the line of a plan, empty when a person need not read it."""
        return f"{self.verb} {self.path}"

    def record(self) -> dict[str, Any]:
        """Return the form that a journal keeps."""
        return {"do": type(self).__name__, **vars(self)}


@dataclass(frozen=True)
class MakeDirectory(Operation):
    """A new directory."""

    mode: int
    owner: int = 0
    group: int = 0
    quiet: bool = False
    verb: ClassVar[str] = "create"

    def state(self, root: Root) -> str:
        """Done with its mode and owner; a directory without them is one that was cut off."""
        found = root.lstat(self.path)
        if found is None:
            return READY
        if not stat.S_ISDIR(found.st_mode):
            return OTHER
        same = stat.S_IMODE(found.st_mode) == self.mode and (found.st_uid, found.st_gid) == (self.owner, self.group)
        return DONE if same else READY

    def run(self, root: Root) -> None:
        """Make it, then its owner, then its mode (chown may clear mode bits)."""
        root.make_directory(self.path, self.mode, self.owner, self.group)

    def inverse(self) -> Operation:
        """Remove it."""
        return RemoveDirectory(self.path, self.mode, self.owner, self.group, self.quiet)

    def line(self) -> str:
        """Directories of statelite's own are quiet."""
        return "" if self.quiet else f"create {self.path}/"


@dataclass(frozen=True)
class RemoveDirectory(MakeDirectory):
    """Remove an empty directory."""

    verb: ClassVar[str] = "remove"

    def state(self, root: Root) -> str:
        """Done when nothing stands there."""
        found = root.lstat(self.path)
        if found is None:
            return DONE
        return READY if stat.S_ISDIR(found.st_mode) else OTHER

    def run(self, root: Root) -> None:
        """The kernel refuses a directory that is not empty."""
        root.rmdir(self.path)

    def inverse(self) -> Operation:
        """Make it again."""
        return MakeDirectory(self.path, self.mode, self.owner, self.group, self.quiet)

    def line(self) -> str:
        """Directories of statelite's own are quiet."""
        return "" if self.quiet else f"remove {self.path}/"


@dataclass(frozen=True)
class MakeFile(Operation):
    """A new empty file."""

    mode: int
    verb: ClassVar[str] = "create"

    def state(self, root: Root) -> str:
        """Done when a regular file of this mode stands there."""
        found = root.lstat(self.path)
        if found is None:
            return READY
        if not stat.S_ISREG(found.st_mode):
            return OTHER
        return DONE if stat.S_IMODE(found.st_mode) == self.mode else READY

    def run(self, root: Root) -> None:
        """Make it; one that a cut-off run made is kept."""
        root.make_file(self.path, self.mode)

    def inverse(self) -> Operation:
        """Remove it."""
        return RemoveFile(self.path, self.mode)


@dataclass(frozen=True)
class RemoveFile(MakeFile):
    """Remove an empty regular file that MakeFile made."""

    verb: ClassVar[str] = "remove"

    def state(self, root: Root) -> str:
        """A file that has got a content meanwhile is not this operation's to remove."""
        found = root.lstat(self.path)
        if found is None:
            return DONE
        return READY if stat.S_ISREG(found.st_mode) and found.st_size == 0 else OTHER

    def run(self, root: Root) -> None:
        """Remove the name."""
        root.unlink(self.path)

    def inverse(self) -> Operation:
        """Make it again."""
        return MakeFile(self.path, self.mode)


@dataclass(frozen=True)
class MakeLink(Operation):
    """A new symbolic link with this text."""

    text: str
    word: str = "link"

    def state(self, root: Root) -> str:
        """Done when a link with the same text stands there."""
        found = root.lstat(self.path)
        if found is None:
            return READY
        return DONE if stat.S_ISLNK(found.st_mode) and root.readlink(self.path) == self.text else OTHER

    def run(self, root: Root) -> None:
        """Make it in one call."""
        root.symlink(self.path, self.text)

    def inverse(self) -> Operation:
        """Remove it."""
        return RemoveLink(self.path, self.text, self.word)

    def line(self) -> str:
        """`word` says what the link is for: link, default, mount point; empty for one that a person need not read."""
        return f"{self.word} {self.path} -> {self.text}" if self.word else ""


@dataclass(frozen=True)
class RemoveLink(MakeLink):
    """Remove a symbolic link that MakeLink made."""

    def state(self, root: Root) -> str:
        """A link with another text is not this operation's to remove."""
        found = super().state(root)
        return {READY: DONE, DONE: READY}.get(found, OTHER)

    def run(self, root: Root) -> None:
        """Remove the name."""
        root.unlink(self.path)

    def inverse(self) -> Operation:
        """Make it again."""
        return MakeLink(self.path, self.text, self.word)

    def line(self) -> str:
        """Say what goes away."""
        return f"remove {self.word} {self.path}" if self.word else ""


@dataclass(frozen=True)
class Move(Operation):
    """Rename `path` to `target`, with everything in it; `word` says why: default, restore, keep."""

    target: str
    word: str = "default"

    def state(self, root: Root) -> str:
        """Done when it stands at the target and no more at the path."""
        here, there = root.lstat(self.path) is not None, root.lstat(self.target) is not None
        if here and not there:
            return READY
        return DONE if there and not here else OTHER

    def run(self, root: Root) -> None:
        """One rename; what is at the target is never replaced."""
        root.rename(self.path, self.target)

    def inverse(self) -> Operation:
        """Move it back."""
        return Move(self.target, self.path, {"default": "restore", "keep": "restore", "restore": "default"}[self.word])

    def line(self) -> str:
        """Restored things are named by their own place, the others by where they are kept."""
        if self.word == "restore":
            return f"restore {self.target}"
        return f"{self.word} {self.target} (was {self.path})"


@dataclass(frozen=True)
class ChangeMode(Operation):
    """Another mode for a directory."""

    mode: int
    was: int
    verb: ClassVar[str] = "mode"

    def state(self, root: Root) -> str:
        """Done when it has the mode."""
        found = root.lstat(self.path)
        if found is None or stat.S_ISLNK(found.st_mode):
            return OTHER
        return DONE if stat.S_IMODE(found.st_mode) == self.mode else READY

    def run(self, root: Root) -> None:
        """Set it."""
        root.chmod(self.path, self.mode)

    def inverse(self) -> Operation:
        """Set the old one."""
        return ChangeMode(self.path, self.was, self.mode)

    def line(self) -> str:
        """Both modes in octal."""
        return f"mode {self.path} {self.mode:04o} (was {self.was:04o})"


@dataclass(frozen=True)
class KeepTimes(Operation):
    """Give a directory the times it had before names in it were changed.

    `back` stands before the changes and does something only when they are taken back.
    """

    accessed: int
    modified: int
    back: bool = False

    def state(self, root: Root) -> str:
        """Done when the time of the last change is as it was."""
        if self.back:
            return DONE
        found = root.lstat(self.path)
        if found is None:
            return OTHER
        return DONE if found.st_mtime_ns == self.modified else READY

    def run(self, root: Root) -> None:
        """Set both."""
        if not self.back:
            root.utimes(self.path, self.accessed, self.modified)

    def inverse(self) -> Operation:
        """Taking a change back has the same times to keep."""
        return KeepTimes(self.path, self.accessed, self.modified, not self.back)

    def line(self) -> str:
        """Nothing that a person would miss."""
        return ""


@dataclass(frozen=True)
class WriteText(Operation):
    """Replace a small text file of statelite's own; None stands for no file."""

    text: str | None
    was: str | None
    word: str = ""

    def state(self, root: Root) -> str:
        """Done when it has the text."""
        content = root.read(self.path)
        now = None if content is None else content.decode("utf-8", "surrogateescape")
        return DONE if now == self.text else READY

    def run(self, root: Root) -> None:
        """Write it whole, or remove it."""
        if self.text is None:
            root.unlink(self.path)
        else:
            root.replace(self.path, self.text.encode("utf-8", "surrogateescape"), 0o644)

    def inverse(self) -> Operation:
        """Write what was there."""
        return WriteText(self.path, self.was, self.text, self.word)

    def line(self) -> str:
        """Said by the caller when nothing else is changed."""
        return self.word


@dataclass(frozen=True)
class SetAside(Operation):
    """Move what an administrator's newer file took the place of out of the tree, into the journal's directory."""

    directory: str
    name: str
    verb: ClassVar[str] = "set aside"

    def state(self, root: Root) -> str:
        """Done when it stands outside and no more inside."""
        here, there = root.lstat(self.path) is not None, os.path.lexists(os.path.join(self.directory, self.name))
        if here and not there:
            return READY
        return DONE if there and not here else OTHER

    def run(self, root: Root) -> None:
        """One rename to the directory beside the root, which is made when missing."""
        os.makedirs(self.directory, mode=0o700, exist_ok=True)
        with Root(self.directory, root.kernel_confined) as outside:
            root.rename_into(self.path, outside, self.name)

    def inverse(self) -> Operation:
        """Put it back."""
        return PutBack(self.path, self.directory, self.name)

    def line(self) -> str:
        """Name both places."""
        return f"set aside {self.path}, replaced by a newer file, as {self.directory}/{self.name}"


@dataclass(frozen=True)
class PutBack(SetAside):
    """Move what was set aside back to its place in the tree."""

    verb: ClassVar[str] = "put back"

    def state(self, root: Root) -> str:
        """Done when it stands inside again."""
        found = super().state(root)
        return {READY: DONE, DONE: READY}.get(found, OTHER)

    def run(self, root: Root) -> None:
        """One rename."""
        with Root(self.directory, root.kernel_confined) as outside:
            outside.rename_into(self.name, root, self.path)

    def inverse(self) -> Operation:
        """Set it aside again."""
        return SetAside(self.path, self.directory, self.name)

    def line(self) -> str:
        """Name the place in the tree."""
        return f"put back {self.path}"


_DIRECTORIES_AND_FILES = (MakeDirectory, RemoveDirectory, MakeFile, RemoveFile, ChangeMode, KeepTimes, WriteText)
_NAMES = (MakeLink, RemoveLink, Move, SetAside, PutBack)
KINDS = {kind.__name__: kind for kind in (*_DIRECTORIES_AND_FILES, *_NAMES)}


def operation_of(record: dict[str, Any]) -> Operation:
    """Return the operation that `record()` wrote down; raises KeyError or TypeError on anything else."""
    kind = KINDS[record["do"]]
    return kind(**{field.name: record[field.name] for field in fields(kind)})
