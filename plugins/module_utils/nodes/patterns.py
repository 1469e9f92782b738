# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attribute values computed from the node's name: `/pattern/text/`, `|pattern|text|`, `|text|` (behaviour.md b.2)."""

from __future__ import annotations

import re

from ..errors import SiteError
from .expressions import compiled, search

SLASHES = re.compile(r"/([^/]*)/([^/]*)/")
TOKEN = re.compile(r"\s*(\d+|[-+*/%()])")
MEND = "Correct the expression; between parentheses only whole numbers, $1, + - * / % and parentheses can stand"


class _Arithmetic:
    """Whole-number arithmetic as the original's integer mode: division and remainder go toward zero."""

    def __init__(self, text: str) -> None:
        self.tokens: list[str] = []
        position = 0
        stripped = text.rstrip()
        while position < len(stripped):
            match = TOKEN.match(stripped, position)
            if not match:
                raise ValueError(f"'{stripped[position:]}' is not arithmetic")
            self.tokens.append(match.group(1))
            position = match.end()
        self.next = 0

    def value(self) -> int:
        """Return what the whole text comes to; raises ValueError."""
        result = self._sum()
        if self.next != len(self.tokens):
            raise ValueError(f"'{self.tokens[self.next]}' is out of place")
        return result

    def _take(self, *wanted: str) -> str | None:
        if self.next < len(self.tokens) and self.tokens[self.next] in wanted:
            self.next += 1
            return self.tokens[self.next - 1]
        return None

    def _sum(self) -> int:
        result = self._product()
        while True:
            sign = self._take("+", "-")
            if sign is None:
                return result
            term = self._product()
            result = result + term if sign == "+" else result - term

    def _product(self) -> int:
        result = self._factor()
        while True:
            sign = self._take("*", "/", "%")
            if sign is None:
                return result
            factor = self._factor()
            if sign == "*":
                result *= factor
                continue
            if factor == 0:
                raise ValueError("division by zero")
            quotient = abs(result) // abs(factor) * (1 if (result < 0) == (factor < 0) else -1)
            result = quotient if sign == "/" else result - quotient * factor

    def _factor(self) -> int:
        if self._take("-"):
            return -self._factor()
        if self._take("+"):
            return self._factor()
        if self._take("("):
            result = self._sum()
            if not self._take(")"):
                raise ValueError("a parenthesis is not closed")
            return result
        if self.next < len(self.tokens) and self.tokens[self.next].isdigit():
            self.next += 1
            return int(self.tokens[self.next - 1])
        raise ValueError("a number is missing")


def evaluate(text: str) -> int:
    """Return the value of whole-number arithmetic; raises ValueError with the reason."""
    try:
        return _Arithmetic(text).value()
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _filled(text: str, match: re.Match[str]) -> str:
    """Return `text` with `$1`, `$2` … replaced by the groups of `match` (a group that is not there is empty)."""

    def group(reference: re.Match[str]) -> str:
        number = int(reference.group(1))
        return (match.group(number) or "") if number <= (match.re.groups) else ""

    return re.sub(r"\$(\d+)", group, text)


def _balanced(text: str) -> tuple[int, int] | None:
    """Return where the first balanced `( … )` of `text` begins and ends, or None."""
    opened: list[int] = []
    found: tuple[int, int] | None = None
    for end, character in enumerate(text):
        if character == "(":
            opened.append(end)
        elif character == ")" and opened:
            start = opened.pop()
            if found is None or start < found[0]:
                found = start, end + 1
            if not opened:
                break
    return found


def _replaced(node: str, match: re.Match[str], text: str) -> str:
    return node[: match.start()] + text + node[match.end() :]


def _computed(node: str, match: re.Match[str], text: str, where: str) -> str:
    """Return `text` with each balanced parenthesis replaced by its value for `node`."""
    done = ""
    rest = text
    while True:
        span = _balanced(rest)
        if span is None:
            return done + rest
        start, end = span
        arithmetic = _replaced(node, match, _filled(rest[start:end], match))
        try:
            done += rest[:start] + str(evaluate(arithmetic))
        except ValueError as error:
            raise SiteError.of(where, f"'{rest[start:end]}' gives '{arithmetic}' for node {node}: {error}", MEND) from error
        rest = rest[end:]


def transform(value: str, node: str, where: str) -> str:
    """Return what `value` comes to for `node`; a value in none of the three forms comes back as it is.

    `where` names the row in the error. A pattern that does not match gives the node's name, as the original does.
    """
    slashes = SLASHES.fullmatch(value)
    if slashes:
        match = search(compiled(slashes.group(1), where), node, where)
        return _replaced(node, match, slashes.group(2)) if match else node
    if len(value) < 2 or not (value.startswith("|") and value.endswith("|")):
        return value
    pattern, two_parts, text = value[1:-1].partition("|")
    if not two_parts:
        text = pattern
        pattern = r"[\D0]*(\d+)" * len(re.findall(r"\d+", node)) + ".*$"
    match = search(compiled(pattern, where), node, where)
    if not match:
        return node
    return _replaced(node, match, _computed(node, match, text, where))
