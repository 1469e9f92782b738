# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What mmdebstrap is told, and what it is refused before it runs."""

from __future__ import annotations

import os

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.apply.commands import run_command
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.image.installers.apt import SIMULATED, Apt
from ansible_collections.diskless.statelite.plugins.module_utils.image.installers.dpkgsaid import script_faults
from ansible_collections.diskless.statelite.plugins.module_utils.image.installers.order import Order
from ansible_collections.diskless.statelite.plugins.module_utils.image.installers.registry import installer_for
from ansible_collections.diskless.statelite.plugins.module_utils.image.pkglist import PackageList, Pass
from ansible_collections.diskless.statelite.plugins.module_utils.image.sources import Source


def order(*pkgdir: str, family: str = "debian", version: str = "12", osarch: str = "x86_64", **more: object) -> Order:
    return Order(family, version, osarch, pkgdir, PackageList((Pass(("vim", "tar")),), tuple(more.pop("exclude", ()))), **more)


def test_a_url_stands_for_the_suite_of_the_release() -> None:
    assert Apt(order("http://mirror/debian")).sources() == ["deb http://mirror/debian bookworm main"]


def test_ubuntu_takes_universe_too() -> None:
    assert Apt(order("http://mirror/ubuntu", family="ubuntu", version="22.04")).sources() == [
        "deb http://mirror/ubuntu jammy main universe"
    ]


def test_a_point_release_has_its_suite() -> None:
    assert Apt(order(version="12.5")).suite == "bookworm"


@pytest.mark.parametrize(
    ("item", "source"),
    [
        ("/srv/debian", "deb copy:/srv/debian bookworm main"),
        ("file:///srv/debian", "deb copy:/srv/debian bookworm main"),
        ("deb file:/srv/debian bookworm main", "deb copy:/srv/debian bookworm main"),
        ("deb [arch=amd64,i386] http://m/d trixie main contrib", "deb [arch=amd64,i386] http://m/d trixie main contrib"),
    ],
)
def test_a_local_archive_is_copied_and_a_line_stays(item: str, source: str) -> None:
    assert Apt(order(item)).sources() == [source]


def test_a_source_is_trusted_only_where_the_definition_says_so() -> None:
    plain, trusting = Apt(order("http://m/d")), Apt(order("deb [trusted=yes] http://m/d bookworm main"))
    everything = " ".join([*plain.sources(), *plain.arguments(), *trusting.arguments()])
    assert "trusted" not in everything
    assert "unauthenticated" not in everything.lower()
    assert trusting.sources() == ["deb [trusted=yes] http://m/d bookworm main"]


def test_packages_kept_out_and_the_kernel_asked_for_reach_apt() -> None:
    arguments = Apt(order("http://m/d", exclude=("nano",), kernelver="6.1.0-31-cloud-amd64")).arguments()
    assert "--include=vim,tar,linux-image-6.1.0-31-cloud-amd64,nano-" in arguments
    assert "--architectures=amd64" in arguments


@pytest.mark.parametrize(("osarch", "name"), [("aarch64", "arm64"), ("ppc64le", "ppc64el"), ("s390x", "s390x"), ("riscv64", "riscv64")])
def test_another_architecture_has_debians_name_and_no_emulator_is_copied_into_its_image(osarch: str, name: str) -> None:
    arguments = Apt(order("http://m/d", osarch=osarch)).arguments()
    assert f"--architectures={name}" in arguments
    assert ("--skip=check/qemu" in arguments) == (osarch != os.uname().machine)
    assert "--skip=check/qemu" not in Apt(order("http://m/d", osarch=os.uname().machine)).arguments()


def test_a_directory_must_hold_the_suite(tmp_path: object) -> None:
    assert "holds no dists/bookworm" in str(Apt(order(str(tmp_path))).faults()[-1])
    os.makedirs(f"{tmp_path}/dists/bookworm")
    assert Apt(order(str(tmp_path))).faults() == []


def test_a_mirror_or_directory_takes_the_words_that_other_sources_take(tmp_path: object) -> None:
    os.makedirs(f"{tmp_path}/dists/bookworm")
    with open(f"{tmp_path}/key", "w"):
        pass
    found = order(f"[trusted=yes] {tmp_path}", f"[signed-by={tmp_path}/key] http://m/d", "[trusted=yes] copy:/srv/d", "file:/srv/d")
    assert Apt(found).faults() == []
    assert Apt(found).sources() == [
        f"deb [trusted=yes] copy:{tmp_path} bookworm main",
        f"deb [signed-by={tmp_path}/key] http://m/d bookworm main",
        "deb [trusted=yes] copy:/srv/d bookworm main",
        "deb copy:/srv/d bookworm main",
    ]
    wrong = [str(fault) for fault in Apt(order(f"[signed-by=/nowhere] {tmp_path}", "[untrusted] http://m/d")).faults()]
    assert len(wrong) == 2
    assert all(word in text for word, text in zip(("/nowhere", "untrusted"), wrong))


def test_every_wrong_source_is_named() -> None:
    found = [str(fault) for fault in Apt(order("/nowhere", "mirror", "deb http://x")).faults()]
    assert len(found) == 3
    assert all(name in text for name, text in zip(("/nowhere", "mirror", "deb http://x"), found))


