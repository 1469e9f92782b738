# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one node sends or holds open, or one row of a table asks for, keeps no other node from its answer (found by fuzzing)."""

from __future__ import annotations

import re
import time

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.answer import policy, protocol, server

from .asking import Serving
from .service import Answering, ask, connect, everything, make_pki, publish

SITE = {
    "policy": [{"priority": "1", "commands": "litefile,litetree", "rule": "allow"}],
    "nodelist": [{"node": "n1", "groups": "all"}],
    "hosts": [{"node": "n1", "ip": "127.0.0.1"}],
    "nodetype": [{"node": "n1", "provmethod": "img1"}],
    "osimage": [{"imagename": "img1", "provmethod": "statelite"}],
    "litefile": [{"file": "/etc/a"}],
    "litetree": [{"priority": "1", "directory": "10.0.0.9:/$nodepos.room"}],
}
SLOW = "(.+.+)+!"
NAME = "r1c02n003-ib-of-a-long-name-with-many-letters"


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return make_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture()
def served(tmp_path, pki):
    publish(tmp_path / "site.json", SITE)
    with Answering(tmp_path / "site.json", tmp_path / "spool", pki) as service:
        yield service


@pytest.mark.parametrize("depth", [200, 400, 900, 100_000])
def test_a_report_of_nested_lists_is_refused_in_words(served, pki, depth):
    answer = ask(served.port, pki, "bootreport", "[" * depth + "]" * depth)
    assert "<data>taken</data>" in answer or "is not JSON" in answer or "is larger than" in answer
    assert answer.endswith("<serverdone></serverdone>\n</xcatresponse>\n")


def test_a_report_that_is_nested_too_deeply_is_no_exception_of_the_service(tmp_path, pki):
    publish(tmp_path / "site.json", SITE)
    with Serving(tmp_path / "site.json", tmp_path / "spool", pki) as service:
        assert "is not JSON" in ask(service.port, pki, "bootreport", "[" * 100_000)
        assert "Traceback" not in service.log.read_text()


def test_what_no_xml_document_can_hold_is_refused_and_shown_as_a_question_mark(served, pki, tmp_path):
    publish(tmp_path / "site.json", {**SITE, "litefile": [{"file": "/etc/a\ufffeb"}]}, 2)
    assert "file /etc/a?b: it holds the control character" in ask(served.port, pki, "litefile")
    assert protocol.encode("\uffff\x00\x7f\x1b") == "???xxxxESCxxxx"


def test_one_address_cannot_hold_every_connection(tmp_path, pki):
    publish(tmp_path / "site.json", SITE)
    limits = server.Limits(idle=60, of_one_address=3)
    with Answering(tmp_path / "site.json", tmp_path / "spool", pki, limits=limits) as service:
        held = [connect(service.port, pki) for _connection in range(3)]
        while service.service.open_connections < 3:
            time.sleep(0.01)
        newest = connect(service.port, pki)
        assert everything(held[0]) == "", "who waits longest makes room"
        for each in (*held, newest):
            each.close()
        ends = time.monotonic() + 60
        while service.service.open_connections and time.monotonic() < ends:
            time.sleep(0.01)
        assert "/etc/a" in ask(service.port, pki, "litefile")


def test_an_expression_of_the_policy_table_that_takes_too_long_allows_nothing():
    began = time.process_time()
    for rule, permitted in (("allow", None), ("deny", False)):
        row = {"priority": "1", "commands": "litefile", "parameters": SLOW, "rule": rule}
        assert policy.decide([row], policy.Asked("litefile", "", ("n1",), (NAME,), ("n1",))) is permitted
    assert time.process_time() - began < 5


def test_an_expression_of_a_node_attribute_that_takes_too_long_is_an_answer(tmp_path, pki):
    rows = {
        **SITE,
        "nodelist": [{"node": NAME, "groups": "all"}],
        "hosts": [{"node": NAME, "ip": "127.0.0.1"}],
        "nodetype": [{"node": NAME, "provmethod": "img1"}],
        "nodepos": [{"node": NAME, "room": f"|{SLOW}|x|"}],
    }
    publish(tmp_path / "site.json", rows)
    with Serving(tmp_path / "site.json", tmp_path / "spool", pki) as service:
        began = time.monotonic()
        assert re.search("<error>table nodepos, node .*the expression takes longer", ask(service.port, pki, "litetree"))
        assert time.monotonic() - began < 60
        assert "/etc/a" in ask(service.port, pki, "litefile")
