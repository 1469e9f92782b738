# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows as text, both ways: the CSV form of tabdump (behaviour.md h.1) and JSON lines."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import Fault, SiteError, raise_faults
from .columns import CURLY_QUOTES, Row, Table

QUOTED = re.compile(r'"([^"]*(?:""[^"]*)*)"')
PLAIN = re.compile(r'[^",\r\n]*')
END_OF_LINE = re.compile(r"[^\n]*\n?")


@dataclass
class Parsed:
    """Rows as they stand in a text, blank cells of CSV columns as '', and the place of each, such as "line 7"."""

    rows: list[Any] = field(default_factory=list)
    places: list[str] = field(default_factory=list)


def parse(text: str, columns: Sequence[str], source: str) -> Parsed:
    """Return the rows of a text in either form: CSV when it begins with a # header, JSON lines when it begins with {.

    `columns` are the names that may stand in a CSV header; `source` is how faults call the text.
    An empty text holds no rows. Raises SiteError with every fault of the form.
    """
    text = text.removeprefix("\ufeff")
    beginning = text.lstrip()[:1]
    if not beginning:
        return Parsed()
    if beginning == "{":
        return parse_json_lines(text, source)
    return parse_csv(text, columns, source)


def header_names(text: str) -> list[str]:
    """Return the column names of a CSV text's header; none where it has no header."""
    header = text.removeprefix("\ufeff").lstrip().partition("\n")[0]
    return _names(header) if header.startswith("#") else []


def parse_json_lines(text: str, source: str) -> Parsed:
    """Return one row a line, each a JSON object; blank lines are skipped."""
    parsed, faults = Parsed(), []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            faults.append(Fault(f"{source} line {number}", f"it is no JSON: {error}", "Write one object a line"))
            continue
        if not isinstance(row, dict):
            faults.append(Fault(f"{source} line {number}", "it is no JSON object", 'Write {"column": "value", ...}'))
            continue
        parsed.rows.append(row)
        parsed.places.append(f"line {number}")
    raise_faults(faults)
    return parsed


def parse_csv(text: str, columns: Sequence[str], source: str) -> Parsed:
    """Return the rows of a CSV text whose first line is # and column names, a subset in any order.

    Cells are plain, or in double quotes with inner quotes doubled and newlines kept. Blank lines, and the header line once more
    (two tables pasted after each other), are skipped. Raises SiteError with every fault and its line.
    """
    number = text[: len(text) - len(text.lstrip())].count("\n") + 1
    where = f"{source} line {number}"
    header, _end, body = text.lstrip().partition("\n")
    if not header.startswith("#"):
        raise SiteError.of(where, "the header line is missing", "Begin with # and the column names: #" + ",".join(columns))
    names = _names(header)
    mend = "Use " + ", ".join(columns)
    faults = [Fault(where, f"the header names {name!r}, which is no column", mend) for name in names if name not in columns]
    faults.extend(Fault(where, f"the header names {name!r} twice", "Name each column once") for name in _twice(names))
    parsed = Parsed()
    for line in _split(body, number + 1):
        if line.cells and line.cells[0].startswith("#") and _names(",".join(line.cells)) == names:
            continue
        problem = line.problem or _problem(line.cells, len(names))
        if problem is not None:
            faults.append(Fault(f"{source} line {line.number}", *problem))
            continue
        parsed.rows.append({**dict.fromkeys(names, ""), **dict(zip(names, line.cells))})
        parsed.places.append(f"line {line.number}")
    raise_faults(faults)
    return parsed


def _names(header: str) -> list[str]:
    """Return the column names of a header line; quotes in it mean nothing."""
    return [name.strip() for name in header.replace('"', "").lstrip("#").split(",")]


def _twice(names: Sequence[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})


def _problem(cells: Sequence[str], columns: int) -> tuple[str, str] | None:
    """Return what is wrong with the cells of a line; an empty surplus cell, as the document's own examples have, is let pass."""
    for cell in cells:
        if cell and (cell[0] in CURLY_QUOTES or cell[-1] in CURLY_QUOTES):
            return f"{cell} has curly quotes, as text copied from a document has them", 'Use plain double quotes: "'
    if cells[0].startswith("#"):
        return "a table has no comment lines", "Remove the line, or use the comments column"
    if any(cells[columns:]):
        return f"it has {len(cells)} cells for {columns} columns", "Put a cell that holds commas into double quotes"
    return None


@dataclass
class _Line:
    """One logical line: where it begins, its cells, or what is wrong with it."""

    number: int
    cells: list[str]
    problem: tuple[str, str] | None = None


def _split(text: str, number: int) -> Iterator[_Line]:
    """Yield the lines that are not blank, the first of them numbered `number`; a line goes on while a quoted cell is open."""
    position = 0
    while position < len(text):
        start = position
        line, position = _read_line(text, position, number)
        if line.problem is not None or len(line.cells) > 1 or line.cells[0].strip():
            yield line
        number += text.count("\n", start, position)


def _read_line(text: str, position: int, number: int) -> tuple[_Line, int]:
    """Return the line that begins at `position`, and where the next one begins."""
    line = _Line(number, [])
    while True:
        quoted = text.startswith('"', position)
        cell = (QUOTED if quoted else PLAIN).match(text, position)
        if cell is None:
            line.problem = ("a quote is never closed", 'End the cell with ", and double a quote inside it: ""')
            break
        end = cell.end()
        if text.startswith("\r\n", end):
            end += 1
        if end < len(text) and text[end] not in ",\n":
            line.problem = (f"there is a stray quote after {text[position:end][-20:]!r}", 'Double a quote inside a quoted cell: ""')
            break
        line.cells.append(cell.group(1).replace('""', '"') if quoted else cell.group(0))
        if end >= len(text) or text[end] == "\n":
            return line, end + 1
        position = end + 1
    rest = END_OF_LINE.match(text, position)
    return line, rest.end() if rest else len(text)


def to_csv(table: Table, rows: Sequence[Row]) -> str:
    """Return the rows in the CSV form of tabdump: every set cell in quotes, unset cells empty.

    Columns of our own stand in it only when a row sets one, so that the original reads the file.
    """
    names = [column.name for column in table.columns if not column.ours or any(row.get(column.name) for row in rows)]
    lines = ["#" + ",".join(names)]
    lines.extend(",".join(_cell(row.get(name) or "") for name in names) for row in rows)
    return "".join(f"{line}\n" for line in lines)


def _cell(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if text else ""


def to_json_lines(rows: Sequence[Row]) -> str:
    """Return one JSON object a row and line, set cells only."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
