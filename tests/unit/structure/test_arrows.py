# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arrows of the house: which room may know which (architecture.md, The house)."""

from __future__ import annotations

import re

import pytest

from .house import CORE, MODULES, ROOMS, file_of, imports, modules, own, python_files, reached, room

ARROWS = {
    "errors": set(),
    "program": set(),
    "tables": set(),
    "apply": set(),
    "nodes": {"tables"},
    "lite": {"nodes", "tables", "apply"},
    "image": {"nodes", "tables", "apply", "program"},
    "boot": {"nodes", "tables", "apply", "program"},
    "serve": {"nodes", "tables", "apply"},
    "edit": {"image", "lite", "nodes", "tables", "apply"},
    "answer": {"tables", "nodes", "lite", "program"},
    "pack": {"image", "lite", "nodes", "tables", "apply"},
    "module": {"tables", "apply"},
}
"""Everybody may use errors; only modules use module."""

CORE_FILES = [str(path.relative_to(CORE)) for path in python_files(CORE) if path != CORE / "__init__.py"]


def test_every_room_has_its_arrows() -> None:
    assert set(ROOMS) <= set(ARROWS)


@pytest.mark.parametrize("name", CORE_FILES)
def test_a_room_knows_only_the_rooms_it_may(name: str) -> None:
    here = room(name.replace("/", ".").removesuffix(".py"))
    known = {room(other) for other in own(CORE / name)}
    assert known <= ARROWS[here] | {here, "errors"}


@pytest.mark.parametrize("name", CORE_FILES)
def test_the_core_imports_itself_relatively_and_from_files_that_are_there(name: str) -> None:
    text = (CORE / name).read_text(encoding="utf-8")
    assert "ansible_collections" not in text
    assert [other for other in own(CORE / name) if file_of(other) is None] == []


@pytest.mark.parametrize("name", [name for name in CORE_FILES if name != "module.py"])
def test_only_module_py_knows_ansible(name: str) -> None:
    assert [other for other in imports(CORE / name) if other.split(".")[0] == "ansible"] == []


@pytest.mark.parametrize("name", modules())
def test_a_module_imports_the_runner_and_its_own_verb(name: str) -> None:
    path = MODULES / f"{name}.py"
    foreign = {other.split(".")[0] for other in imports(path)} - {"__future__", "ansible_collections", "functools", "typing"}
    rooms = {room(other) for other in own(path)} - {"module", "tables", "errors"}
    assert foreign == set()
    assert "module" in {room(other) for other in own(path)}
    assert len(rooms) <= 1, f"one verb, not {sorted(rooms)}"


ROWS_OF_ONE_TABLE = [name for name in modules() if name.split("_info")[0] in ("litefile", "litetree", "statelite", "policy", "network")]


@pytest.mark.parametrize("name", ROWS_OF_ONE_TABLE)
def test_a_module_that_keeps_rows_loads_no_verb_of_images_or_boots(name: str) -> None:
    rooms = {other.split("/")[0] for other in reached(MODULES / f"{name}.py")}
    assert rooms & {"image", "boot", "answer", "serve", "lite"} == set()


def test_the_answer_service_opens_no_database() -> None:
    assert {other for path in python_files(CORE / "answer") for other in imports(path) if other.split(".")[0] == "sqlite3"} == set()
    loaded = {other for path in python_files(CORE / "answer") for other in reached(path)}
    assert "tables/store.py" not in loaded


def test_a_directory_to_work_in_is_one_that_the_next_run_removes_after_a_kill() -> None:
    named = [
        path for path in python_files(CORE) if re.search(r"\b(TemporaryDirectory|NamedTemporaryFile|mkdtemp)\b", path.read_text("utf-8"))
    ]
    assert {str(path.relative_to(CORE)) for path in named} == {"apply/files.py", "apply/scratch.py"}
