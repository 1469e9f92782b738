# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One node's directories are never within what another mounts, whatever the order of rows and the links on the way."""

from __future__ import annotations

import itertools

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site
from ansible_collections.diskless.statelite.plugins.module_utils.serve.exporttable import Wanted, as_written, wanted

OPTIONS = ("ro", "no_root_squash", "sync")


def planned(levels: list[str], states: dict[str, str], accept_risk: bool = False, links: dict[str, str] | None = None) -> Wanted:
    site = {
        "site": [{"key": "master", "value": "10.77.0.1"}],
        "osimage": [{"imagename": "img1", "osvers": "debian12", "osarch": "x86_64", "profile": "compute", "provmethod": "statelite"}],
        "nodelist": [{"node": "n1", "groups": "compute"}, {"node": "n2", "groups": "compute"}],
        "nodetype": [{"node": "compute", "provmethod": "img1"}],
        "hosts": [{"node": "n1", "ip": "10.77.0.11"}, {"node": "n2", "ip": "10.77.0.12"}],
        "litetree": [{"priority": str(number), "directory": directory} for number, directory in enumerate(levels, 1)],
        "statelite": [{"node": node, "statemnt": directory} for node, directory in states.items()],
    }

    def real(path: str) -> str:
        for link, target in (links or {}).items():
            if path == link or path.startswith(link + "/"):
                return target + path[len(link) :]
        return as_written(path)

    return wanted(Site(site), ["10.77.0.1"], ["*"], OPTIONS, accept_risk, real)


def paths(found: Wanted) -> list[str]:
    return [export.path for export in found.exports]


def test_state_within_another_nodes_state_is_refused_with_both_rows() -> None:
    with pytest.raises(SiteError) as error:
        planned([], {"n1": "/state/n2", "n2": "/state"}, accept_risk=True)
    [fault] = error.value.faults
    assert fault.where == "table statelite, node n1, image ALL, column statemnt"
    assert fault.what == (
        "/state/n2/n1 (state of n1) lies in /state/n2, the state of n2 (table statelite, node n2, image ALL, column statemnt)"
    )


def test_a_shared_level_within_one_nodes_state_is_refused() -> None:
    with pytest.raises(SiteError, match=r"/state/n1/all \(level 1\) lies in /state/n1, the state of n1"):
        planned(["/state/n1/all"], {"compute": "/state"}, accept_risk=True)


def test_state_at_the_top_has_one_slash() -> None:
    assert paths(planned([], {"compute": "/"})) == ["/install", "/n1", "/n2"]


@pytest.mark.parametrize("levels", list(itertools.permutations(["/lt/$node", "/lt", "/lt/deep"])))
def test_a_nodes_own_level_within_a_shared_one_is_refused_in_every_order_unless_accepted(levels: tuple[str, ...]) -> None:
    with pytest.raises(SiteError, match=r"directory /lt/n1 of node n1: it lies in /lt, which .* or set accept_risk"):
        planned(list(levels), {})
    found = planned(list(levels), {}, accept_risk=True)
    assert paths(found) == ["/install", "/lt"]
    assert sum("every client of /lt can read /lt/n" in warning for warning in found.warnings) == 2
    assert set(found.directories) == {"/lt", "/lt/deep", "/lt/n1", "/lt/n2"}


def test_a_nodes_own_level_within_the_install_directory_is_refused_unless_accepted() -> None:
    with pytest.raises(SiteError, match="table litetree, priority 1"):
        planned(["/install/litetree/$node"], {})
    assert paths(planned(["/install/litetree/$node"], {}, accept_risk=True)) == ["/install"]


def test_state_within_the_install_directory_is_refused_even_so() -> None:
    with pytest.raises(SiteError, match="it lies in /install"):
        planned([], {"compute": "/install/state"}, accept_risk=True)


def test_a_link_into_the_install_directory_does_not_hide_it() -> None:
    with pytest.raises(SiteError, match="directory /state/n1 of node n1: it lies in /install"):
        planned([], {"compute": "/state"}, links={"/install": "/data/install", "/state": "/data/install/state"})


def test_levels_apart_are_exported_apart() -> None:
    assert paths(planned(["/a/$node", "/b", "/install/c"], {"compute": "/state"})) == [
        "/a/n1", "/a/n2", "/b", "/install", "/state/n1", "/state/n2",
    ]  # fmt: skip


def test_a_level_written_through_a_link_keeps_the_export_that_nodes_mount() -> None:
    assert paths(planned(["/srv/lite", "/install/lite"], {}, links={"/srv/lite": "/install/lite"})) == ["/install", "/srv/lite"]
    with pytest.raises(SiteError, match=r"directory /srv/lite/n1 of node n1: it lies in /install"):
        planned(["/srv/lite/$node"], {}, links={"/srv/lite": "/install/lite"})
    found = planned(["/srv/lite/$node"], {}, accept_risk=True, links={"/srv/lite": "/install/lite"})
    assert paths(found) == ["/install", "/srv/lite/n1", "/srv/lite/n2"]


def test_a_node_of_ipv6_is_a_client_by_the_spelling_that_the_kernel_has() -> None:
    tables = {
        "osimage": [{"imagename": "img1", "osvers": "debian12", "osarch": "x86_64", "profile": "compute", "provmethod": "statelite"}],
        "nodelist": [{"node": "n1"}],
        "nodetype": [{"node": "n1", "provmethod": "img1"}],
        "hosts": [{"node": "n1", "ip": "FD00:0::0011"}],
        "litetree": [{"priority": "1", "directory": "[FD00::0001]:/levels/$node"}],
        "statelite": [{"node": "n1", "statemnt": "[fd00:0::1]:/state"}],
    }
    found = {export.path: export.clients for export in wanted(Site(tables), ["fd00::1"], ["*"], OPTIONS).exports}
    assert found == {"/install": ("*",), "/levels/n1": ("fd00::11",), "/state/n1": ("fd00::11",)}
