# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recorded runs of the original system: those given, those beside the repository, or our copy of the ones used here."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path
from typing import Any


def cases() -> Path:
    """Return the directory of cases: STATELITE_CASES, else `shared/cases` beside a parent directory, else our copy."""
    given = os.environ.get("STATELITE_CASES")
    if given:
        return Path(given)
    here = Path(__file__).resolve()
    beside = [parent / "shared" / "cases" for parent in here.parents]
    return next((place for place in beside if (place / "answers.json").is_file()), here.parent / "cases")


def names(kind: str) -> list[str]:
    """Return the names of all cases of `nodeset` or `liteimg`."""
    return sorted(path.stem for path in (cases() / kind).glob("*.json"))


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
