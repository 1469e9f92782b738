# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests and answers byte for byte as the original gave them (answers.json, behaviour.md g.1)."""

from __future__ import annotations

import contextlib

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.answer import protocol
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.recorded import answer
from hypothesis import given
from hypothesis import strategies as st


def test_an_answer_has_the_bytes_that_a_node_of_the_original_got() -> None:
    line = protocol.litefile_line("n1", "link", "/etc/mtab")
    assert protocol.answer("xcatmn", [line]).decode() == answer("xml_litefile")["out"]


@pytest.mark.parametrize("name", ["xml_denied", "xml_liteimg_denied", "xml_noderange_cmd"])
def test_a_denial_has_the_bytes_of_the_original(name: str) -> None:
    assert protocol.denied().decode() == answer(name)["out"]


def test_an_answer_without_lines_is_only_the_end() -> None:
    assert protocol.answer("xcatmn", []).decode() == "<xcatresponse>\n  <serverdone></serverdone>\n</xcatresponse>\n"


def test_a_request_has_command_arguments_and_noderange() -> None:
    text = b"<xcatrequest>\n<command>bootplan</command>\n<arg>image=a b</arg><arg>generation=3</arg><noderange>n1</noderange></xcatrequest>"
    request = protocol.parse(text)
    assert request == protocol.Request("bootplan", ("image=a b", "generation=3"), "n1")
    assert (request.named("generation"), request.named("nothing")) == ("3", "")


@pytest.mark.parametrize(
    "text",
    [
        b"hello",
        b"<xcatrequest></xcatrequest>",
        b"<other><command>litefile</command></other>",
        b"<!DOCTYPE x [<!ENTITY a 'b'>]><xcatrequest><command>&a;</command></xcatrequest>",
        b"<?xml version='1.0' encoding='bogus'?><xcatrequest><command>x</command></xcatrequest>",
        b"<xcatrequest><command>\xff</command></xcatrequest>",
    ],
)
def test_what_is_no_request_is_refused(text: bytes) -> None:
    with pytest.raises(protocol.BadRequestError):
        protocol.parse(text)


def test_requests_are_cut_apart_at_their_end_tags() -> None:
    one = b"<xcatrequest><command>litefile</command></xcatrequest>"
    two = b"\n<xcatrequest><command>litetree</command></xcatrequest>"
    assert protocol.end_of_request(one + two) == len(one)
    assert protocol.end_of_request(one[:-1]) == 0


def test_entities_controls_and_unicode_are_written_as_they_must() -> None:
    assert protocol.encode('a<b>&"\x1b\x07ü\t') == "a&lt;b&gt;&amp;&quot;xxxxESCxxxx?ü\t"


@given(st.text())
def test_every_text_comes_through_but_controls(text: str) -> None:
    kept = "".join(character for character in text if character in "\t\n" or (character >= " " and character != "\x7f"))
    encoded = protocol.encode(kept)
    assert encoded.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"').replace("&amp;", "&") == kept


@given(st.binary(max_size=300))
def test_no_bytes_do_more_than_be_refused(content: bytes) -> None:
    with contextlib.suppress(protocol.BadRequestError):
        assert protocol.parse(content).command
