# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands where a boot file, a link or a directory of nodeset's belongs is told by its path before anything is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.boot.server import Server

KEPT = "kept"
"""Below what stands in the way: nodeset must not be what removes it."""


def a_directory(path: Path) -> None:
    (path / KEPT).mkdir(parents=True)


def a_file(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(KEPT)


def a_link_to_a_directory(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    (path.parent / KEPT).mkdir()
    path.symlink_to(KEPT)


def a_link_to_nothing(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(KEPT)


def faults_of(server: Server) -> list[str]:
    with pytest.raises(SiteError) as error:
        server.plan()
    assert all(fault.what and "Move it away" in fault.mend for fault in error.value.faults)
    return [fault.where for fault in error.value.faults]


@pytest.mark.parametrize(
    ("netboot", "path", "stands"),
    [
        ("pxe", "pxelinux.cfg/n1", a_directory),
        ("pxe", "pxelinux.cfg/0A4D000B", a_directory),
        ("petitboot", "0A4D000B", a_directory),
        ("grub2", "boot/grub2/grub.cfg-0A4D000B", a_directory),
        ("pxe", "pxelinux.cfg", a_file),
        ("pxe", "pxelinux.cfg", a_link_to_nothing),
        ("pxe", "xcat/osimage/img1", a_file),
        ("pxe", "xcat/osimage/img1/1", a_file),
        ("pxe", "xcat/osimage/img1/1", a_link_to_a_directory),
        ("pxe", "xcat/osimage/img1/.1.new", a_file),
    ],
)
def test_it_is_a_fault_of_the_plan_and_mended_by_moving_it_away(
    tmp_path: Path, netboot: str, path: str, stands: Callable[[Path], None]
) -> None:
    server = Server(tmp_path)
    server.boots_by(netboot)
    place = server.tftp / path
    stands(place)
    assert faults_of(server) == [str(place)]
    place.rename(tmp_path / "moved")
    server.nodeset()
    assert server.plan().lines() == []


def test_everything_in_the_way_is_told_at_once(tmp_path: Path) -> None:
    server = Server(tmp_path)
    places = [server.tftp / path for path in ("xcat/osimage/img1", "pxelinux.cfg/n1", "pxelinux.cfg/n3")]
    a_file(places[0])
    for place in places[1:]:
        a_directory(place)
    assert faults_of(server) == [str(place) for place in places]


def test_the_tftp_directory_itself_may_be_a_link_to_one(tmp_path: Path) -> None:
    server = Server(tmp_path)
    (tmp_path / "disk").mkdir()
    server.tftp.symlink_to("disk")
    server.nodeset()
    assert server.plan().lines() == [] and (tmp_path / "disk/pxelinux.cfg/n1").is_file()


def test_a_tftp_directory_that_is_a_file_is_told(tmp_path: Path) -> None:
    server = Server(tmp_path)
    a_file(server.tftp)
    assert faults_of(server) == [str(server.tftp)]


def test_a_directory_where_a_node_that_is_not_named_has_nothing_is_left(tmp_path: Path) -> None:
    server = Server(tmp_path)
    a_directory(server.directory / "n2")
    server.nodeset("n1")
    assert (server.directory / "n2" / KEPT).is_dir() and server.plan("n1").lines() == []
