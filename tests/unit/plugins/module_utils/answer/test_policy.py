# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which requests the policy table allows (statelite document 2.5, behaviour.md g.2)."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.answer.policy import Asked, decide

DOCUMENT = [{"priority": "4.7", "commands": "litefile", "rule": "allow"}, {"priority": "4.8", "commands": "litetree", "rule": "allow"}]
NODE = Asked("litefile", hosts=("n1", "10.1.1.1"), nodes=("n1",))


def row(priority: str, rule: str, **cells: str) -> dict[str, str]:
    return {"priority": priority, "rule": rule, **cells}


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [
        (DOCUMENT, True),
        ([], None),
        ([row("1", "allow", commands="litetree")], None),
        ([row("10", "allow"), row("9", "deny")], False),
        ([row("2", "deny"), row("1.5", "ACCEPT")], True),
        ([row("1", "trusted", name="root"), row("2", "deny")], False),
        ([row("1", "allow", name="*")], None),
        ([row("1", "allow", host="10.1.1.1")], True),
        ([row("1", "allow", host="n2")], None),
        ([row("1", "allow", commands="litetree, litefile")], True),
        ([row("1", "maybe")], False),
        ([row("1", "deny", parameters="secret"), row("2", "allow")], True),
        ([row("1", "deny", parameters="(bad"), row("2", "allow")], False),
        ([row("1", "allow", parameters="(bad")], None),
        ([row("1", "allow", noderange="rack2")], None),
        ([row("1", "allow", noderange="rack1")], True),
        ([row("1", "deny", noderange="rack1"), row("2", "allow")], False),
    ],
)
def test_the_first_row_that_matches_decides(rows: list[dict[str, str]], verdict: Any) -> None:
    assert decide(rows, NODE, {"rack1": ["n1", "n2"], "rack2": ["n3"]}) is verdict


def test_every_node_asked_for_must_be_allowed() -> None:
    asked = Asked("litefile", nodes=("n1", "n2"))
    ranges = {"one": ["n1"], "two": ["n2"]}
    assert decide([row("1", "allow", noderange="one")], asked, ranges) is None
    assert decide([row("1", "allow", noderange="one"), row("2", "allow", noderange="two")], asked, ranges) is True
    assert decide([row("1", "allow", noderange="one"), row("2", "deny", noderange="two")], asked, ranges) is False
