# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What dnf is told, what is read from its answers, and what is refused before it runs (real runs: integration target genimage)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.image.installers.dnf import OFFERED, Dnf
from ansible_collections.diskless.statelite.plugins.module_utils.image.installers.order import Order
from ansible_collections.diskless.statelite.plugins.module_utils.image.installers.registry import installer_for
from ansible_collections.diskless.statelite.plugins.module_utils.image.installers.repositories import (
    found_below,
    linked,
    other_faults,
    parse_pkgdir,
    repositories,
)
from ansible_collections.diskless.statelite.plugins.module_utils.image.installers.rpmdb import packages_of, place_for
from ansible_collections.diskless.statelite.plugins.module_utils.image.installers.rpmtool import (
    WORK,
    RpmTool,
    failed_scripts,
    settle_scripts,
)
from ansible_collections.diskless.statelite.plugins.module_utils.image.pkglist import PackageList, Pass
from ansible_collections.diskless.statelite.plugins.module_utils.image.sources import Source, parse_repolist, parse_source

TRUSTED = "[trusted=yes] http://mirror/os"


def order(*pkgdir: str, family: str = "rhels", version: str = "9.4", install: tuple[str, ...] = ("vim",), **more: object) -> Order:
    return Order(family, version, os.uname().machine, pkgdir or (TRUSTED,), PackageList((Pass(install),)), **more)


def texts(faults: list[object]) -> str:
    return "\n".join(str(fault) for fault in faults)


@pytest.mark.parametrize("family", ["rhels", "rocky", "alma", "ol", "centos", "fedora"])
def test_every_clone_is_installed_by_dnf(family: str) -> None:
    assert isinstance(installer_for(order(family=family, version="40")), Dnf)


def test_nothing_of_this_machine_counts() -> None:
    words = Dnf(order())._command("/root", "/work", "install", "vim")
    assert {"--noplugins", "--config=/work/dnf.conf", "--installroot=/root", "--releasever=9"} <= set(words)
    settings = dict(word[len("--setopt=") :].split("=", 1) for word in words if word.startswith("--setopt="))
    assert settings["reposdir"] == "/work/repos"
    assert settings["cachedir"] == f"{WORK}/cache"
    assert settings["logdir"] == f"{WORK}/log"
    assert settings["module_platform_id"] == "platform:el9"
    assert settings["strict"] == settings["best"] == "1"
    assert not any("skip-broken" in word or "nobest" in word or "nogpgcheck" in word for word in words)


def test_another_architecture_is_forced() -> None:
    foreign = "aarch64" if os.uname().machine != "aarch64" else "x86_64"
    plan = Order("rhels", "9", foreign, (TRUSTED,), PackageList((Pass(("vim",)),)))
    assert f"--forcearch={foreign}" in Dnf(plan)._command("/root", "/work")


def test_versions_and_kernels_are_asked_for_by_name() -> None:
    dnf = Dnf(order(kernelver="5.14.0-427.el9.x86_64"))
    assert dnf.packages(["vim=2:9.0-1", "@core", "kernel", "kernel-devel", "kernel-srpm-macros"]) == [
        "vim-2:9.0-1",
        "@core",
        "kernel-5.14.0-427.el9.x86_64",
        "kernel-devel-5.14.0-427.el9.x86_64",
        "kernel-srpm-macros",
    ]
    assert dnf.pinned() == ["kernel"]
    assert Dnf(order(install=("kernel-core",), krpmver="5.14.0-1", kernelver="5.14.0-1.x")).packages(["kernel-core"]) == [
        "kernel-core-5.14.0-1"
    ]
    assert Dnf(order(install=("kernel-core",), krpmver="5")).pinned() == []


def test_old_and_unnumbered_releases_are_refused() -> None:
    assert "no release that dnf can install" in texts(Dnf(order(version="7.9")).faults())
    assert "no release that dnf can install" in texts(Dnf(order(version="")).faults())


@pytest.mark.parametrize(("family", "version"), [("rocky", "9.6"), ("rhels", "10.0"), ("centos-stream", "10"), ("fedora", "40")])
def test_newer_releases_are_taken(family: str, version: str) -> None:
    assert "release" not in texts(Dnf(order(family=family, version=version)).faults())


