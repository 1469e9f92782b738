# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One attribute of one node: its own row, then its groups in written order, per attribute (behaviour.md b.1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .patterns import SLASHES, transform

if TYPE_CHECKING:
    from .site import Site

NEXT_RECORD = "+=NEXTRECORD"
MARKS = ("/", "|")
"""How a value begins that is a pattern."""

PATHS = frozenset({("statelite", "statemnt"), ("noderes", "nfsdir"), ("noderes", "tftpdir")})
"""Columns whose values are directories: `/lite/state/` there is a path, not the pattern `/…/…/` (docs/differences.md)."""


@dataclass(frozen=True)
class Value:
    """What an attribute is (`text`, never empty) and where it came from (`node n1`, `group compute`)."""

    text: str
    source: str


def _records(site: Site, node: str, table: str, column: str) -> Iterator[Value]:
    """Yield the set values of the attribute: the node's own, then each group's."""
    row = site.holder(table, node)
    if row and row.get(column):
        yield Value(row[column], f"node {node}")
    for group in site.groups(node):
        row = site.holder(table, group)
        if row and row.get(column):
            yield Value(row[column], f"group {group}")


def _chained(records: Iterator[Value]) -> Value | None:
    """Return the first record; while a text ends in the marker, the next record's text is appended."""
    text = ""
    sources: list[str] = []
    for record in records:
        sources.append(record.source)
        text += record.text
        if not text.endswith(NEXT_RECORD):
            break
        text = text[: -len(NEXT_RECORD)]
    return Value(text, ", ".join(sources)) if sources else None


def _joined(records: Iterator[Value], delimiter: str) -> Value | None:
    """Return all records joined, without repetitions (site.hierarchicalattrs)."""
    parts: list[str] = []
    sources: list[str] = []
    for record in records:
        sources.append(record.source)
        parts.extend(part for part in record.text.split(delimiter) if part not in parts)
    return Value(delimiter.join(parts), ", ".join(sources)) if sources else None


def attribute(site: Site, node: str, table: str, column: str) -> Value | None:
    """Return the value of `table.column` for `node`, or None when it is set nowhere.

    Raises SiteError when the value is an expression that cannot be computed.
    """
    site.consulted.add(table)
    row = site.holder(table, node)
    if row is None or not row.get(column):
        groups = site.groups(node)
        found = site.once(("inherited", table, column, *groups), lambda: _found(site, node, table, column))
    else:
        site.bound = True
        found = _found(site, node, table, column)
    if found is None or found.text[0] not in MARKS:
        return found
    site.bound = True
    if (table, column) in PATHS and SLASHES.fullmatch(found.text):
        return found
    text = transform(found.text, node, f"table {table}, {found.source}, column {column}")
    return Value(text, found.source) if text else None


def _found(site: Site, node: str, table: str, column: str) -> Value | None:
    """Return the value as written; what a node has from its groups alone is the same for all nodes of these groups."""
    delimiter = site.joined_attributes.get(column) if table != "nodelist" else None
    records = _records(site, node, table, column)
    found = _chained(records) if delimiter is None else _joined(records, delimiter)
    return found if found and found.text else None


def parts(site: Site, node: str, table: str, column: str) -> list[Value]:
    """Return the value in the pieces that it is made of, each with where it comes from; none when it is set nowhere.

    Raises SiteError when the value is an expression that cannot be computed.
    """
    whole = attribute(site, node, table, column)
    if whole is None:
        return []
    records = list(_records(site, node, table, column))[: whole.source.count(", ") + 1]
    if len(records) < 2:
        return [whole]
    return [Value(record.text.removesuffix(NEXT_RECORD), record.source) for record in records]
