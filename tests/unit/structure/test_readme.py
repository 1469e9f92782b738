# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The README's ten lines are a site that the tables take, and what it points at is there."""

from __future__ import annotations

import re
from typing import Any

import yaml

from .house import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.search(r"^```yaml\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
VARIABLES = re.compile(r"statelite_[a-z_]+")


def example() -> dict[str, Any]:
    """Return the example inventory."""
    assert BLOCK is not None
    return yaml.safe_load(BLOCK.group(1))


def test_the_example_has_ten_lines() -> None:
    assert BLOCK is not None
    assert len(BLOCK.group(1).splitlines()) == 10


def test_the_site_playbook_knows_every_variable_of_the_example() -> None:
    playbook = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "playbooks").rglob("*.yml") if "example" not in path.parts)
    hosts = example()["nodes"]["hosts"].values()
    said = set(example()["management_node"]["vars"]).union(*hosts)
    assert said <= set(VARIABLES.findall(playbook)) | {"statelite_node"}


def test_the_example_of_the_playbooks_is_the_same() -> None:
    directory = ROOT / "playbooks" / "example"
    hosts = yaml.safe_load((directory / "hosts.yml").read_text(encoding="utf-8"))
    hosts["management_node"]["vars"] = yaml.safe_load((directory / "group_vars" / "management_node.yml").read_text(encoding="utf-8"))
    assert hosts == example()


def test_what_the_readme_links_to_is_there() -> None:
    linked = re.findall(r"\]\(([^)#:]+)\)", README)
    assert [name for name in linked if not (ROOT / name).exists()] == []