def test_a_source_says_whose_signatures_it_needs(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("key")
    assert "names no key" in texts(parse_pkgdir(["http://mirror/os"], "here")[1])
    assert parse_pkgdir([f"[signed-by={key}] http://mirror/os"], "here")[1] == []
    assert "does not exist" in texts(parse_pkgdir([f"[signed-by={key}x] http://mirror/os"], "here")[1])
    assert "no option of a source" in texts(parse_source("[gpgcheck=0] http://mirror/os", "here")[1])
    checked, trusted = parse_source(f"[signed-by={key}] http://m/o", "here")[0], parse_source(TRUSTED, "here")[0]
    assert f"gpgkey=file://{key}" in repositories([checked])[0].text()
    assert "\ngpgcheck=1\n" in repositories([checked])[0].text()
    assert "\ngpgcheck=0\n" in repositories([trusted])[0].text()


def test_the_repositories_of_a_medium_are_found_below_its_directory(tmp_path: Path) -> None:
    assert "holds no repository" in texts(parse_pkgdir([f"[trusted=yes] {tmp_path}"], "here")[1])
    for name in ("BaseOS/repodata", "AppStream/repodata", "BaseOS/Packages/repodata"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "repomd.xml").write_text("")
    assert found_below(str(tmp_path)) == [f"{tmp_path}/AppStream", f"{tmp_path}/BaseOS"]
    made = repositories(parse_pkgdir([f"[trusted=yes] file://{tmp_path}", TRUSTED], "here")[0])
    assert [(repository.name, repository.url) for repository in made] == [
        ("pkgdir-1", f"file://{tmp_path}/AppStream"),
        ("pkgdir-2", f"file://{tmp_path}/BaseOS"),
        ("pkgdir-3", "http://mirror/os"),
    ]


def test_blanks_in_paths_do_not_end_a_url(tmp_path: Path) -> None:
    (tmp_path / "a b/repodata").mkdir(parents=True)
    (tmp_path / "a b/repodata/repomd.xml").write_text("")
    (tmp_path / "my key").write_text("")
    text = repositories([Source(f"{tmp_path}/a b", keys=(f"{tmp_path}/my key",))])[0].text()
    assert f"baseurl=file://{tmp_path}/a%20b\n" in text
    assert f"gpgkey=file://{tmp_path}/my%20key\n" in text


def test_what_a_later_run_removes_is_not_asked_for_when_all_is_solved_at_once() -> None:
    packages = PackageList((Pass(("ntp=4", "vim")),), ("nano",))
    others = PackageList((Pass(("chrony",), ("ntp", "vim")), Pass(("vim=2",))))
    found = Order("rhels", "9", "x86_64", (TRUSTED,), packages, others)
    assert found.at_once == (["vim", "chrony", "vim=2"], ["nano", "ntp"])


def test_metadata_are_made_beside_links_and_never_beside_the_packages(tmp_path: Path) -> None:
    (tmp_path / "given/deep").mkdir(parents=True)
    for name in ("one.rpm", "deep/two.rpm", "deep/two.src.rpm", "notes"):
        (tmp_path / "given" / name).write_text("")
    linked(str(tmp_path / "given"), str(tmp_path / "made"), ".rpm")
    found = {str(path.relative_to(tmp_path / "made")) for path in (tmp_path / "made").rglob("*") if path.is_symlink()}
    assert found == {"one.rpm", "deep/two.rpm"}


def test_directories_that_lists_name_must_be_there(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    source = Source(str(tmp_path), trusted=True)
    assert other_faults([source], ["tools", ""], "here") == []
    assert "there is no deep" in texts(other_faults([source], ["deep"], "here"))


def test_a_repolist_names_repositories_by_type(tmp_path: Path) -> None:
    lines = f"# ours\nplaindir|[trusted=yes] file://{tmp_path}|others\n\nrpm-md|[trusted=yes] http://m/dep|dep\n"
    sources, faults = parse_repolist("/l", {"/l": lines}.get)
    assert faults == []
    assert sources == [Source(str(tmp_path), trusted=True, made=True), Source("http://m/dep", trusted=True)]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("yast2|http://m/x|x", "no type of a repository"),
        ("http://m/x", "no line of a repolist"),
        ("plaindir|http://m/x|x", "must be a directory"),
        ("rpm-md|/nowhere|x", "does not exist"),
    ],
)
def test_a_wrong_line_of_a_repolist_is_named(line: str, what: str) -> None:
    assert what in texts(parse_repolist("/l", {"/l": line}.get)[1])


