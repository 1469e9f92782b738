# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the site playbook puts into litefile and policy: a site's words first, the shipped ones where they leave room."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.diskless.statelite.plugins.filter.rows import rows
from ansible_collections.diskless.statelite.plugins.filter.uncovered import uncovered
from ansible_collections.diskless.statelite.plugins.filter.with_shipped import with_shipped
from ansible_collections.diskless.statelite.plugins.module_utils.answer.policy import Asked, decide
from ansible_collections.diskless.statelite.plugins.module_utils.lite.entry import entries_of
from ansible_collections.diskless.statelite.plugins.module_utils.lite.rules import refusal

UNIT = Path(__file__).parents[2]
SHIPPED = rows((UNIT.parents[1] / "roles/image/files/litefile/debian12.csv").read_text(encoding="utf-8"), "litefile")
SAMPLES = UNIT / "plugins/module_utils/tables/samples"


def gone(*site: Any) -> set[str]:
    joined = with_shipped(site, SHIPPED)
    assert joined[: len(site)] == list(site)
    return {row["file"] for row in SHIPPED} - {row["file"] for row in joined[len(site) :]}


def test_a_row_for_one_image_takes_no_shipped_row_away() -> None:
    assert gone({"image": "img1", "file": "/tmp/", "options": "link"}, {"image": "img1", "file": "/var/log/x"}) == set()


@pytest.mark.parametrize("image", [{}, {"image": ""}, {"image": None}, {"image": "ALL"}])
def test_a_row_for_every_image_replaces_the_shipped_row_of_its_path(image: dict[str, Any]) -> None:
    assert gone({**image, "file": "/tmp"}) == {"/tmp/"}
    assert gone({**image, "file": "/tmp/", "disable": 1}) == {"/tmp/"}


def test_a_shipped_row_goes_only_when_it_would_be_refused_beside_the_sites() -> None:
    assert gone({"file": "/var/log/app/", "options": "bind,persistent"}) == set()
    assert gone({"file": "/var/log/app/"}) == {"/var/log/"}
    assert gone({"file": "/var/log/app/", "disable": "1"}) == set()
    assert gone({"file": "/var/log/app/", "disable": True}) == set()
    assert gone({"file": "/var/log/app/", "disable": False}) == {"/var/log/"}
    assert gone({"file": "/var/"}) == {row["file"] for row in SHIPPED if row["file"].startswith("/var/")}
    assert gone({"file": "/var/", "options": "bind"}) == set()


BIND = {"key": "liteattach", "value": "bind"}


@pytest.mark.parametrize(
    ("settings", "bound"),
    [
        ([], False),
        ([{"key": "master", "value": "10.77.0.1"}, BIND], True),
        ([{**BIND, "disable": False}], True),
        ([{**BIND, "disable": "yes"}], False),
        ([{**BIND, "disable": True}], False),
        ([{"key": "liteattach"}, {"key": "master"}], False),
        ([{"key": "liteattach", "value": None}], False),
    ],
)
def test_a_live_liteattach_of_the_site_says_how_bare_options_are_attached(settings: list[dict[str, Any]], bound: bool) -> None:
    row = {"file": "/var/", "options": "tmpfs"}
    assert (with_shipped([row], SHIPPED, settings) == [row, *SHIPPED]) is bound


@pytest.mark.parametrize("row", [{"image": "ALL"}, {"fiel": "/tmp/"}, "/tmp/", {"file": "tmp"}])
def test_what_is_no_row_is_left_to_the_module(row: Any) -> None:
    assert with_shipped([row], SHIPPED)[0] == row


@pytest.mark.parametrize("name", ["litefile-redhat.csv", "litefile-sles.csv"])
def test_the_documents_tables_are_lawful_beside_the_shipped_one(name: str) -> None:
    own = rows((SAMPLES / name).read_text(encoding="utf-8"), "litefile")
    entries = entries_of(with_shipped(own, SHIPPED), "link")
    above = [(one, two) for one in entries for two in entries if two.path.startswith(one.path + "/")]
    assert [(one.path, two.path) for one, two in above if refusal(one, two)] == []


def test_joining_again_what_was_joined_adds_nothing() -> None:
    joined = with_shipped([], SHIPPED)
    assert joined == SHIPPED
    assert with_shipped(joined, SHIPPED) == SHIPPED


DOCUMENT = [{"priority": "4.7", "commands": "litefile", "rule": "allow"}, {"priority": "4.8", "commands": "litetree", "rule": "allow"}]


@pytest.mark.parametrize(
    ("standing", "left"),
    [
        ([], [("4.7", "litefile"), ("4.8", "litetree")]),
        (DOCUMENT, []),
        ([{"priority": "1", "commands": "", "rule": "allow"}], []),
        ([{"priority": "1", "commands": "*", "rule": "deny"}], []),
        ([{"priority": "1", "commands": "*", "disable": "1"}], [("4.7", "litefile"), ("4.8", "litetree")]),
        ([{"priority": "1", "commands": "nodels, litefile", "rule": "deny"}], [("4.8", "litetree")]),
        ([{"priority": "9", "commands": "litetree", "disable": "1"}], [("4.7", "litefile")]),
        (
            [{"priority": "4.7", "commands": "nodels"}, {"priority": "4.71", "commands": "x"}],
            [("4.72", "litefile"), ("4.8", "litetree")],
        ),
        ([{"priority": "1", "name": "root", "rule": "allow"}], [("4.7", "litefile"), ("4.8", "litetree")]),
        ([{"priority": "1", "name": "*", "rule": "allow"}], [("4.7", "litefile"), ("4.8", "litetree")]),
        ([{"priority": "1", "host": "*", "noderange": "*", "rule": "allow"}], []),
        ([{"priority": "1", "host": "n1", "commands": "litefile", "rule": "allow"}], [("4.7", "litefile"), ("4.8", "litetree")]),
        ([{"priority": "1", "noderange": "n1", "rule": "allow"}], [("4.7", "litefile"), ("4.8", "litetree")]),
        ([{"priority": "4.7", "host": "n1", "commands": "litefile", "rule": "allow"}], [("4.71", "litefile"), ("4.8", "litetree")]),
    ],
)
def test_the_documents_policy_stands_only_where_the_site_says_nothing(standing: list[dict[str, str]], left: list[tuple[str, str]]) -> None:
    assert [(row["priority"], row["commands"]) for row in uncovered(DOCUMENT, standing)] == left


@pytest.mark.parametrize("commands", ["litefile", ""])
@pytest.mark.parametrize(("priority", "left"), [("9", "9.1"), ("4.9", "4.91"), ("2", "4.7")])
def test_what_the_site_denies_to_one_node_stays_denied(commands: str, priority: str, left: str) -> None:
    deny = {"priority": priority, "host": "n1", "commands": commands, "rule": "deny"}
    row = uncovered(DOCUMENT[:1], [deny])
    assert [each["priority"] for each in row] == [left]
    assert decide([*row, deny], Asked("litefile", hosts=("n1",))) is False
    assert decide([*row, deny], Asked("litefile", hosts=("n2",))) is True
