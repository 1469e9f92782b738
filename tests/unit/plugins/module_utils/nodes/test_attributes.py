# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an attribute of a node comes to, and where it came from (behaviour.md b.1 to b.3)."""

from __future__ import annotations

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.attributes import Value, attribute, location, substitute
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.patterns import evaluate
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.recorded import restored
from hypothesis import given
from hypothesis import strategies as st


def recorded_site() -> Site:
    return Site({"nodelist": restored("restore_nodelist"), "noderes": restored("restore_noderes")})


@pytest.mark.parametrize(
    ("node", "column", "text", "source"),
    [
        ("n3", "netboot", "xnba", "node n3"),
        ("n4", "netboot", "pxe", "group compute"),
        ("n3", "nfsserver", "10.9.0.110.9.0.2", "group g0, group compute"),
        ("n4", "nfsserver", "10.9.0.2", "group compute"),
        ("n5", "nfsserver", "10.1.1.2", "node n5"),
        ("n6", "nfsserver", "host6", "node n6"),
        ("n7", "nfsserver", "srv-7", "node n7"),
        ("n8", "nfsserver", "10.2.0.108", "node n8"),
        ("n9", "nfsserver", "x$1y", "node n9"),
        ("n10", "nfsserver", "(bad", "node n10"),
        ("n11", "nfsserver", "n11", "node n11"),
        ("node001", "nfsserver", "bmc1", "node node001"),
        ("r2u3", "nfsserver", "s23-a", "node r2u3"),
    ],
)
def test_an_attribute_resolves_as_the_original_recorded_it(node: str, column: str, text: str, source: str) -> None:
    assert attribute(recorded_site(), node, "noderes", column) == Value(text, source)


def test_an_attribute_that_is_set_nowhere_is_none() -> None:
    assert attribute(recorded_site(), "sn1", "noderes", "nfsserver") is None


def test_a_marker_without_a_next_record_is_removed() -> None:
    site = Site({"nodelist": [{"node": "n1"}], "noderes": [{"node": "n1", "nfsserver": "10.0.0.1+=NEXTRECORD"}]})
    assert attribute(site, "n1", "noderes", "nfsserver") == Value("10.0.0.1", "node n1")


def test_a_hidden_row_gives_nothing() -> None:
    site = Site({"nodelist": [{"node": "n1"}], "noderes": [{"node": "n1", "nfsserver": "10.0.0.1", "disable": "yes"}]})
    assert attribute(site, "n1", "noderes", "nfsserver") is None


def test_hierarchical_attributes_join_all_records_once() -> None:
    site = Site(
        {
            "nodelist": [{"node": "n1", "groups": "a,b"}],
            "noderes": [{"node": "n1", "routenames": "r1"}, {"node": "a", "routenames": "r2,r1"}, {"node": "b", "routenames": "r3"}],
            "site": [{"key": "hierarchicalattrs", "value": "routenames"}],
        }
    )
    assert attribute(site, "n1", "noderes", "routenames") == Value("r1,r2,r3", "node n1, group a, group b")


def test_a_state_directory_with_a_slash_at_its_end_is_no_pattern() -> None:
    site = Site({"nodelist": [{"node": "n1"}], "statelite": [{"node": "n1", "statemnt": "/lite/state/"}]})
    assert attribute(site, "n1", "statelite", "statemnt") == Value("/lite/state/", "node n1")


@pytest.mark.parametrize("value", ["|n(\\d+)|10.0.0.($1/0)|", "|n(\\d+)|x(exit)|", "|n(|x|"])
def test_an_expression_that_fails_names_its_row(value: str) -> None:
    site = Site({"nodelist": [{"node": "n1"}], "noderes": [{"node": "n1", "nfsserver": value}]})
    with pytest.raises(SiteError, match="table noderes, node n1, column nfsserver"):
        attribute(site, "n1", "noderes", "nfsserver")


