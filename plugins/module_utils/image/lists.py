# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list files that an image's columns name, with those that they include, taken from one site to another."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from ..nodes.images import Image
from .definition import parse_environment
from .listfile import DIRECTIVE, ListReading, split_column
from .packages import read_text

COLUMNS = ("pkglist", "otherpkglist", "exlist")


class _Names(ListReading):
    """Reads lists for the names of files alone."""

    def item(self, text: str, where: str) -> None:
        """An item is none of the names."""


def _reading(environvar: str, read: Any) -> _Names:
    return _Names(read, parse_environment(environvar, "environvar")[0])


def lists_of(image: Image) -> dict[str, str]:
    """Return the text of every list file by its path; those that can't be read are left out, as genimage tells of them."""
    reading = _reading(image.column("environvar"), read_text)
    for column in COLUMNS:
        for item in split_column(image.column(column)):
            if item.startswith("/"):
                reading.top(item, column)
    return {path: read_text(path) or "" for path in reading.files}


def moved(row: Mapping[str, str], lists: Mapping[str, str], directory: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return a row of linuximage whose columns name the lists in `directory`, and these lists by their new paths.

    Each has a plain name of its own there, whatever it was called; what includes another one names it by its new path.
    """
    places = {path: os.path.join(directory, f"{number}-{_plain(path)}") for number, path in enumerate(sorted(lists), 1)}
    environment = parse_environment(row.get("environvar", ""), "environvar")[0]
    new, texts = dict(row), {}
    tops: dict[str, str] = {}
    for column in COLUMNS:
        items = [os.path.normpath(item) if item.startswith("/") else item for item in split_column(row.get(column, ""))]
        for item in items:
            if item in places:
                _spread(item, os.path.dirname(item), lists, environment, tops)
        if items:
            new[column] = ",".join(places.get(item, item) for item in items)
    for path, text in lists.items():
        top = tops.get(path, os.path.dirname(path))
        texts[places[path]] = "\n".join(_line(line, top, places, environment) for line in text.split("\n"))
    return new, texts


def _plain(path: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", os.path.basename(path)).lstrip(".") or "list"


def _included(line: str, top: str, environment: Mapping[str, str]) -> str:
    """Return the path that a line includes, empty for any other line; relative names start from the top level file's directory."""
    directive = DIRECTIVE.fullmatch(line.strip())
    if not directive or directive.group(1) != "INCLUDE":
        return ""
    text = re.sub(r"\$\{?(\w+)\}?", lambda match: environment.get(match.group(1), match.group(0)), directive.group(2).strip())
    return os.path.normpath(os.path.join(top, text))


def _spread(path: str, top: str, lists: Mapping[str, str], environment: Mapping[str, str], tops: dict[str, str]) -> None:
    """Note the directory from which a list and those that it includes take relative names."""
    if path in tops or path not in lists:
        return
    tops[path] = top
    for line in lists[path].split("\n"):
        included = _included(line, top, environment)
        if included:
            _spread(included, top, lists, environment, tops)


def _line(line: str, top: str, places: Mapping[str, str], environment: Mapping[str, str]) -> str:
    included = _included(line, top, environment)
    return f"#INCLUDE:{places[included]}#" if included in places else line
