# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which machine may build which image: never one of another major release of the image's own system."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.image import build_host
from ansible_collections.diskless.statelite.plugins.module_utils.image.build_host import parse_os_release, release_faults
from ansible_collections.diskless.statelite.plugins.module_utils.image.definition import define
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.images import Image

HOSTS = {
    "debian12": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nID=debian\n',
    "rocky8": 'VERSION_ID="8.10"\nID="rocky"\nID_LIKE="rhel centos fedora"\nPRETTY_NAME="Rocky Linux 8.10 (Green Obsidian)"\n',
    "rhel9": 'ID="rhel"\nID_LIKE="fedora"\nVERSION_ID="9.4"\n',
    "clone9": 'ID="navy"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.3"\n',
    "fedora40": "ID=fedora\nVERSION_ID=40\n",
    "leap15": 'ID="opensuse-leap"\nID_LIKE="suse opensuse"\nVERSION_ID="15.6"\n',
    "tumbleweed": 'ID="opensuse-tumbleweed"\nVERSION_ID="20261101"\n',
    "ubuntu22": 'ID=ubuntu\nID_LIKE=debian\nVERSION_ID="22.04"\n',
    "mint": 'ID=linuxmint\nID_LIKE="ubuntu debian"\nVERSION_ID="22"\n',
}


def refused(host: str, osvers: str) -> bool:
    return bool(release_faults(osvers, parse_os_release(HOSTS[host]), "osvers"))


@pytest.mark.parametrize(
    ("host", "osvers"),
    [
        ("rocky8", "rhels9.4"),
        ("rocky8", "alma9"),
        ("rhel9", "rocky8.10"),
        ("clone9", "rocky8"),
        ("fedora40", "fedora41"),
        ("leap15", "sles12.5"),
        ("debian12", "debian11"),
        ("debian12", "debian13.1"),
        ("ubuntu22", "ubuntu24.04"),
        ("ubuntu22", "ubuntu22.10"),
    ],
)
def test_another_major_release_of_the_images_own_system_is_refused(host: str, osvers: str) -> None:
    assert refused(host, osvers)


@pytest.mark.parametrize(
    ("host", "osvers"),
    [
        ("debian12", "debian12.5"),
        ("debian12", "rocky9.4"),
        ("debian12", "sles15.5"),
        ("debian12", "ubuntu24.04"),
        ("rocky8", "centos8"),
        ("rocky8", "fedora40"),
        ("rocky8", "debian12"),
        ("clone9", "rhels9.6"),
        ("fedora40", "rhels9.4"),
        ("leap15", "sles15.5"),
        ("tumbleweed", "sles15.5"),
        ("leap15", "opensuse-tumbleweed"),
        ("ubuntu22", "ubuntu22.04.3"),
        ("mint", "ubuntu24.04"),
    ],
)
def test_the_same_release_and_other_distributions_are_let_build(host: str, osvers: str) -> None:
    assert not refused(host, osvers)


def test_a_machine_that_does_not_say_what_it_is_is_let_build() -> None:
    assert release_faults("rocky9.4", {}, "osvers") == []


def test_the_refusal_names_image_machine_and_mend() -> None:
    fault = release_faults("rhels9.4", parse_os_release(HOSTS["rocky8"]), "table osimage, imagename i, column osvers")[0]
    assert fault.where == "table osimage, imagename i, column osvers"
    assert "'rhels9.4' is Enterprise Linux 9" in fault.what
    assert "Rocky Linux 8.10 (Green Obsidian)" in fault.what
    assert "role build_host" in fault.mend


def test_a_build_here_is_refused_and_one_elsewhere_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "os-release").write_text(HOSTS["rocky8"])
    monkeypatch.setattr(build_host, "OS_RELEASE", (str(tmp_path / "os-release"),))
    row = {"osvers": "rocky9.4", "osarch": os.uname().machine, "profile": "compute", "provmethod": "statelite"}
    image = Image("i", {**row, "pkglist": "kernel", "pkgdir": "[trusted=yes] http://mirror/os"}, "/install")
    with pytest.raises(SiteError, match="another major release"):
        define(image, str(tmp_path), 60)
    define(image, str(tmp_path), 60, here=False)
    define(image, str(tmp_path), 60, other_release=True)
    foreign = Image("i", {**image.row, "osarch": "s390x"}, "/install")
    define(foreign, str(tmp_path), 60, here=False)
