# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the package managers say that they would change, and which wishes are none."""

from __future__ import annotations

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.image.installers.aptedit import foreseen
from ansible_collections.diskless.statelite.plugins.module_utils.image.installers.editing import (
    PackageChange,
    Wish,
    changes,
    missing,
    refuse_wish,
)
from ansible_collections.diskless.statelite.plugins.module_utils.image.installers.rpmedit import dnf_table, zypper_summary

APT = """Reading package lists...
Inst libnew (1.0-1 Debian:12.8/stable [amd64])
Inst tool [1.0] (1.1 Debian:12.8/stable [all]) []
Remv old-tool [0.9]
Inst cross:arm64 (2 Debian:12 [arm64])
Conf libnew (1.0-1 Debian:12.8/stable [amd64])
"""

DNF = """Dependencies resolved.
================================================================================
 Package                    Architecture  Version         Repository       Size
================================================================================
Installing:
 nano                       x86_64        5.6.1-5.el9     pkgdir-1        691 k
Upgrading:
 a-package-with-a-name-that-does-not-fit-into-the-column
                            noarch        2:9.1-1.el9     pkgdir-1         12 k
Installing dependencies:
 libnano                    x86_64        1-1             others-1         12 k
Removing:
 vi                         x86_64        8-1             @System          12 k

Transaction Summary
================================================================================
"""

ZYPPER = """warning: rpm says something
<?xml version='1.0'?>
<stream>
<message type="info">Loading repository data...</message>
<install-summary download-size="1" space-usage-diff="1">
<to-install><solvable type="package" name="nano" edition="5-1" arch="x86_64"/>
<solvable type="pattern" name="core" edition="1"/></to-install>
<to-upgrade><solvable type="package" name="vim" edition="9-1" edition-old="8-1" arch="x86_64"/></to-upgrade>
<to-remove><solvable type="package" name="vi" edition="1-1" arch="x86_64"/></to-remove>
</install-summary>
</stream>
"""


def test_apt_is_read_as_it_speaks() -> None:
    assert foreseen(APT) == [
        PackageChange("cross", "", "2"),
        PackageChange("libnew", "", "1.0-1"),
        PackageChange("old-tool", "0.9", ""),
        PackageChange("tool", "1.0", "1.1"),
    ]


def test_dnf_is_read_as_it_speaks() -> None:
    there = {"a-package-with-a-name-that-does-not-fit-into-the-column": "9.0-1.el9", "vi": "8-1"}
    assert [change.line() for change in dnf_table(DNF, there)] == [
        "+nano 5.6.1-5.el9",
        "a-package-with-a-name-that-does-not-fit-into-the-column 9.0-1.el9 -> 2:9.1-1.el9",
        "+libnano 1-1",
        "-vi 8-1",
    ]


def test_zypper_is_read_as_it_speaks() -> None:
    assert [change.line() for change in zypper_summary(ZYPPER, {"vim": "8-1", "vi": "1-1"})] == ["+nano 5-1", "vim 8-1 -> 9-1", "-vi 1-1"]
    assert zypper_summary("no answer", {}) == []


def test_what_is_missing_counts_versions() -> None:
    there = {"a": "1", "kernel": "5.14-1, 5.14-2"}
    assert missing(["a", "a=2", "b", "kernel=5.14-1"], there) == ["a=2", "b"]


def test_two_sets_of_packages_differ_in_words() -> None:
    found = changes({"a": "1", "b": "1", "c": "1"}, {"a": "1", "b": "2", "d": "1"})
    assert [change.line() for change in found] == ["b 1 -> 2", "-c 1", "+d 1"]


@pytest.mark.parametrize(
    ("names", "state"),
    [
        (["a b"], "present"),
        (["-x"], "present"),
        (["x-"], "present"),
        (["*"], "present"),
        (["*", "a"], "latest"),
        (["/a.rpm"], "absent"),
        (["a=1"], "absent"),
    ],
)
def test_wishes_that_are_none_are_refused(names: list[str], state: str) -> None:
    with pytest.raises(SiteError):
        refuse_wish(Wish(tuple(names), state))
