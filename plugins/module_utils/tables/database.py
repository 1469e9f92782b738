# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a store needs of a kind of database: how work is done in one transaction, and where its SQL differs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

Result = TypeVar("Result")


class Cursor(Protocol):
    """Carries one statement at a time out, and gives the rows of the last one."""

    def execute(self, statement: str, values: Sequence[Any] = ...) -> Any:
        """Carry a statement out with values in the places of its marks."""

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """Give the rows of the last statement."""


class Database(Protocol):
    """A place for the tables of one site. Each failure of the database is raised as SiteError that names it."""

    mark: str
    """What stands for a value in a statement."""
    order: str
    """The column by which the rows of a table come in the order in which they were added."""
    order_column: str
    """Its definition, where the database has none by itself."""

    @property
    def exists(self) -> bool:
        """Whether there may be a database at all; a look without opening it."""

    @property
    def replica(self) -> bool:
        """Whether the rows were last read from a server that follows another one, so that they may be older than what was seen."""

    def create(self) -> None:
        """Make the place for a database that a writer is about to fill. Raises OSError."""

    def run(self, work: Callable[[Cursor], Result], writing: bool = False) -> Result:
        """Return what `work` does in one transaction: a reader sees one moment, a writer is alone; what it raises takes all back.

        `work` is done again when the connection was lost in it, so it may do nothing outside the database.
        """

    def names(self, cursor: Cursor) -> set[str]:
        """Return the names of the tables that are there; none in a database that nobody wrote to."""

    def prepare(self, cursor: Cursor) -> None:
        """Make what the first tables need."""

    def share(self, cursor: Cursor, name: str) -> None:
        """Give everybody the rights on a table that came later that they have on the first ones."""

    def done(self, cursor: Cursor, token: str) -> bool:
        """Tell whether the write with this token was committed: asked when the answer to a commit was lost."""

    def note(self, cursor: Cursor, version: int, token: str) -> None:
        """Keep the token with the write that it is of."""

    def revision(self, cursor: Cursor) -> str:
        """Return what tells apart two writes that made the same version, as after a backup was put back; blank where nothing does."""

    def close(self) -> None:
        """Close the connection."""
