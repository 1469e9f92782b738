# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a run came that did not end: as its marks say, corrected by what stands in the tree.

A killed process loses no mark, so they lack at most the operation that it was at. After a loss of power marks and tree may
be apart by any number of operations, either way: a file system keeps the order of changes in the tree, not that of a
tree's changes and what was written to a file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .operations import DONE, READY, Operation
from .root import Root


def _ways(path: str) -> Iterator[str]:
    """Give a path and every directory above it."""
    while path:
        yield path
        path = path.rpartition("/")[0]


class Positions:
    """The operations of a journal against the tree as it stands."""

    def __init__(self, root: Root, operations: Sequence[Operation]) -> None:
        self.root = root
        self.operations = operations
        self._states: dict[int, str] = {}

    def _state(self, number: int) -> str:
        if number not in self._states:
            self._states[number] = self.operations[number].state(self.root)
        return self._states[number]

    def _all(self, numbers: range, wanted: str) -> bool:
        """Tell whether each of these is in the wanted state, but those whose place another one before them in `numbers` changes."""
        touched: set[str] = set()
        for number in numbers:
            operation = self.operations[number]
            places = operation.places()
            told = operation.repeatable or any(way in touched for place in places for way in _ways(place))
            if not told and self._state(number) != wanted:
                return False
            touched.update(places)
        return True

    def fits(self, position: int) -> bool:
        """Tell whether the tree is as after just the first `position` operations."""
        return self._all(range(position, len(self.operations)), READY) and self._all(range(position - 1, -1, -1), DONE)

    def found(self, marked: int) -> int:
        """Return how many operations are done, the number nearest to what the marks tell that fits; that itself when none does.

        Of the last ones those are not counted that can be carried out again, from the first of them on that has to be.
        """
        count = len(self.operations)
        near = marked + 1 if marked < count and self._state(marked) == DONE else marked
        tried = (place for far in range(count + 1) for place in (near + far, near - far) if 0 <= place <= count)
        position = next((place for place in tried if self.fits(place)), near)
        seen: set[str] = set()
        back = position
        for number in range(position - 1, -1, -1):
            operation = self.operations[number]
            if not operation.repeatable:
                break
            if operation.path not in seen and self._state(number) != DONE:
                back = number
            seen.add(operation.path)
        return back
