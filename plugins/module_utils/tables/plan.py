# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From declared rows and the rows that are there to the ordered changes of one transaction: pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..errors import SiteError
from .columns import Row, Table, clean


@dataclass(frozen=True)
class Change:
    """One row added (no `before`), changed, or removed (no `after`)."""

    table: Table
    before: Row | None
    after: Row | None

    @property
    def key(self) -> tuple[str, ...]:
        """The normalised key of the row."""
        return self.table.key_of(self.after if self.after is not None else self.before or {})

    def lines(self) -> list[str]:
        """Return one readable line a changed cell, or one for a row that comes or goes."""
        address = self.table.address(self.after if self.after is not None else self.before or {})
        if self.before is None:
            return [f"{address}: added" + _cells(self.table, self.after or {})]
        if self.after is None:
            return [f"{address}: removed" + _cells(self.table, self.before)]
        return [
            f"{address}: {name}: {self.before.get(name, '')!r} -> {self.after.get(name, '')!r}"
            for name in self.table.names
            if self.before.get(name, "") != self.after.get(name, "")
        ]


def _cells(table: Table, row: Row) -> str:
    """Return the set cells besides the key, as they stand in a line."""
    cells = [f"{name}={row[name]!r}" for name in table.names if row.get(name) and name not in table.key]
    return " " + " ".join(cells) if cells else ""


def lines_of(changes: Iterable[Change]) -> list[str]:
    """Return the readable lines of all changes, sorted."""
    return sorted(line for change in changes for line in change.lines())


def by_key(table: Table, rows: Iterable[Row]) -> dict[tuple[str, ...], Row]:
    """Return the rows by their normalised key, unset cells dropped."""
    return {table.key_of(row): clean(table, row) for row in rows}


def differs(table: Table, before: Row, after: Row) -> bool:
    """Tell whether a cell besides the key differs; a blank image and ALL are one key, so they are no difference."""
    return any(before.get(name, "") != after.get(name, "") for name in table.names if name not in table.key)


def plan_table(table: Table, present: Sequence[Row], declared: Sequence[Row], removed: Collection[tuple[str, ...]] = ()) -> list[Change]:
    """Return the changes that make `declared` rows stand in the table and rows with a `removed` key go.

    A row whose cells are as declared is no change. Order: rows that go, then the declared ones in their order.
    """
    existing = by_key(table, present)
    wanted = by_key(table, declared)
    changes = [Change(table, row, None) for key, row in existing.items() if key in removed and key not in wanted]
    for key, row in wanted.items():
        before = existing.get(key)
        if before is None:
            changes.append(Change(table, None, row))
        elif differs(table, before, row):
            kept_key = {name: before[name] for name in table.key if name in before}
            changes.append(Change(table, before, clean(table, {**row, **dict.fromkeys(table.key, ""), **kept_key})))
    return changes


def after_changes(tables: Mapping[str, Sequence[Row]], changes: Iterable[Change]) -> dict[str, list[Row]]:
    """Return the rows of the changed tables as they will stand after the changes."""
    result: dict[str, dict[tuple[str, ...], Row]] = {}
    for change in changes:
        name = change.table.name
        if name not in result:
            result[name] = by_key(change.table, tables.get(name, ()))
        if change.after is None:
            result[name].pop(change.key, None)
        else:
            result[name][change.key] = change.after
    return {name: list(rows.values()) for name, rows in result.items()}


def exclusive_keys(
    table: Table, present: Sequence[Row], declared: Sequence[Row], image: str | None, allow_empty: bool
) -> set[tuple[str, ...]]:
    """Return the keys of present rows that are not declared; of one image only when `image` is given (blank is ALL).

    Raises SiteError when nothing is declared for what would be emptied and `allow_empty` does not say that this is meant.
    """
    if image is None:
        position = None
    else:
        position, image = table.key.index("image"), image or table.column("image").blank

    def in_scope(key: tuple[str, ...]) -> bool:
        return position is None or key[position] == image

    wanted = {key for key in map(table.key_of, declared) if in_scope(key)}
    going = {key for key in map(table.key_of, present) if in_scope(key)} - wanted
    if going and not wanted and not allow_empty:
        scope = f"{table.name} of image {image}" if position is not None else table.name
        raise SiteError.of(
            scope, f"exclusive with an empty list would remove all {len(going)} rows", "Set allow_empty: true when this is meant"
        )
    return going
