# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The small changes that every change of a tree is made of: typed, reversible, printable, safe to carry out again.

An operation tells from the tree alone whether it still has to be done: a killed process leaves at most one of them
half way, and `run` finishes that one. None replaces or removes something that it was not made for. (None is changed once
it is made; to enforce that takes longer than to make them, of which a plan may have a hundred thousand.)
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

from .root import Root

READY, DONE, OTHER = "ready", "done", "other"
"""Whether an operation can be carried out, has been, or meets a tree that is neither."""


@dataclass
class Operation:
    """One change at `path` inside a root. A repeatable one may be carried out again; its state tells little of how far a run came."""

    path: str
    verb: ClassVar[str] = ""
    repeatable: ClassVar[bool] = False

    def state(self, root: Root) -> str:
        """Return READY, DONE or OTHER for the tree as it is."""
        raise NotImplementedError

    def run(self, root: Root) -> None:
        """Carry the change out, or the rest of it."""
        raise NotImplementedError

    def _unlink(self, root: Root) -> None:
        if self.state(root) == OTHER:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), self.path)
        root.unlink(self.path)

    def inverse(self) -> Operation:
        """Return the change that takes this one back."""
        raise NotImplementedError

    def places(self) -> tuple[str, ...]:
        """Return the paths at which something comes or goes."""
        return (self.path,)

    def line(self) -> str:
        """Return the line of a plan, empty when a person need not read it."""
        return f"{self.verb} {self.path}"

    def record(self) -> list[Any]:
        """Return the form that a journal keeps: what it is, and its fields in their order."""
        return [type(self).__name__, *vars(self).values()]


@dataclass
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


@dataclass
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


@dataclass
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


@dataclass
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
        """Remove the name, of nothing but an empty file."""
        self._unlink(root)

    def inverse(self) -> Operation:
        """Make it again."""
        return MakeFile(self.path, self.mode)


@dataclass
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


@dataclass
class RemoveLink(MakeLink):
    """Remove a symbolic link that MakeLink made."""

    def state(self, root: Root) -> str:
        """A link with another text is not this operation's to remove."""
        found = super().state(root)
        return {READY: DONE, DONE: READY}.get(found, OTHER)

    def run(self, root: Root) -> None:
        """Remove the name, of nothing but this link."""
        self._unlink(root)

    def inverse(self) -> Operation:
        """Make it again."""
        return MakeLink(self.path, self.text, self.word)

    def line(self) -> str:
        """Say what goes away."""
        return f"remove {self.word} {self.path}" if self.word else ""


@dataclass
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

    def places(self) -> tuple[str, ...]:
        """Both ends."""
        return self.path, self.target

    def inverse(self) -> Operation:
        """Move it back."""
        return Move(self.target, self.path, {"default": "restore", "keep": "restore", "restore": "default"}[self.word])

    def line(self) -> str:
        """Restored things are named by their own place, the others by where they are kept."""
        if self.word == "restore":
            return f"restore {self.target}"
        return f"{self.word} {self.target} (was {self.path})"


@dataclass
class ChangeMode(Operation):
    """Another mode for a directory."""

    mode: int
    was: int
    verb: ClassVar[str] = "mode"
    repeatable: ClassVar[bool] = True

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


@dataclass
class KeepTimes(Operation):
    """Give a directory the times it had before names in it were changed.

    `back` stands before the changes and does something only when they are taken back.
    """

    accessed: int
    modified: int
    back: bool = False
    repeatable: ClassVar[bool] = True

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


@dataclass
class WriteText(Operation):
    """Replace a small text file of statelite's own; None stands for no file."""

    text: str | None
    was: str | None
    word: str = ""
    repeatable: ClassVar[bool] = True

    def state(self, root: Root) -> str:
        """Done when it has the text."""
        content = root.read(self.path)
        now = None if content is None else content.decode("utf-8", "surrogateescape")
        return DONE if now == self.text else READY

    def run(self, root: Root) -> None:
        """Write it whole, or remove it."""
        if self.text is None:
            with suppress(FileNotFoundError):
                root.unlink(self.path)
        else:
            root.replace(self.path, self.text.encode("utf-8", "surrogateescape"), 0o644)

    def inverse(self) -> Operation:
        """Write what was there."""
        return WriteText(self.path, self.was, self.text, self.word)

    def line(self) -> str:
        """Said by the caller when nothing else is changed."""
        return self.word
