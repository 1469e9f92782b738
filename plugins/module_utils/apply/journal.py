# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write-ahead journal of operations on a tree: killed at any point, the next run finishes what was begun.

    <directory>/journal   every operation, whole and on disk before the first of them is carried out
    <directory>/marks     one byte for each operation that is done

The journal appears by one rename and goes by one unlink, so it is either whole or not there. Marks are not synced
one by one: after a kill they lack at most the last operation, which tells by itself whether it was done. After a loss
of power they may lack more, or be ahead of the tree; `_position` then looks at the operations themselves.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

from ..errors import SiteError
from .files import read_bytes, sync_directory
from .operations import DONE, OTHER, READY, Operation, operation_of
from .root import Root

FORMAT = 2


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
        return [] if operations is None else operations[self._position(root, operations) :]

    def recover(self, root: Root) -> int:
        """Finish a run that was killed; return how many operations were left, and forget it."""
        operations = self.pending()
        if operations is None:
            return 0
        position = self._position(root, operations)
        os.truncate(self.marks, position)
        self._carry_out(root, operations, position)
        return len(operations) - position

    def run(self, root: Root, operations: Sequence[Operation]) -> None:
        """Carry `operations` out in order, so that a kill at any point can be recovered from.

        When one fails, those before it are taken back and the SiteError is raised.
        """
        os.makedirs(self.directory, mode=0o755, exist_ok=True)
        self._write(operations)
        try:
            self._carry_out(root, list(operations), 0)
        except SiteError:
            self._take_back(root, list(operations))
            raise

    def _write(self, operations: Sequence[Operation]) -> None:
        with open(self.marks, "wb"):
            pass
        temporary = f"{self.path}.new"
        with open(temporary, "w", encoding="ascii") as stream:
            stream.write(json.dumps({"format": FORMAT, "operations": [operation.record() for operation in operations]}))
            stream.flush()
            os.fsync(stream.fileno())
        os.rename(temporary, self.path)
        sync_directory(self.directory)

    def _position(self, root: Root, operations: list[Operation]) -> int:
        """Return the number of operations that are done: as marked, and on while they are; back only after a loss of power."""
        marked = position = min(len(read_bytes(self.marks) or b""), len(operations))
        while position < len(operations) and operations[position].state(root) == DONE:
            position += 1
        if position == marked:
            while position and operations[position - 1].state(root) == READY:
                position -= 1
        return position

    def _carry_out(self, root: Root, operations: list[Operation], position: int) -> None:
        with open(self.marks, "r+b", buffering=0) as marks:
            marks.seek(position)
            for operation in operations[position:]:
                self._step(root, operation)
                marks.write(b".")
        self._forget(root)

    def _take_back(self, root: Root, operations: list[Operation]) -> None:
        """Undo what is marked as done, last first; a kill on the way leaves a journal that the next run finishes."""
        with open(self.marks, "r+b", buffering=0) as marks:
            for position in range(len(read_bytes(self.marks) or b""), 0, -1):
                self._step(root, operations[position - 1].inverse())
                marks.truncate(position - 1)
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
