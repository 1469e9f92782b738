# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recorded runs with other names in them: what the original made of a tree says the same of every tree of that shape."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils import recorded
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.lite.test_recorded_cases import (
    NAMES,
    NOT_LITEIMG,
    OTHER_TREE,
    number,
)
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.lite.test_recorded_cases import (
    test_a_recorded_run as run_of_a_case,
)

FIXED = ("mtab", "fstab", "shadow", "init.d", "litefile.save", "", ".", "..")
"""Names that mean something by themselves."""
WAYS = {
    "blanks": "{} of two",
    "signs": "-{}: [*]'`$(x)|\\{{",
    "letters": "\u00e4{}\u4e16\u1f600",
    "ends": ".{}.",
    "long": "{:-<200}",
}


def renamed(path: str, way: str) -> str:
    """Return a path with every name in it changed but the first one and the fixed ones."""
    lead = 2 if path.startswith("/") and not path.startswith(("/.default", "/.statelite")) else 3
    parts = path.split("/")
    begin = {"/.statelite": 4, "/.default": 3}.get("/" + parts[1] if len(parts) > 1 else "", lead)
    return "/".join([*parts[:begin], *(part if part in FIXED else WAYS[way].format(part) for part in parts[begin:])])


def target(text: str, way: str) -> str:
    """Return the text of a link with the same names changed, from its first name that is none of dots on."""
    parts = text.split("/")
    up = next((count for count, part in enumerate(parts) if part not in ("", ".", "..")), len(parts))
    if up == 0:
        return "/".join(part if part in FIXED else WAYS[way].format(part) for part in parts)
    return "/".join(parts[:up]) + renamed("/" + "/".join(parts[up:]), way)


def table(text: str, way: str) -> str:
    """Return a litefile table with the same names changed."""
    rows = list(csv.reader(io.StringIO(text)))
    column = rows[0].index("file")
    for row in rows[1:]:
        row[column] = renamed(row[column], way)
    written = io.StringIO()
    csv.writer(written).writerows(rows)
    return written.getvalue()


def changed(found: Any, way: str, name: str = "") -> Any:
    """Return a case with other names."""
    if isinstance(found, dict):
        return {key: changed(value, way, key) for key, value in found.items()}
    if isinstance(found, list):
        return [changed(value, way, name) for value in found]
    if name == "path":
        return renamed(found, way)
    if name == "target":
        return target(found, way)
    return table(found, way) if name == "litefile.csv" else found


CASES = [name for name in NAMES if number(name) not in (*NOT_LITEIMG, *OTHER_TREE, "27", "63", "68")]


@pytest.mark.parametrize(("name", "way"), [(name, list(WAYS)[count % len(WAYS)]) for count, name in enumerate(CASES)])
def test_a_recorded_run_with_other_names(name, way, tmp_path, monkeypatch):
    told = recorded.case("liteimg", name)
    case = changed(told, way)
    assert case["input.manifest.jsonl"] != told["input.manifest.jsonl"] if "input.manifest.jsonl" in told else True
    monkeypatch.setattr(recorded, "case", lambda _kind, _name: case)
    run_of_a_case(name, tmp_path)
