# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values and noderanges that would take for ever, or all memory, are refused by name and soon (found by fuzzing)."""

from __future__ import annotations

import re
import signal
import threading
import time

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.nodes import expressions
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.attributes import location
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.noderange import expand
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.patterns import transform
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.servers import network_of
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site

SLOW = "(.+.+)+!"
NAME = "r1c02n003-ib-of-a-long-name-with-many-letters"
SITE = Site({"nodelist": [{"node": NAME, "groups": "all"}], "nodegroup": [{"groupname": "all"}], "nodepos": [{"node": NAME, "room": "."}]})


@pytest.fixture(autouse=True)
def soon():
    began = time.process_time()
    yield
    assert time.process_time() - began < 20
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGVTALRM) == signal.SIG_DFL


@pytest.mark.parametrize("value", [f"|{SLOW}|x|", f"/{SLOW}/x/", "/((.|..)*)*!/x/"])
def test_a_pattern_that_takes_for_ever_is_refused_at_its_row(value):
    with pytest.raises(SiteError, match=r"table nodepos, node n: the expression takes longer than 0\.25 s on"):
        transform(value, NAME, "table nodepos, node n")


@pytest.mark.parametrize("noderange", [f"/{SLOW}/", f"nodelist.node=~{SLOW}", f"nodelist.node!~{SLOW}"])
def test_a_noderange_that_takes_for_ever_is_refused(noderange):
    with pytest.raises(SiteError, match="takes longer"):
        expand(SITE, noderange)


def test_a_search_outside_of_the_main_thread_is_still_a_search():
    found = []
    thread = threading.Thread(target=lambda: found.append(expressions.search(re.compile("n(.)"), "n1", "here")))
    thread.start()
    thread.join()
    assert found[0].group(1) == "1"


@pytest.mark.parametrize(
    "text", ["(" * 3000 + "1" + ")" * 3000, "(" + "-" * 3000 + "1)", "(1" + "0" * 5000 + ")", "(" + "9" * 3000 + "*" + "9" * 3000 + ")"]
)
def test_arithmetic_that_is_nested_or_long_is_refused_in_words(text):
    with pytest.raises(SiteError, match="for node n1"):
        transform(f"|n1|{text}|", "n1", "here")


def test_parentheses_that_are_never_closed_take_no_time():
    assert transform(f"|n1|{'(' * 20000}|", "n1", "here") == "(" * 20000
    assert transform("|n(.)|((a(1)|", "n1", "here") == "((a1"


@pytest.mark.parametrize(
    ("noderange", "why"),
    [
        ("n[1-99999][1-99999][1-99999]", "the brackets stand for more than 100000 names"),
        (",".join(f"{letter}[1-99999]" for letter in "abcdefghij"), "more than 100000 names that are neither"),
        ("(" * 3000 + "n1" + ")" * 3000, "nested too deeply"),
        ("n" + "[1]" * 3000, "nested too deeply"),
        ("n1+" + "9" * 5000, "more than 200 digits"),
        ("n1-n" + "9" * 5000, "more than 200 digits"),
        ("/(/", "is not a regular expression"),
        ("/a{99999999999999999999}/", "is not a regular expression"),
    ],
)
def test_a_noderange_without_bounds_is_refused(noderange, why):
    with pytest.raises(SiteError, match=why):
        expand(SITE, noderange)


def test_of_many_unknown_names_an_error_lists_some():
    with pytest.raises(SiteError, match=r"called x001, .*x020 and 30 more\. ") as refused:
        expand(SITE, "x[001-050]")
    assert len(str(refused.value)) < 400


def test_a_part_that_is_a_dot_is_no_part_of_a_directory():
    assert location(SITE, NAME, "/lt/./$nodepos.room/x", "here") == (None, "/lt/x")


def test_no_network_holds_what_is_computed_and_is_no_address():
    site = Site({"networks": [{"net": "10.0.0.0", "mask": "/8"}]})
    assert network_of(site, "10.0.1.1)$(") is None
    assert str(network_of(site, "10.0.1.1")) == "10.0.0.0/8"
