# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write-ahead journal of operations on a tree: killed at any point, the next run finishes what was begun.

    <directory>/journal   every operation, whole and on disk before the first of them is carried out
    <directory>/marks     one byte for each operation, a dot when it is done

The journal appears by one rename and goes by one unlink, so it is either whole or not there. Marks are not synced
one by one: after a kill they lack at most the last operation, which tells by itself whether it was done. After a loss
of power they may lack more, or be ahead of the tree: position.py finds out.
"""

from __future__ import annotations

import json
import mmap
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from ..errors import SiteError
from .files import read_bytes, sync_directory
from .kinds import operation_of
from .operations import OTHER, Operation
from .position import Positions
from .root import Root

FORMAT = 3
MARK, BLANK = ord("."), 0


class Marks(Protocol):
    """One byte for each operation."""

    def __setitem__(self, number: int, mark: int) -> None:
        """Set the mark of an operation."""


class Written:
    """Marks on a file system that maps no files: a system call for each."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __setitem__(self, number: int, mark: int) -> None:
        os.pwrite(self.descriptor, bytes((mark,)), number)


class Journal:
    """The journal of one tree, in a directory beside it."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.path = os.path.join(directory, "journal")
        self.marks = os.path.join(directory, "marks")

    def pending(self) -> list[Operation] | None:
        """Return the operations of a run that did not end, None when the last one did."""
        content = read_bytes(self.path)
        if content is None:
            return None
        try:
            document = json.loads(content)
            if document["format"] != FORMAT:
                raise ValueError(f"format {document['format']}")
            return [operation_of(record) for record in document["operations"]]
        except (ValueError, KeyError, TypeError) as error:
            raise SiteError.of(self.path, f"is not a journal of this program ({error})", "Finish with the version that wrote it") from error

    def remaining(self, root: Root) -> list[Operation]:
        """Return what a killed run has still to do; empty when there is none."""
        operations = self.pending()
        return [] if operations is None else operations[Positions(root, operations).found(self._marked(operations)) :]

    def recover(self, root: Root) -> int:
        """Finish a run that was killed; return how many operations were left, and forget it."""
        operations = self.pending()
        if operations is None:
            return 0
        position = Positions(root, operations).found(self._marked(operations))
        with open(self.marks, "wb") as stream:
            stream.write((b"." * position).ljust(len(operations), b"\0"))
        self._carry_out(root, operations, position)
        return len(operations) - position

    def run(self, root: Root, operations: Sequence[Operation]) -> None:
        """Carry `operations` out in order, so that a kill at any point can be recovered from.

        When one fails, those before it are taken back and the SiteError is raised.
        """
        os.makedirs(self.directory, mode=0o755, exist_ok=True)
        self._write(operations)
        try:
            self._carry_out(root, operations, 0)
        except SiteError:
            self._take_back(root, operations)
            raise

    def _write(self, operations: Sequence[Operation]) -> None:
        with open(self.marks, "wb") as stream:
            stream.write(bytes(len(operations)))
        temporary = f"{self.path}.new"
        with open(temporary, "w", encoding="ascii") as stream:
            stream.write(json.dumps({"format": FORMAT, "operations": [operation.record() for operation in operations]}))
            stream.flush()
            os.fsync(stream.fileno())
        os.rename(temporary, self.path)
        sync_directory(self.directory)

    def _marked(self, operations: Sequence[Operation]) -> int:
        """Return how many operations are marked as done."""
        marks = (read_bytes(self.marks) or b"")[: len(operations)]
        return len(marks) - len(marks.lstrip(b"."))

    @contextmanager
    def _marks_of(self, operations: Sequence[Operation]) -> Iterator[Marks]:
        """Give the marks, whose file has its whole length already."""
        with open(self.marks, "r+b", buffering=0) as stream:
            try:
                mapped = mmap.mmap(stream.fileno(), len(operations))
            except (OSError, ValueError):
                yield Written(stream.fileno())
                return
            with mapped:
                yield mapped

    def _carry_out(self, root: Root, operations: Sequence[Operation], position: int) -> None:
        with self._marks_of(operations) as marks:
            for number in range(position, len(operations)):
                self._step(root, operations[number])
                marks[number] = MARK
        self._forget(root)

    def _take_back(self, root: Root, operations: Sequence[Operation]) -> None:
        """Undo what is marked as done, last first; a kill on the way leaves a journal that the next run finishes."""
        with self._marks_of(operations) as marks:
            for number in range(self._marked(operations) - 1, -1, -1):
                self._step(root, operations[number].inverse())
                marks[number] = BLANK
        self._forget(root)

    def _forget(self, root: Root) -> None:
        root.sync()
        os.unlink(self.path)
        os.unlink(self.marks)
        sync_directory(self.directory)

    def _step(self, root: Root, operation: Operation) -> None:
        try:
            operation.run(root)
        except OSError as error:
            if operation.state(root) == OTHER:
                what = f"the tree was changed by somebody else while '{operation.line() or operation.path}' was due"
            else:
                what = f"'{operation.line() or operation.path}' failed ({error.strerror})"
            raise SiteError.of(
                os.path.join(root.path, operation.path.lstrip("/")),
                what,
                f"Mend it and run again: the rest stands in {self.path}",
            ) from error
