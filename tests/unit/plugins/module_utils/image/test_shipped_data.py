# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The default package lists and litefile tables that the role image brings: each is found for its systems and keeps our rules."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.image.packages import find_list, read_packages
from ansible_collections.diskless.statelite.plugins.module_utils.lite.entry import entries_of
from ansible_collections.diskless.statelite.plugins.module_utils.lite.rules import refusal
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.images import Image
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.imported import import_site, tables_of

FILES = Path(__file__).parents[5] / "roles/image/files"
TABLES = ("debian12", "el10", "el8", "el9", "sles15", "ubuntu22.04", "ubuntu24.04")
LISTS = {
    "debian12.5": ("compute.debian12.x86_64.pkglist", ("linux-image-cloud-amd64", "nfs-common", "isc-dhcp-client")),
    "ubuntu22.04": ("compute.ubuntu22.04.pkglist", ("linux-image-virtual", "nfs-common", "isc-dhcp-client")),
    "ubuntu24.04.1": ("compute.ubuntu24.04.pkglist", ("linux-image-virtual", "nfs-common", "isc-dhcp-client")),
    "rhels8.10": ("compute.el8.pkglist", ("kernel", "nfs-utils", "dhcp-client")),
    "rocky9.4": ("compute.el9.pkglist", ("kernel", "nfs-utils", "dhcp-client")),
    "alma9": ("compute.el9.pkglist", ("kernel", "nfs-utils", "dhcp-client")),
    "rhels10.0": ("compute.el10.pkglist", ("kernel", "nfs-utils", "NetworkManager")),
    "centos-stream10": ("compute.el10.pkglist", ("kernel", "nfs-utils", "NetworkManager")),
    "sles15.5": ("compute.sles15.pkglist", ("kernel-default", "nfs-client", "dhcp-client")),
    "opensuse-leap15.6": ("compute.sles15.pkglist", ("kernel-default", "nfs-client", "dhcp-client")),
}
DEBIAN_KERNELS = {"x86_64": "linux-image-cloud-amd64", "aarch64": "linux-image-cloud-arm64", "ppc64le": "linux-image-powerpc64le"}
INCLUDED = {"compute.debian12.common", "compute.ubuntu.common"}


def image(osvers: str, osarch: str = "x86_64") -> Image:
    return Image("i", {"osvers": osvers, "osarch": osarch, "profile": "compute"}, "/nowhere")


def test_every_file_is_looked_at() -> None:
    assert {path.stem for path in (FILES / "litefile").iterdir()} == set(TABLES)
    lists = {name for name, _packages in LISTS.values()} | {f"compute.debian12.{osarch}.pkglist" for osarch in DEBIAN_KERNELS}
    assert {path.name for path in (FILES / "pkglist").iterdir()} == lists | INCLUDED


@pytest.mark.parametrize("osarch", DEBIAN_KERNELS)
def test_a_debian_image_of_each_architecture_differs_by_its_kernel_and_its_boot_loader_alone(osarch: str) -> None:
    packages = {arch: set(read_packages(image("debian12", arch), {}, str(FILES)).install) for arch in DEBIAN_KERNELS}
    own = {DEBIAN_KERNELS[osarch], *(["grub-efi-arm64-bin"] if osarch == "aarch64" else [])}
    assert packages[osarch] - set.intersection(*packages.values()) == own


@pytest.mark.parametrize("osvers", LISTS)
def test_an_image_without_a_list_gets_that_of_its_system(osvers: str) -> None:
    name, wanted = LISTS[osvers]
    assert find_list(image(osvers), [str(FILES / "pkglist")], "pkglist") == str(FILES / "pkglist" / name)
    found = read_packages(image(osvers), {}, str(FILES))
    assert {"dracut", "openssl", "systemd", *wanted} <= set(found.install)
    assert found.exclude == found.remove == ()


@pytest.mark.parametrize("osvers", ["rocky11.1", "sles16.0", "fedora40", "ubuntu26.04"])
def test_a_system_without_a_list_gets_no_other_systems_list(osvers: str) -> None:
    assert find_list(image(osvers), [str(FILES / "pkglist")], "pkglist") is None


@pytest.mark.parametrize("table", TABLES)
def test_a_shipped_table_is_imported_and_its_rows_go_together(table: str, tmp_path: Path) -> None:
    text = (FILES / f"litefile/{table}.csv").read_text(encoding="utf-8")
    rows = tables_of(import_site(tmp_path / "site.db", {"litefile.csv": text}))["litefile"]
    assert len(rows) == len(text.strip().split("\n")) - 1
    for liteattach in ("link", "bind"):
        entries = entries_of(rows, liteattach)
        assert len(entries) == len(rows)
        assert {entry.attachment for entry in entries} == {"bind"}
        for above, below in permutations(entries, 2):
            assert not below.path.startswith(above.path + "/") or refusal(above, below) is None
        assert {"/etc/ssh", "/tmp", "/var/log", "/var/tmp"} <= {entry.path for entry in entries}
