# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb site_snapshot: what the database says now is published on this machine, also where nobody writes to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..errors import SiteError
from .address import DEFAULT_SITE
from .store import Store, open_store

SPEC: dict[str, Any] = {"site": {"type": "str", "default": DEFAULT_SITE}}


class SnapshotPlan:
    """The snapshot of one database, published anew unless it says the same already."""

    def __init__(self, store: Store) -> None:
        self._store = store
        with store:
            self._lines = store.unpublished()
            self._version = store.version

    def lines(self) -> list[str]:
        """Return a line when the snapshot is to be published."""
        return self._lines

    def result(self) -> dict[str, Any]:
        """Return where the snapshot is, and the version of the tables that it has."""
        return {"snapshot": self._store.snapshot, "version": self._version}

    def apply(self) -> None:
        """Publish it."""
        with self._store as store:
            store.publish()
            self._version = store.version


def plan_snapshot(params: Mapping[str, Any], _warn: Callable[[str], None]) -> SnapshotPlan:
    """Return the plan; raises SiteError for a database that nobody wrote to yet, and for a copy of a snapshot."""
    store = open_store(params["site"])
    if not isinstance(store, Store):
        mend = "Give the path or URL of the database"
        raise SiteError.of(store.site, "it is a copy of the site's tables, with nothing newer to publish", mend)
    with store:
        if not store.made:
            raise SiteError.of(store.shown, "nobody wrote to this database yet", "Declare the site, or name its database")
    return SnapshotPlan(store)
