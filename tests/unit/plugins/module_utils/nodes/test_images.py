# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which image a node boots and which rows of litefile and litetree hold for it (decisions.md, Tables)."""

from __future__ import annotations

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.images import image_of, osimage, rows_for_image
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site

IMAGE = {"imagename": "img1", "groups": "g1,g2", "osvers": "debian12", "osarch": "x86_64", "profile": "compute", "provmethod": "statelite"}


def site(**tables: list[dict[str, str]]) -> Site:
    return Site({"osimage": [IMAGE], "nodelist": [{"node": "n1", "groups": "compute"}], **tables})


def test_an_image_joins_both_tables_and_has_documented_defaults() -> None:
    image = osimage(site(linuximage=[{"imagename": "img1", "permission": "700"}]), "img1")
    assert (image.rootimgdir, image.permission, image.groups) == ("/install/netboot/debian12/x86_64/compute", "700", ["g1", "g2"])


@pytest.mark.parametrize("name", ["debian12-x86_64-statelite-compute", "debian12-x86_64-compute", "img1"])
def test_an_image_is_known_by_its_name_and_its_legacy_names(name: str) -> None:
    assert osimage(site(), name).name == "img1"


def test_a_legacy_name_that_two_images_have_is_refused() -> None:
    with pytest.raises(SiteError, match="there is no such image"):
        osimage(site(osimage=[IMAGE, {**IMAGE, "imagename": "img2"}]), "debian12-x86_64-statelite-compute")


@pytest.mark.parametrize(
    "row",
    [
        {"provmethod": "img1"},
        {"provmethod": "statelite", "os": "debian12", "arch": "x86_64", "profile": "compute"},
        {"os": "debian12", "arch": "x86_64", "profile": "compute"},
    ],
)
def test_a_nodes_image_comes_from_provmethod_or_from_the_legacy_name(row: dict[str, str]) -> None:
    assert image_of(site(nodetype=[{"node": "n1", **row}]), "n1") == "img1"


def test_a_node_without_image_is_refused_by_name() -> None:
    with pytest.raises(SiteError, match=r"node n1.*os, profile are not set"):
        image_of(site(nodetype=[{"node": "n1", "arch": "x86_64"}]), "n1")


def files(view: Site) -> dict[str, str]:
    return {row["file"]: row.get("options") or "" for row in rows_for_image(view, "litefile", osimage(view, "img1"))}


def test_an_image_row_beats_a_group_row_beats_all() -> None:
    rows = [
        {"image": "ALL", "file": "/a", "options": "ro"},
        {"image": "g1", "file": "/a", "options": "con"},
        {"image": "img1", "file": "/a", "options": "persistent"},
        {"image": "ALL", "file": "/b", "options": "ro"},
        {"image": "g2", "file": "/b", "options": "con"},
        {"file": "/c", "options": "rw"},
        {"image": "other", "file": "/d", "options": "rw"},
        {"image": "all", "file": "/e", "options": "rw"},
    ]
    assert files(site(litefile=rows)) == {"/a": "persistent", "/b": "con", "/c": "rw"}


def test_the_order_of_image_groups_decides_between_two() -> None:
    rows = [{"image": "g2", "file": "/a", "options": "ro"}, {"image": "g1", "file": "/a", "options": "con"}]
    assert files(site(litefile=rows)) == {"/a": "con"}


def test_rows_of_one_rank_that_differ_are_refused_by_name() -> None:
    rows = [
        {"image": "ALL", "file": "/a", "options": "ro"},
        {"file": "/a/", "options": "con"},
        {"file": "/b"},
        {"image": "ALL", "file": "/b"},
    ]
    with pytest.raises(SiteError, match="image ALL, /a and table litefile, image ALL, /a/: two rows of the same rank"):
        files(site(litefile=rows))


def test_rows_of_one_rank_that_agree_are_one_and_the_directory_wins() -> None:
    rows = [{"file": "/a", "options": "rw,tmpfs"}, {"image": "ALL", "file": "/a/"}]
    assert files(site(litefile=rows)) == {"/a/": ""}


def test_a_litetree_row_of_the_image_takes_the_place_of_the_same_priority() -> None:
    view = site(
        litetree=[
            {"priority": "1", "image": "ALL", "directory": "10.0.0.1:/all"},
            {"priority": "1", "image": "img1", "directory": "10.0.0.1:/img"},
            {"priority": "2", "directory": "10.0.0.1:/blank"},
        ]
    )
    assert [row["directory"] for row in rows_for_image(view, "litetree", osimage(view, "img1"))] == ["10.0.0.1:/img", "10.0.0.1:/blank"]
