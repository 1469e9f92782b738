# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents that are made from the code are what the code says."""

from __future__ import annotations

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.lite.rules import RULES

from .house import ROOT
from .parent_child import cell, combinations, text


def test_the_document_of_parents_and_children_is_what_the_rules_say() -> None:
    assert (ROOT / "docs" / "parent-child.md").read_text(encoding="utf-8") == text()


def test_every_option_is_in_the_matrix() -> None:
    assert len(combinations()) == 9
    assert {storage for storage, _way in combinations()} == {"tmpfs", "persistent", "ro", "con", "localdisk"}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_rule_has_a_name_a_reason_and_a_mend(rule) -> None:  # type: ignore[no-untyped-def]
    assert f"| `{rule.name}` | {rule.reason} | {rule.mend} |" in text()
    assert rule.reason
    assert rule.mend


def test_volatile_things_below_a_persistent_directory_are_carried_out() -> None:
    assert cell(("persistent", "bind"), ("tmpfs", "bind")) == "bound"
    assert cell(("persistent", "link"), ("tmpfs", "link")) == "bound"
    assert cell(("ro", "link"), ("tmpfs", "link")) == "`ro-parent`"
