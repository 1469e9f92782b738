# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What zypper is told, and what is read from its answers (real runs: integration target genimage)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.image.installers.order import Order
from ansible_collections.diskless.statelite.plugins.module_utils.image.installers.registry import installer_for
from ansible_collections.diskless.statelite.plugins.module_utils.image.installers.repositories import repositories
from ansible_collections.diskless.statelite.plugins.module_utils.image.installers.rpmtool import failed_scripts
from ansible_collections.diskless.statelite.plugins.module_utils.image.installers.zypper import Zypper, messages, offered
from ansible_collections.diskless.statelite.plugins.module_utils.image.pkglist import PackageList, Pass

TRUSTED = "[trusted=yes] http://mirror/os"


def order(family: str = "sles", version: str = "15.5", install: tuple[str, ...] = ("vim",), **more: object) -> Order:
    return Order(family, version, str(more.pop("osarch", os.uname().machine)), (TRUSTED,), PackageList((Pass(install),)), **more)


@pytest.mark.parametrize("family", ["sles", "opensuse-leap", "opensuse-tumbleweed"])
def test_every_system_of_suse_is_installed_by_zypper(family: str) -> None:
    assert isinstance(installer_for(order(family=family)), Zypper)


def test_nothing_of_this_machine_counts_and_nothing_is_left_out(tmp_path: Path) -> None:
    zypper = Zypper(order(osarch="s390x" if os.uname().machine != "s390x" else "x86_64"))
    zypper.prepare(str(tmp_path), repositories(zypper.sources))
    words = zypper._command("/root", str(tmp_path), ["nano"], *zypper._install(["vim"]))
    assert {
        "--non-interactive",
        "--root=/root",
        f"--reposd-dir={tmp_path}/repos",
        "--no-recommends",
        f"ZYPP_CONF={tmp_path}/zypp.conf",
    } <= set(words)
    assert not any(word in words for word in ("--no-gpg-checks", "--gpg-auto-import-keys", "--ignore-unknown", "--force-resolution"))
    assert "solvable_name: nano" in (tmp_path / "cache/locks").read_text()
    assert "\narch = " in (tmp_path / "zypp.conf").read_text()
    assert "pkg_gpgcheck=0" in (tmp_path / "repos/image.repo").read_text()


def test_groups_are_patterns_and_only_krpmver_says_the_version_of_a_kernel_package() -> None:
    assert [Zypper(order()).named(name) for name in ("@base", "vim=9.0-1")] == ["pattern() = base", "vim=9.0-1"]
    assert Zypper(order(kernelver="5.14.21-150500.55-default")).named("kernel-default") == "kernel-default"
    assert Zypper(order(krpmver="5.14.21-150500.55.1")).named("kernel-default") == "kernel-default=5.14.21-150500.55.1"
    assert Zypper(order(krpmver="1")).pinned() == ["kernel-default"]
    assert Zypper(order(krpmver="1", install=("kernel-default-base",))).pinned() == []


def test_an_old_release_is_refused() -> None:
    assert any("no release that zypper can install" in str(fault) for fault in Zypper(order(version="12.5")).faults())


ANSWER = """rpm: RPM should not be used directly install RPM packages, use Alien instead!
<?xml version='1.0'?>
<stream>
<message type="info">Loading repository data...</message>
<install-summary packages-to-change="2">
<to-install>
<solvable type="package" name="vim" edition="2:9.0-1" arch="x86_64"/>
<solvable type="package" name="tiny-base" edition="1-1" arch="x86_64"/>
<solvable type="pattern" name="core" edition="1-1" arch="noarch"/>
</to-install>
</install-summary>
</stream>
"""


def test_what_the_repositories_would_give_is_read_from_a_dry_run() -> None:
    assert offered(ANSWER) == {"vim": "2:9.0-1", "tiny-base": "1-1"}
    assert offered("<?xml version='1.0'?><stream><message>") == offered("no answer") == {}
    assert messages(ANSWER) == "Loading repository data..."


def test_a_failed_script_is_told_without_what_rpm_says_at_each_call() -> None:
    said = """(5/7) Installing: broken-1-1.x86_64 [....done]
Additional rpm output:
rpm: RPM should not be used directly install RPM packages, use Alien instead!
rpm: However assuming you know what you are doing...
the broken package says why
warning: %post(broken-1-1.x86_64) scriptlet failed, exit status 7
"""
    assert failed_scripts(said) == [("broken-1-1.x86_64", "its %post script failed, exit status 7; it said:\nthe broken package says why")]


def test_what_zypper_runs_itself_when_all_is_installed_may_fail_too() -> None:
    said = """\
(9/9) Installing: dracut-network-1-1.x86_64 [.....done]

Executing %posttrans script 'late-1-1.x86_64.rpm' [..
Output of late-1-1.x86_64.rpm %posttrans script:
    the late package says why

Warning: late-1-1.x86_64.rpm %posttrans script failed (returned 3)
..done]
"""
    assert failed_scripts(said) == [("late-1-1.x86_64", "its %posttrans script failed, returned 3; it said:\nthe late package says why")]