@given(st.integers(0, 999), st.integers(1, 99), st.sampled_from("+-*/%"))
def test_arithmetic_is_whole_numbers_toward_zero(left: int, right: int, operator: str) -> None:
    expected = {"+": left + right, "-": left - right, "*": left * right, "/": left // right, "%": left % right}[operator]
    assert evaluate(f"({left} {operator} {right})") == expected
    assert evaluate(f"-{left}/{right}") == -(left // right)


@pytest.mark.parametrize("text", ["", "1+", "(1", "1 2", "x", "2**3", "1)"])
def test_arithmetic_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        evaluate(text)


def variables_site() -> Site:
    return Site(
        {
            "nodelist": [{"node": "n1", "groups": "compute"}, {"node": "cnfs"}],
            "nodepos": [{"node": "n1", "room": "newyork-590Madison"}],
            "nodetype": [{"node": "compute", "os": "rhels5.4", "arch": "x86_64", "profile": "compute"}],
            "hosts": [{"node": "n1", "ip": "10.77.0.11"}, {"node": "cnfs", "ip": "10.77.0.5"}],
            "site": [{"key": "master", "value": "10.77.0.1"}],
        }
    )


def test_the_documents_example_finds_the_directory_of_the_room() -> None:
    written = "10.0.0.1:/syncdirs/$nodepos.room/$nodetype.os/$nodetype.arch/$nodetype.profile"
    assert location(variables_site(), "n1", written, "row") == (
        "10.0.0.1",
        "/syncdirs/newyork-590Madison/rhels5.4/x86_64/compute",
    )


@pytest.mark.parametrize(
    ("written", "server", "directory"),
    [
        ("$noderes.nfsserver:/syncdirs/$node", "10.77.0.1", "/syncdirs/n1"),
        ("cnfs:/gpfs//dallas/", "10.77.0.5", "/gpfs/dallas"),
        ("[fd00::1]:/x", "fd00::1", "/x"),
        ("/nodedata", None, "/nodedata"),
        (":/nodedata/$node", None, "/nodedata/n1"),
        ("10.0.0.1:/a/pre$node$nodetype.arch", "10.0.0.1", "/a/pren1.x86_64"),
    ],
)
def test_a_location_is_an_address_and_a_clean_directory(written: str, server: str | None, directory: str) -> None:
    assert location(variables_site(), "n1", written, "row") == (server, directory)


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("10.0.0.1:/x/$noderes.tftpdir", r"row: \$noderes.tftpdir is not set for node n1"),
        ("10.0.0.1:/x/$noderes.nosuch", "column that the table noderes does not have"),
        ("10.0.0.1:/x/$litefile.file", "no table of nodes"),
        ("10.0.0.1:/x/$node-1", "is no variable"),
        ("10.0.0.1:/x/#CMD=id#", "cannot run a command"),
        ("10.0.0.1:/x/../y", "not an absolute path"),
        ("nosuch:/x", "no address in the hosts table"),
    ],
)
def test_a_location_that_cannot_be_resolved_names_row_and_reason(written: str, reason: str) -> None:
    with pytest.raises(SiteError, match=reason):
        location(variables_site(), "n1", written, "row")


def test_a_servers_name_is_an_address_before_the_colon_and_itself_in_a_directory() -> None:
    """Only what reaches the node as a server has to be an address: an initramfs has no hosts file."""
    tables = {name: variables_site().rows(name) for name in ("nodelist", "hosts", "site")}
    site = Site({**tables, "noderes": [{"node": "compute", "nfsserver": "cnfs"}]})
    assert location(site, "n1", "$noderes.nfsserver:/of/$noderes.nfsserver", "row") == ("10.77.0.5", "/of/cnfs")
    master = Site({**tables, "noderes": [{"node": "compute", "nfsserver": "<xcatmaster>"}]})
    assert location(master, "n1", "$noderes.nfsserver:/of/$noderes.nfsserver", "row") == ("10.77.0.1", "/of/10.77.0.1")


def test_an_unset_key_of_the_site_says_in_which_table_to_set_it() -> None:
    with pytest.raises(SiteError) as unset:
        substitute(variables_site(), "n1", "/x/$site.room", "row")
    assert (unset.value.faults[0].what, unset.value.faults[0].mend) == (
        "$site.room is not set for node n1",
        "Set room in the table site, or take the variable out",
    )


def test_a_site_variable_comes_from_the_site_table() -> None:
    assert substitute(variables_site(), "n1", "$site.installdir/$node", "row") == "/install/n1"
