# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recorded runs of the original system (../shared/cases), read where they lie."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path
from typing import Any


def cases() -> Path:
    """Return the directory of recorded cases: STATELITE_CASES, else `shared/cases` beside one of our parent directories."""
    given = os.environ.get("STATELITE_CASES")
    places = [Path(given)] if given else [parent / "shared" / "cases" for parent in Path(__file__).resolve().parents]
    for place in places:
        if (place / "answers.json").is_file():
            return place
    raise FileNotFoundError("the recorded cases are not here: set STATELITE_CASES to the directory that holds answers.json")


def answer(name: str) -> dict[str, str]:
    """Return one answer: cmd, out, err, rc."""
    return json.loads((cases() / "answers.json").read_text(encoding="utf-8"))[name]


def case(kind: str, name: str) -> dict[str, Any]:
    """Return one case of `nodeset` or `liteimg`."""
    return json.loads((cases() / kind / f"{name}.json").read_text(encoding="utf-8"))


def rows(text: str) -> list[dict[str, str]]:
    """Return the rows of CSV text in the original's form: the header begins with `#`, empty cells are left out."""
    lines = list(csv.reader(io.StringIO(text)))
    header = [name.lstrip("#") for name in lines[0]]
    return [{name: cell for name, cell in zip(header, line) if cell} for line in lines[1:] if line]


def restored(name: str) -> list[dict[str, str]]:
    """Return the table that the answer `name` prints with `cat` and then restores."""
    return rows(answer(name)["out"])
