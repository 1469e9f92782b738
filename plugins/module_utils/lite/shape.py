# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the record of a layout must look like before anybody goes by it: the image holds it, and an image is not trusted.

A record may have twenty thousand entries, and is looked at by every run: types and paths are looked at many at once.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

TEXTS = ("path", "kind", "storage", "attachment")
NO_PATH = re.compile(rb"(?:\A|\0)(?!/)|/\.\.(?:/|\0|\Z)")
"""Of paths joined by NUL: one that does not begin at the root, or has a part that is two dots."""
LONGEST, LONGEST_NAME = 4095, 255
HIGHEST = 0xFFFFFFFE


def check(document: Mapping[str, Any]) -> None:
    """Raise ValueError, KeyError, TypeError or AttributeError when `document` is not of the form of a record."""
    entries, made = document["entries"], document["made"]
    _of_type(str, [document["image"], *chain.from_iterable((entry[name] for entry in entries) for name in TEXTS)])
    _of_type(str, (entry["content"] for entry in entries if "content" in entry))
    _of_type(bool, chain.from_iterable((entry[name] for entry in entries if name in entry) for name in ("required", "implied")))
    _of_type(list, [entries, document["missing"], document["bridges"], *(entry["written"] for entry in entries)])
    _of_type(dict, [document["satisfied"], *made.values(), *made["directories"].values()])
    _paths(
        [entry["path"] for entry in entries],
        [entry["parent"] for entry in entries if entry.get("parent") is not None],
        chain.from_iterable(entry["written"] for entry in entries),
        document["missing"],
        document["bridges"],
        *(document["satisfied"].items()),
        *(made[name] for name in ("directories", "files", "links", "moves", "modes")),
        made["moves"].values(),
    )
    known = {entry["path"] for entry in entries}
    held = [(entry["path"], entry["parent"]) for entry in entries if entry.get("parent") is not None]
    if any(parent not in known or not path.startswith(f"{parent}/") for path, parent in held):
        raise ValueError("an entry below none of the others")
    if any(len(pair) != 2 for pair in made["modes"].values()):
        raise ValueError("a change of mode that is no pair")
    _text("".join(made["links"].values()))
    _numbers(0o7777, made["files"].values(), *made["modes"].values(), (item["mode"] for item in made["directories"].values()))
    _numbers(HIGHEST, *((item["owner"], item["group"]) for item in made["directories"].values()))


def _of_type(wanted: type, values: Iterable[Any]) -> None:
    strange = set(map(type, values)) - {wanted}
    if strange:
        raise ValueError(f"{strange.pop().__name__} in the place of {wanted.__name__}")


def _text(text: str) -> None:
    if "\0" in text:
        raise ValueError("a name holds a NUL")


def _paths(*groups: Iterable[Any]) -> None:
    paths: Sequence[str] = list(chain.from_iterable(groups))
    joined = os.fsencode("\0".join(paths))
    split = joined.split(b"\0")
    if paths and (len(split) != len(paths) or NO_PATH.search(joined)):
        raise ValueError("a path that is none")
    if max(map(len, split)) > LONGEST or max(map(len, joined.replace(b"/", b"\0").split(b"\0"))) > LONGEST_NAME:
        raise ValueError("a path that is too long")


def _numbers(highest: int, *groups: Iterable[Any]) -> None:
    numbers = list(chain.from_iterable(groups))
    _of_type(int, numbers)
    if numbers and not 0 <= min(numbers) <= max(numbers) <= highest:
        raise ValueError("a number out of bounds")