def test_an_unknown_release_needs_deb_lines() -> None:
    assert "is not known" in str(Apt(order("http://m/d", version="99")).faults()[0])
    assert Apt(order("deb http://m/d sid main", version="99")).faults() == []


def test_other_systems_have_no_installer() -> None:
    assert installer_for(order(family="plan")) is None
    assert isinstance(installer_for(order(family="ubuntu", version="24.04")), Apt)


def test_what_the_repositories_would_give_is_read_from_apt() -> None:
    said = (
        "I: x\nInst libc6 (2.36-9 Debian:12.15/oldstable [amd64]) []\nInst vim [2:8] (2:9.0-1 Debian [amd64])\nConf vim (2:9.0-1 Debian)\n"
    )
    assert SIMULATED.findall(said) == [("libc6", "2.36-9"), ("vim", "2:9.0-1")]


def test_a_script_that_failed_is_named_however_much_dpkg_does_after_it() -> None:
    later = "".join(f"Setting up later{number} (1) ...\n" for number in range(40))
    said = (
        "Setting up early (1) ...\nwords of another package\nSetting up broken (1) ...\nthe broken package says why\n"
        "dpkg: error processing package broken (--configure):\n"
        " installed broken package post-installation script subprocess returned error exit status 7\n"
        f"{later}Preparing to unpack .../stopped_1_amd64.deb ...\nthe stopped package says why\n"
        "dpkg: error processing archive /x/stopped_1_amd64.deb (--unpack):\n"
        " new stopped package pre-installation script subprocess was killed by signal (Killed)\n"
    )
    assert [(fault.where, fault.what) for fault in script_faults(said)] == [
        ("package broken", "its post-installation script returned error exit status 7; it said:\nthe broken package says why"),
        ("package stopped", "its pre-installation script was killed by signal (Killed); it said:\nthe stopped package says why"),
    ]
    program = ["sh", "-c", 'printf "%s" "$1" >&2; exit 25', "sh", said]
    with pytest.raises(SiteError) as caught:
        run_command(program, limit=60, mend="-", name="mmdebstrap", causes=script_faults)
    assert [fault.where for fault in caught.value.faults] == ["package broken", "package stopped", "mmdebstrap"]


def test_installed_packages_are_those_that_dpkg_has_configured(tmp_path: object) -> None:
    os.makedirs(f"{tmp_path}/var/lib/dpkg")
    with open(f"{tmp_path}/var/lib/dpkg/status", "w") as stream:
        stream.write("Package: vim\nStatus: install ok installed\nVersion: 2:9\nDescription: x\n Version: 3\n\n")
        stream.write("Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n")
    assert Apt(order("http://m/d")).installed(str(tmp_path)) == {"vim": "2:9"}


def test_what_a_list_asks_for_after_its_first_run_is_a_step_of_its_own() -> None:
    packages = PackageList((Pass(("vim",), (), {"A": "1"}), Pass(("it's",), (), {"B": "two words"})), ("nano",), ("perl",))
    others = PackageList((Pass(("tool",), ("ntp", "tool")),), (), ("tar",), (), ("",))
    apt = Apt(Order("debian", "12", "x86_64", ("http://m/d",), packages, others))
    assert "--include=vim,nano-" in apt.arguments()
    assert "--include=vim,it's,tool,nano-,ntp-" in apt.arguments(everything=True)
    assert [hook[len("--customize-hook=") :] for hook in apt.hooks(["deb [trusted=yes] copy:/w ./"], "/w/further")] == [
        """env --unset=A 'B=two words' sh /w/further "$1" install 'it'"'"'s' nano-""",
        """env --unset=A sh /w/further "$1" sources 'deb [trusted=yes] copy:/w ./'""",
        """env --unset=A sh /w/further "$1" purge ntp tool""",
        """env --unset=A sh /w/further "$1" install tool nano- ntp-""",
        """env --unset=A sh /w/further "$1" done""",
        """env --unset=A sh /w/further "$1" purge perl tar""",
    ]
    assert Apt(order("http://m/d")).hooks([], "/w/further") == []


def test_further_packages_without_an_index_are_trusted_by_name_only(tmp_path: object) -> None:
    others = PackageList((Pass(("tool",)),), directories=("",))
    found = Apt(order("http://m/d", others=others, other_sources=(Source(str(tmp_path)),))).faults()
    assert any("nothing signs the packages" in str(fault) for fault in found)
    trusted = Apt(order("http://m/d", others=others, other_sources=(Source(str(tmp_path), trusted=True), Source("deb http://m/o ./ "))))
    assert not any("signs" in str(fault) for fault in trusted.faults())
    assert any("no apt source" in str(fault) for fault in Apt(order("http://m/d", other_sources=(Source("http://m/o"),))).faults())


def test_groups_are_nothing_to_apt() -> None:
    plan = Order("debian", "12", "x86_64", ("http://m/d",), PackageList((Pass(("@core",)),)))
    assert any("apt knows no groups" in str(fault) for fault in Apt(plan).faults())
