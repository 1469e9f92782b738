# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for every module: documentation, an integration target that runs it three times, a place in the action group."""

from __future__ import annotations

import re

import pytest

from .house import MODULES, ROOT, TARGETS, documented, modules, read_yaml, tree

CODE_LINES = 60
"""A module is options and one call (architecture.md)."""


def tasks_that_name(module: str) -> str:
    """Return the text of all tasks of the integration targets that use the module."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(TARGETS.glob("*/tasks/*.yml"))]
    return "\n".join(text for text in texts if re.search(rf"^\s*(- )?diskless\.statelite\.{module}:", text, re.MULTILINE))


def test_there_are_modules() -> None:
    assert modules()


def test_the_action_group_holds_all_modules() -> None:
    assert read_yaml(ROOT / "meta" / "runtime.yml")["action_groups"]["statelite"] == modules()


@pytest.mark.parametrize("name", modules())
def test_a_module_is_documented(name: str) -> None:
    documentation = documented(name, "DOCUMENTATION")
    assert documentation["module"] == name
    assert documentation["short_description"][0].isupper()
    assert not documentation["short_description"].endswith(".")
    examples = documented(name, "EXAMPLES")
    assert any(f"diskless.statelite.{name}" in task for task in examples)
    assert all(task["name"] for task in examples)
    assert documented(name, "RETURN")


@pytest.mark.parametrize("name", modules())
def test_a_module_holds_no_logic(name: str) -> None:
    functions = [node for node in tree(MODULES / f"{name}.py").body if hasattr(node, "body") and hasattr(node, "args")]
    assert sum(node.end_lineno - node.lineno + 1 for node in functions) <= CODE_LINES


@pytest.mark.parametrize("name", modules())
def test_a_module_has_an_integration_target(name: str) -> None:
    assert tasks_that_name(name)


@pytest.mark.parametrize("name", [name for name in modules() if not name.endswith("_info")])
def test_a_target_runs_its_module_looking_really_and_again(name: str) -> None:
    text = tasks_that_name(name)
    assert re.search(r"^\s*check_mode: true$", text, re.MULTILINE)
    assert re.search(r"is not changed\b", text)


@pytest.mark.parametrize("name", [name for name in modules() if f"{name}_info" in modules()])
def test_a_module_and_its_info_twin_open_the_same_site(name: str) -> None:
    def site(module: str) -> list[str]:
        return [
            word
            for word in documented(module, "DOCUMENTATION").get("extends_documentation_fragment", [])
            if word.endswith(("store", "site"))
        ]

    assert site(name) == site(f"{name}_info")


def test_no_target_carries_the_name_of_a_role() -> None:
    """ansible-test would run the collection's role on this machine in its place."""
    roles = {path.name for path in (ROOT / "roles").iterdir()}
    assert {path.name for path in TARGETS.iterdir()} & roles == set()
