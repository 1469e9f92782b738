# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for every role: what it says of its options is what it does, and it needs nothing but ansible-core."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jinja2
import pytest

from .house import ROOT, read_yaml

ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir()) if (ROOT / "roles").is_dir() else []


def options_of(role: str) -> dict[str, Any]:
    """Return the options of the role's main entry point."""
    return read_yaml(ROOT / "roles" / role / "meta" / "argument_specs.yml")["argument_specs"]["main"].get("options", {})


def defaults_of(role: str) -> dict[str, Any]:
    """Return the role's defaults; a role without options has none."""
    path = ROOT / "roles" / role / "defaults" / "main.yml"
    return (read_yaml(path) if path.exists() else None) or {}


def yaml_files() -> list[Path]:
    """Return every YAML file of roles and playbooks."""
    return sorted(path for folder in ("roles", "playbooks") for path in (ROOT / folder).rglob("*.yml"))


def test_there_are_roles() -> None:
    assert ROLES


@pytest.mark.parametrize("role", ROLES)
def test_the_argument_spec_is_the_defaults(role: str) -> None:
    documented = {name: option["default"] for name, option in options_of(role).items() if "default" in option}
    assert documented == defaults_of(role)


@pytest.mark.parametrize("role", ROLES)
def test_an_option_is_documented_and_carries_the_roles_name(role: str) -> None:
    for name, option in options_of(role).items():
        assert name.startswith(f"{role}_")
        assert option["description"]
        assert option["type"]


@pytest.mark.parametrize("role", ROLES)
def test_a_role_has_a_readme_that_names_its_options(role: str) -> None:
    text = (ROOT / "roles" / role / "README.md").read_text(encoding="utf-8")
    assert [name for name in options_of(role) if name not in text] == []


@pytest.mark.parametrize("role", ROLES)
def test_a_role_depends_on_nothing(role: str) -> None:
    assert read_yaml(ROOT / "roles" / role / "meta" / "main.yml")["dependencies"] == []


@pytest.mark.parametrize("path", yaml_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_only_ansible_core_and_this_collection_are_used(path: Path) -> None:
    used = set(re.findall(r"^\s*(?:- )?([a-z0-9_]+\.[a-z0-9_]+)\.[a-z0-9_]+:", path.read_text(encoding="utf-8"), re.MULTILINE))
    assert used <= {"ansible.builtin", "diskless.statelite"}


@pytest.mark.parametrize("path", yaml_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_role_edits_lines_of_somebody_elses_file(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"ansible\.builtin\.(lineinfile|blockinfile|shell|raw):", text)


@pytest.mark.parametrize(("named", "keep", "removed"), [("", False, True), ("", True, False), ("/install/netboot/compute", False, False)])
def test_an_image_directory_that_somebody_named_is_not_removed(named: str, keep: bool, removed: bool) -> None:
    tasks = read_yaml(ROOT / "roles/build_host/tasks/build.yml")
    (removal,) = [task for task in tasks if task.get("ansible.builtin.file", {}).get("state") == "absent"]
    conditions = removal["when"] if isinstance(removal["when"], list) else [removal["when"]]
    values = {"build_host_rootimgdir": named, "build_host_keep": keep}
    assert all(jinja2.Environment().compile_expression(condition)(**values) for condition in conditions) == removed


def test_where_a_site_keeps_its_files_is_told_by_the_filter() -> None:
    """A site may be a URL, which says by a parameter of its own where they are."""
    guessed = re.compile(r"_site\b[^}]*\b(?:dirname|regex_replace)\b")
    files = [*yaml_files(), *(ROOT / "roles").rglob("*.j2")]
    assert [str(path) for path in files if guessed.search(path.read_text(encoding="utf-8"))] == []
