# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list files that an image's columns name, with those that they include, taken from one site to another."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

from ..nodes.images import Image
from .definition import parse_environment
from .listfile import DIRECTIVE, VARIABLE, ListReading, split_column
from .packages import read_text

COLUMNS = ("pkglist", "otherpkglist", "exlist")


class _Names(ListReading):
    """Reads lists for the names of files alone."""

    def item(self, text: str, where: str) -> None:
        """An item is none of the names."""


def lists_of(image: Image) -> dict[str, str]:
    """Return the text of every list file by its path; those that can't be read are left out, as genimage tells of them."""
    reading = _Names(read_text, parse_environment(image.column("environvar"), "environvar")[0])
    for column in COLUMNS:
        for item in split_column(image.column(column)):
            if item.startswith("/"):
                reading.top(item, column)
    return {path: read_text(path) or "" for path in reading.files}


def moved(row: Mapping[str, str], lists: Mapping[str, str], directory: str, environvar: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return a row of linuximage whose columns name the lists in `directory`, and these lists by their new paths.

    Each has a plain name of its own there, whatever it was called; what includes another one names it by its new path. `environvar`
    is the image's, whose variables an include may name.
    """
    places = {path: os.path.join(directory, f"{number}-{_plain(path)}") for number, path in enumerate(sorted(lists), 1)}
    environment = parse_environment(environvar, "environvar")[0]
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
        folders = (tops.get(path, os.path.dirname(path)), os.path.dirname(path))
        lines = [(line, _included(line, folders, lists, environment)) for line in text.split("\n")]
        texts[places[path]] = "\n".join(f"#INCLUDE:{places[included]}#" if included else line for line, included in lines)
    return new, texts


def _plain(path: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", os.path.basename(path)).lstrip(".") or "list"


def _included(line: str, folders: Sequence[str], lists: Mapping[str, str], environment: Mapping[str, str]) -> str:
    """Return which of the lists a line includes, empty for none; a relative name is looked for as ListReading does."""
    directive = DIRECTIVE.fullmatch(line.strip())
    if not directive or directive.group(1) != "INCLUDE":
        return ""
    text = VARIABLE.sub(lambda match: environment.get(match.group(1) or match.group(2), match.group(0)), directive.group(2).strip())
    paths = [os.path.normpath(os.path.join(folder, text)) for folder in folders]
    return next((path for path in paths if path in lists), "")


def _spread(path: str, top: str, lists: Mapping[str, str], environment: Mapping[str, str], tops: dict[str, str]) -> None:
    """Note of a list and those that it includes the directory of the top level file, where relative names start."""
    if path in tops or path not in lists:
        return
    tops[path] = top
    for line in lists[path].split("\n"):
        included = _included(line, (top, os.path.dirname(path)), lists, environment)
        if included:
            _spread(included, top, lists, environment, tops)
