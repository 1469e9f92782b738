# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a layout lies in the image, so whatever it says is refused or harmless (found by fuzzing)."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.lite import layout, shape
from ansible_collections.diskless.statelite.plugins.module_utils.lite.layout import Directory, Layout, Made, Placed, layout_of

ENTRY = Placed("/etc/hosts", "f", "tmpfs", "link", content="/.default/etc/hosts", written=("/etc/hosts",))
SOUND: dict[str, Any] = json.loads(
    Layout(
        "img1",
        (ENTRY,),
        {"/var/run/": "/run"},
        ("/etc/hosts",),
        ("/etc",),
        Made(
            {"/.default": Directory()},
            {"/.default/x": 0o644},
            {"/x": "../y"},
            {"/etc/hosts": "/.default/etc/hosts"},
            {"/a": (0o700, 0o755)},
        ),
    ).text()
)


def spoilt(spoil: Callable[[dict[str, Any]], object]) -> str:
    document = copy.deepcopy(SOUND)
    spoil(document)
    return json.dumps(document)


def test_a_record_that_liteimg_wrote_is_read() -> None:
    read = layout_of(json.dumps(SOUND), "here")
    assert read.entries == (ENTRY,)
    assert json.loads(read.text()) == SOUND


@pytest.mark.parametrize(
    "spoil",
    [
        lambda document: document.update(image=None),
        lambda document: document.update(entries={}),
        lambda document: document["entries"].append("x"),
        lambda document: document["entries"][0].update(path=5),
        lambda document: document["entries"][0].update(path="/../../etc/shadow"),
        lambda document: document["entries"][0].update(path="etc"),
        lambda document: document["entries"][0].update(path="/a\0b"),
        lambda document: document["entries"][0].update(path="/" + "a" * 256),
        lambda document: document["entries"][0].update(path="/a" * 3000),
        lambda document: document["entries"][0].update(path="/\ud800"),
        lambda document: document["entries"][0].update(parent=[]),
        lambda document: document["entries"][0].update(parent="/x/.."),
        lambda document: document["entries"][0].update(parent="/etc"),
        lambda document: document["entries"][0].update(parent="/etc/hosts"),
        lambda document: document["entries"][0].update(kind=True),
        lambda document: document["entries"][0].update(required="yes"),
        lambda document: document["entries"][0].update(content=1),
        lambda document: document["entries"][0].update(written="/etc/hosts"),
        lambda document: document["entries"][0].update(written=[None]),
        lambda document: document.update(satisfied=[]),
        lambda document: document["satisfied"].update({"/x": {"a": 1}}),
        lambda document: document["missing"].append(None),
        lambda document: document["bridges"].append("../x"),
        lambda document: document["made"].update(links=[]),
        lambda document: document["made"]["links"].update({"/x": 5}),
        lambda document: document["made"]["links"].update({"/x": "a\0b"}),
        lambda document: document["made"]["files"].update({"/x": "0644"}),
        lambda document: document["made"]["files"].update({"/x": True}),
        lambda document: document["made"]["files"].update({"/x": -1}),
        lambda document: document["made"]["files"].update({"/x": 2**64}),
        lambda document: document["made"]["moves"].update({"/etc/../../host": "/x"}),
        lambda document: document["made"]["moves"].update({"/x": "/etc/../../host"}),
        lambda document: document["made"]["modes"].update({"/x": [1]}),
        lambda document: document["made"]["modes"].update({"/x": 5}),
        lambda document: document["made"]["directories"].update({"/x": {"mode": 493, "owner": 2**32, "group": 0}}),
        lambda document: document["made"]["directories"].update({"/x": {"mode": 493, "owner": 0, "group": 0, "more": 0}}),
    ],
)
def test_a_record_that_is_none_is_refused(spoil: Callable[[dict[str, Any]], object]) -> None:
    with pytest.raises(SiteError, match=r"^here: is not a layout of this program"):
        layout_of(spoilt(spoil), "here")


@pytest.mark.parametrize("text", ["[" * 5000, "[]", "5", "", "\ud800"])
def test_a_text_that_is_no_record_is_refused(text: str) -> None:
    with pytest.raises(SiteError, match=r"^here: is not a layout"):
        layout_of(text, "here")


def test_the_look_at_a_long_record_grows_with_it_as_reading_it_does() -> None:
    entries = [{**SOUND["entries"][0], "path": f"/srv/{number}", "written": [f"/srv/{number}"]} for number in range(20000)]
    moves = {entry["path"]: f"/.default{entry['path']}" for entry in entries}
    text = json.dumps({**SOUND, "entries": entries, "made": {**SOUND["made"], "moves": moves, "links": dict.fromkeys(moves, "../x")}})
    looks, readings = [], []
    for _turn in range(5):
        began = time.process_time()
        document = json.loads(text)
        read = time.process_time()
        shape.check(document)
        looks.append(time.process_time() - read)
        readings.append(read - began)
    assert min(looks) < 5 * min(readings)
    assert len(layout.layout_of(text, "here").entries) == 20000
