# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for every file: its licence, its size, the grammar of the oldest Python, no data among the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from .house import CORE, MODULES, ROOT, imports, python_files, tree

HEADER = """\
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""
LONGEST = 400
FILES = [str(path.relative_to(ROOT)) for path in python_files(ROOT / "plugins", ROOT / "tests") if path.stat().st_size]
CORE_FILES = [str(path.relative_to(ROOT)) for path in python_files(CORE)]


@pytest.mark.parametrize("name", FILES)
def test_a_file_carries_its_licence(name: str) -> None:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines(keepends=True)
    start = 1 if lines[0].startswith("#!") else 0
    assert "".join(lines[start : start + 3]) == HEADER


@pytest.mark.parametrize("name", FILES)
def test_a_file_has_one_subject_and_few_screens(name: str) -> None:
    assert len((ROOT / name).read_text(encoding="utf-8").splitlines()) <= LONGEST


@pytest.mark.parametrize("name", [str(path.relative_to(ROOT)) for path in python_files()])
def test_what_runs_on_a_managed_machine_reads_as_python_3_9(name: str) -> None:
    tree(ROOT / name)


@pytest.mark.parametrize("name", CORE_FILES)
def test_the_core_loads_nothing_by_a_computed_name(name: str) -> None:
    path = ROOT / name
    assert [other for other in imports(path) if other.split(".")[0] in ("importlib", "imp", "runpy")] == []
    assert "__import__" not in path.read_text(encoding="utf-8")


def test_no_data_file_lies_among_the_code() -> None:
    others = [path for path in CORE.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")]
    assert others == []


def test_modules_are_not_executable_by_themselves() -> None:
    assert [path.name for path in MODULES.glob("*.py") if path.stat().st_mode & 0o111] == []


def test_no_sanity_rule_is_ignored() -> None:
    assert [path for path in Path(ROOT / "tests" / "sanity").glob("ignore-*.txt") if path.read_text(encoding="utf-8").strip()] == []
