# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The prediction is what happens: the simulated tree against the tree that the real agent made, path by path, no exception."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.lite.carry import UNKNOWN
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.lite.test_properties import OPTIONS, manifest, paths, trees
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from .disks import Disks, disks_in
from .node import Boot
from .predicted import ON_DISK, differences, predicted
from .test_agent import NAMES, STATE, node_with
from .test_cases import CASES, NO_PLAN, REFUSED, node_of


@pytest.mark.parametrize("name", [name for name in CASES if name not in REFUSED and name not in NO_PLAN])
def test_recorded_boots_are_predicted(name: str, tmp_path: Path, pki: Path) -> None:
    node = node_of(name, tmp_path, pki)
    node.lay_out()
    found, _view = differences(node, "STATEMNT=10.1.0.1:/state")
    assert found == []


@pytest.mark.parametrize("attachment", ["link", "bind"])
def test_every_pair_is_predicted_twice(attachment: str, tmp_path: Path, pki: Path, disks: Disks) -> None:
    files = {}
    local = ("localdisk",) if attachment == "bind" else ()
    for parent in ("tmpfs", "persistent", *local):
        for child in ("tmpfs", "persistent", "ro", "con", *local):
            place = f"/srv/{parent} {child}"
            files[f"{place}/"] = f"{attachment},{parent}"
            files |= {f"{place}/sub/{name}": f"{attachment},{child}" for name in ("c", "new")}
    node = node_with(tmp_path, pki, files)
    disk = disks.add()
    disk.make(disks.label)
    disks.declare(node)
    for path in [path for path in files if path.endswith("/")]:
        for name in ("sub/c", "sub/other"):
            node.file(f"image/rootimg{path}{name}", f"{name}\n", 0o640)
        node.file(f"nfs/10.0.0.2/common{path}sub/c", "level\n", 0o600)
    node.lay_out()
    for _boot in range(2):
        disk.shown(node)
        found, _view = differences(node, STATE)
        assert found == []


@pytest.mark.parametrize("attachment", ["link", "bind"])
def test_every_name_is_predicted(attachment: str, tmp_path: Path, pki: Path) -> None:
    files = {f"/etc/{storage} {name}": f"{attachment},{storage}" for storage in ("tmpfs", "persistent", "ro", "con") for name in NAMES}
    files |= {f"/srv/{storage} {name}/": f"{attachment},{storage}" for storage in ("tmpfs", "persistent", "ro") for name in NAMES}
    node = node_with(tmp_path, pki, files)
    for path in files:
        node.file(f"image/rootimg{path}" + ("in" if path.endswith("/") else ""), "image\n", 0o640)
    for name in NAMES:
        for path in (f"/etc/ro {name}", f"/etc/con {name}", f"/srv/ro {name}/in {name}"):
            node.file(f"nfs/10.0.0.2/common{path}", "level\n")
    node.lay_out()
    found, view = differences(node, STATE)
    assert found == []
    assert {result.status for result in view.results.values()} == {"done"}


EXAMPLES = int(os.environ.get("STATELITE_BOOTS", "12"))
"""How many random nodes boot. Without STATELITE_BOOTS they are the same at every run; with it, so many new ones are drawn."""
Drawn = tuple[list[dict[str, dict[str, str]]], dict[str, str]]


@st.composite
def sites(draw: st.DrawFn) -> Drawn:
    """Return five trees (image, two levels, state, disk) and a table that mostly names what is in them.

    A link of a level may lead to what only the node can know; the simulation says so then (test_node_view.py).
    """
    drawn = [draw(trees) for _tree in range(5)]
    standing = sorted({path for tree in drawn for path in tree})
    named = st.one_of(st.sampled_from(standing), st.sampled_from(standing), paths) if standing else paths
    files = st.tuples(named, st.booleans()).map(lambda pair: pair[0] + "/" * pair[1])
    return drawn, draw(st.dictionaries(files, st.sampled_from(OPTIONS), min_size=1, max_size=6))


@settings(
    max_examples=EXAMPLES,
    derandomize="STATELITE_BOOTS" not in os.environ,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),
)
@given(site=sites(), liteattach=st.sampled_from(["link", "bind"]))
def test_random_tables_and_trees_are_predicted(
    site: tuple[list[dict[str, dict[str, str]]], dict[str, str]], liteattach: str, pki: Path
) -> None:
    (image, first, second, state, kept), table = site
    with tempfile.TemporaryDirectory(prefix="statelite-") as directory, disks_in(Path(directory)) as disks:
        node = node_with(Path(directory), pki, table, liteattach)
        disk = disks.add()
        disks.declare(node)
        for below, tree in (
            ("image/rootimg", image),
            ("nfs/10.0.0.1/lt/n1", first),
            ("nfs/10.0.0.2/common", second),
            ("nfs/10.0.0.1/state/n1", state),
            (f"{ON_DISK}/content/{disk.own(node)}", kept),
        ):
            for line in sorted(manifest(tree), key=lambda line: line["path"]):
                if not (node.work / below / line["path"].lstrip("/")).exists():
                    node.manifest(below, line)
        (node.work / ON_DISK / "content" / disk.own(node)).mkdir(parents=True, exist_ok=True)
        disk.make(disks.label, node.work / ON_DISK / "content")
        disk.shown(node)
        try:
            node.lay_out()
            assume(all(result.status != UNKNOWN for result in predicted(node).results.values()))
        except SiteError:
            assume(False)
        found, _view = differences(node, STATE)
        assert found == []


