# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Noderanges against programs that know parts of their syntax: ClusterShell for ranges and sets, Ansible for patterns of hosts."""

from __future__ import annotations

from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.names import names_of, natural
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.noderange import expand
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site
from ClusterShell.NodeSet import NodeSet
from hypothesis import assume, given, settings
from hypothesis import strategies as st

SETTINGS = settings(max_examples=100, deadline=None, derandomize=True)
NODES = [f"n{number}" for number in range(1, 31)]
NODES += [f"p{number:03d}x" for number in range(95, 112)]
NODES += [f"r{rack}u{unit:02d}" for rack in range(1, 4) for unit in range(7, 13)]
SITE = Site({"nodelist": [{"node": node} for node in NODES]})
some = st.lists(st.sampled_from(NODES), min_size=1, max_size=25, unique=True)


@st.composite
def ranges(draw: st.DrawFn) -> str:
    """Return `pre[1-3,07-12]post`, with numbers of one width in each pair of brackets."""
    text = draw(st.sampled_from(("n", "rack-", "a1b", "")))
    for _count in range(draw(st.integers(1, 2))):
        width = draw(st.integers(1, 4))
        pairs = st.tuples(st.integers(1, 60), st.integers(0, 9))
        items = [(first, first + more) for first, more in draw(st.lists(pairs, min_size=1, max_size=4))]
        items = [(first, last) for first, last in items if width > 1 or last < 10]
        assume(items)
        written = [f"{first:0{width}d}" if first == last else f"{first:0{width}d}-{last:0{width}d}" for first, last in items]
        text += "[" + ",".join(written) + "]" + draw(st.sampled_from(("u", "x", "-y")))
    return text


@SETTINGS
@given(ranges())
def test_brackets_stand_for_the_names_that_clustershell_reads(text: str) -> None:
    assert sorted(set(names_of(text, text))) == sorted(NodeSet(text))


@SETTINGS
@given(some)
def test_what_clustershell_folds_is_a_noderange_of_the_same_nodes(nodes: list[str]) -> None:
    folded = str(NodeSet.fromlist(nodes))
    assert expand(SITE, folded) == sorted(nodes)


@st.composite
def algebra(draw: st.DrawFn, depth: int = 3) -> tuple[str, NodeSet]:
    """Return a noderange of unions, exclusions and intersections, and the set that ClusterShell makes in the same steps."""
    if depth == 0 or draw(st.integers(0, 3)) == 0:
        nodes = NodeSet.fromlist(draw(some))
        return f"({nodes})", nodes
    left, one = draw(algebra(depth - 1))
    right, other = draw(algebra(depth - 1))
    sign = draw(st.sampled_from((",", ",-", "@", ",@", ",!", ",&", ":!", ":&", ":")))
    made = one - other if sign[-1] in "-!" else one & other if sign[-1] in "@&" else one | other
    return f"({left}{sign}{right})", made


@SETTINGS
@given(algebra())
def test_operators_give_what_clustershells_sets_give(made: tuple[str, NodeSet]) -> None:
    text, wanted = made
    assert expand(SITE, text) == sorted(wanted)


HOSTS = [f"n{number}" for number in range(1, 25)]
GROUPS = {"red": HOSTS[:10], "green": HOSTS[5:20:2], "redwood": HOSTS[20:], "blue": [HOSTS[23], HOSTS[0]]}
GROUPED = Site({"nodelist": [{"node": node, "groups": ",".join(name for name in GROUPS if node in GROUPS[name])} for node in HOSTS]})


def inventory() -> InventoryManager:
    """Return the same nodes and groups as Ansible knows them, in their natural order."""
    manager = InventoryManager(loader=DataLoader(), sources=None, parse=False)
    for group in GROUPS:
        manager.add_group(group)
    for node in sorted(HOSTS, key=natural):
        manager.add_host(node)
        for group, members in GROUPS.items():
            if node in members:
                manager.add_host(node, group=group)
    manager.reconcile_inventory()
    return manager


INVENTORY = inventory()
operands = st.one_of(
    st.sampled_from([*GROUPS, "*", "ungrouped", "n2*", "n?", "g*n", "r*", "~n1[0-3]", "~n.*4$", "~(red|blue)$", "n*3"]),
    st.sampled_from(HOSTS),
    st.tuples(st.sampled_from(["red", "green", "n1*"]), st.sampled_from(["0", "-1", "-3", "2", "1:3", "2:", "0:0", "4:4"])).map(
        lambda pair: f"{pair[0]}[{pair[1]}]"
    ),
)


@SETTINGS
@given(st.lists(st.tuples(st.sampled_from(["", "", "&", "!"]), operands), min_size=1, max_size=5), st.sampled_from(":,"))
def test_a_pattern_of_ansible_gives_the_hosts_that_ansible_gives(terms: list[tuple[str, str]], sign: str) -> None:
    """Two names with a colon between them are a range here, as in the original, so those are left out."""
    both = zip(terms, terms[1:])
    assume(sign == "," or not any(one[1] in HOSTS and other[1] in HOSTS and not other[0] for one, other in both))
    text = sign.join(mark + name for mark, name in terms)
    hosts = [host.name for host in INVENTORY.get_hosts(text)]
    assert expand(GROUPED, text) == sorted(hosts)
