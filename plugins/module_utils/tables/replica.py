# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A copy of the site on a server that has no database, such as a service node: the published snapshot, to be read only."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence

from ..errors import SiteError
from .address import Address
from .columns import Row
from .plan import Change
from .schema import TABLES
from .snapshot import load_snapshot

Tables = dict[str, list[Row]]


class Replica:
    """What a store is for its readers. In `directory` lie this server's own keys and records."""

    def __init__(self, address: Address) -> None:
        self.site = self.snapshot = address.site
        self.directory = address.directory

    def __enter__(self) -> Replica:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing is held open."""

    @property
    def exists(self) -> bool:
        """Whether the copy has arrived."""
        return os.path.isfile(self.snapshot)

    @property
    def version(self) -> int:
        """The number of writes that the database had seen."""
        return self.read(())[0]

    @property
    def revision(self) -> str:
        """What stands for the rows, with the time of the file."""
        return str(self.version)

    def tables(self, names: Iterable[str] | None = None) -> Tables:
        """Return the rows of the tables named, all by default."""
        return self.read(names)[1]

    def read(self, names: Iterable[str] | None = None) -> tuple[int, Tables]:
        """Return (version, rows by table); raises SiteError when there is no sound copy."""
        version, tables = load_snapshot(self.snapshot)
        return version, {name: list(tables.get(name, ())) for name in (TABLES if names is None else names)}

    def write(
        self,
        changes: Sequence[Change],
        read_at: int | None = None,
        again: Callable[[Tables], Sequence[Change]] | None = None,
    ) -> Sequence[Change]:
        """Refuse changes: they would be lost with the next copy."""
        del read_at, again
        if changes:
            raise self._refusal()
        return changes

    def unpublished(self) -> list[str]:
        """Raise SiteError: only who would write asks this."""
        raise self._refusal()

    def publish(self) -> None:
        """Raise SiteError: a copy is published where the database is."""
        raise self._refusal()

    def _refusal(self) -> SiteError:
        mend = "Write tables where the database is, on the management node, and bring the copy here by the role service_node"
        return SiteError.of(self.snapshot, "it is a copy of the site's tables, to be read only", mend)