@pytest.mark.parametrize("attachment", ["link", "bind"])
@pytest.mark.parametrize("litecopy", ["", "ALL"])
def test_an_entry_that_gets_no_content_leaves_nothing_at_its_place(attachment: str, litecopy: str, tmp_path: Path, pki: Path) -> None:
    """The state has a file where a directory must be, so nothing below can be kept: no mount point is made for it either."""
    node = node_with(tmp_path, pki, {"/srv/p/": "tmpfs", "/srv/p/sub/c": "persistent", "/srv/top/c": "persistent"}, attachment)
    node.tables["site"].append({"key": "litecopy", "value": litecopy})
    node.file("nfs/10.0.0.2/common/srv/p/other", "level\n")
    node.file("nfs/10.0.0.1/state/n1/srv", "a file\n")
    node.lay_out()
    found, view = differences(node, STATE)
    assert found == []
    assert {path: result.status for path, result in view.results.items()} == {
        "/srv/p": "done",
        "/srv/p/sub/c": "failed",
        "/srv/top/c": "failed",
    }
    told = [result[2] for result in Boot(tmp_path / "boot1").results.values() if result[0] == "failed"]
    assert len(told) == 2
    assert all(message.startswith("mkdir: ") and message.endswith("Not a directory") for message in told)


def test_a_composed_file_where_a_level_has_a_directory_is_predicted(tmp_path: Path, pki: Path) -> None:
    node = node_with(tmp_path, pki, {"/srv/p/": "tmpfs", "/srv/p/c": "con", "/srv/z": "con"})
    node.file("nfs/10.0.0.2/common/srv/p/c/in", "level\n")
    node.lay_out()
    found, view = differences(node, STATE)
    assert found == []
    assert [view.results[path].status for path in ("/srv/p", "/srv/p/c", "/srv/z")] == ["done", "failed", "done"]


@pytest.mark.parametrize("attachment", ["link", "bind"])
@pytest.mark.parametrize("text", ["..", ".", "../../.."])
def test_a_link_in_the_state_that_leads_up_is_predicted(attachment: str, text: str, tmp_path: Path, pki: Path) -> None:
    """The plan that the node keeps is seen through it too."""
    node = node_with(tmp_path, pki, {f"/{name}/": "persistent" for name in ("a", "b/c")}, attachment)
    node.file("nfs/10.0.0.1/state/n1/b/x", "kept\n")
    for name, leads in (("a", text), ("b/c", f"../{text}")):
        (tmp_path / "nfs/10.0.0.1/state/n1" / name).symlink_to(leads)
    node.lay_out()
    for _boot in range(2):
        found, _view = differences(node, STATE)
        assert found == []


@pytest.mark.parametrize("attachment", ["link", "bind"])
def test_a_link_whose_dots_lead_out_of_a_volatile_directory_is_predicted(attachment: str, tmp_path: Path, pki: Path) -> None:
    node = node_with(tmp_path, pki, {"/a/": "tmpfs"}, attachment)
    node.file("image/rootimg/a/b/c/d", "")
    (node.root / "a/b/c/up").symlink_to("../../../..")
    node.lay_out()
    found, _view = differences(node, STATE)
    assert found == []


@pytest.mark.parametrize("attachment", ["link", "bind"])
def test_three_depths_of_every_storage_are_predicted(attachment: str, tmp_path: Path, pki: Path) -> None:
    files = {}
    for top in ("tmpfs", "persistent"):
        files[f"/srv/{top}/"] = f"{attachment},{top}"
        for middle in ("tmpfs", "persistent"):
            files[f"/srv/{top}/x/{middle}/"] = f"{attachment},{middle}"
            files |= {f"/srv/{top}/x/{middle}/y/{last}": f"{attachment},{last}" for last in ("tmpfs", "persistent", "ro", "con")}
    node = node_with(tmp_path, pki, files)
    for path in files:
        node.file(f"image/rootimg{path}" + ("other" if path.endswith("/") else ""), f"{path}\n")
    for path in ("/srv/tmpfs/x/tmpfs/y/con", "/srv/persistent/x/tmpfs/y/ro", "/srv/tmpfs/x/persistent/level"):
        node.file(f"nfs/10.0.0.2/common{path}", "level\n")
    node.lay_out()
    found, view = differences(node, STATE)
    assert found == []
    assert {result.status for result in view.results.values()} == {"done"}
    assert len(view.results) == len(files)