SAID = """Running transaction
  Installing       : tiny-base-1-1.x86_64                                   1/3
  Running scriptlet: broken-1-1.x86_64                                      2/3
the broken package says why
warning: %post(broken-1-1.x86_64) scriptlet failed, exit status 7

Error in POSTIN scriptlet in rpm package broken
  Installing       : vim-1-1.x86_64                                         3/3
warning: %triggerin(other-2-1.noarch) scriptlet failed, signal 9
"""


def test_scripts_that_failed_are_found_in_what_dnf_says_with_their_own_words() -> None:
    assert failed_scripts(SAID) == [
        ("broken-1-1.x86_64", "its %post script failed, exit status 7; it said:\nthe broken package says why"),
        ("other-2-1.noarch", "its %triggerin script failed, signal 9"),
    ]


def test_a_script_in_lua_that_fails_is_found_too() -> None:
    said = """\
  Installing       : speaker-1-1.x86_64                                     3/9
error: lua script failed: [string "%post(speaker-1-1.x86_64)"]:1: the speaker says why

Error in POSTIN scriptlet in rpm package speaker
error: invalid syntax in lua script: [string "%pretrans(mute-1-1.noarch)"]:2: '=' expected near 'x'
"""
    assert failed_scripts(said) == [
        ("speaker-1-1.x86_64", 'its %post script failed, lua script failed: [string "%post(speaker-1-1.x86_64)"]:1: the speaker says why'),
        (
            "mute-1-1.noarch",
            """its %pretrans script failed, invalid syntax in lua script: [string "%pretrans(mute-1-1.noarch)"]:2: \
'=' expected near 'x'""",
        ),
    ]


def test_a_failed_script_fails_the_build_unless_the_image_lets_it_pass() -> None:
    failures = [f"package {name}: {what}" for name, what in failed_scripts(SAID)]
    assert settle_scripts(failures, warn=True) == failures
    with pytest.raises(SiteError) as raised:
        settle_scripts(failures, warn=False)
    assert [fault.where for fault in raised.value.faults] == ["package broken-1-1.x86_64", "package other-2-1.noarch"]
    assert settle_scripts([], warn=False) == []


def test_the_database_lies_where_the_release_has_it() -> None:
    assert place_for("rhels", "8.10") == place_for("rocky", "9.4") == "/var/lib/rpm"
    assert place_for("rocky", "10.1") == place_for("fedora", "40") == place_for("sles", "15.5") == "/usr/lib/sysimage/rpm"
    assert place_for("opensuse-tumbleweed", "") == "/usr/lib/sysimage/rpm"


def test_rpm_leaves_what_is_mounted_alone() -> None:
    assert RpmTool("/var/lib/rpm").macros == "%_dbpath /var/lib/rpm\n%_netsharedpath /proc:/sys:/dev\n"


def test_packages_are_read_with_versions_and_without_keys() -> None:
    text = "kernel\t5.14-1\nkernel\t5.14-2\nvim\t0:9-1\nbind\t32:9-1\ngpg-pubkey\t1-1\n"
    assert packages_of(text) == {"kernel": "5.14-1, 5.14-2", "vim": "9-1", "bind": "32:9-1"}


def test_what_the_repositories_would_give_is_read_from_the_table() -> None:
    table = """ Package                  Architecture     Version            Repository   Size
 vim                      x86_64           2:9.0-1            pkgdir-1    5.9 k
 a-package-with-a-very-long-name
                          noarch           1-1.el9            others-12   812
 kernel-core              x86_64           5.14.0-1           pkgdir-2     18 M
Installing Groups:
 Core
"""
    assert OFFERED.findall(table) == [("vim", "2:9.0-1"), ("a-package-with-a-very-long-name", "1-1.el9"), ("kernel-core", "5.14.0-1")]
