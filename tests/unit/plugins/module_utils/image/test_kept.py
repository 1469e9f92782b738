# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a build may start from the packages of the last one, and when the last initramfs is what dracut would make again."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.apply.root import Root
from ansible_collections.diskless.statelite.plugins.module_utils.image.changes import Changes
from ansible_collections.diskless.statelite.plugins.module_utils.image.installers.apt import Apt
from ansible_collections.diskless.statelite.plugins.module_utils.image.installers.order import Order
from ansible_collections.diskless.statelite.plugins.module_utils.image.kept import (
    drop_kept,
    invalidate,
    kept_directory,
    kept_root,
    read_kept,
    record_kept,
    renew,
    why_from_nothing,
)
from ansible_collections.diskless.statelite.plugins.module_utils.image.pkglist import PackageList, Pass
from ansible_collections.diskless.statelite.plugins.module_utils.image.reuse import changed_inputs, normal, touched, words_of_dracut

INPUTS: dict[str, Any] = {
    "definition": {"osvers": "debian12", "osarch": "x86_64", "profile": "compute", "provmethod": "statelite"},
    "environment": {},
    "files": {"dracut module /agent.sh": "1"},
    "initramfs": [],
    "installer": {"tool": "mmdebstrap", "sources": ["deb http://mirror bookworm main"]},
    "pkglist": {"install": ["vim"], "exclude": []},
    "postinstall": [],
    "root password": "",
}


def with_change(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(INPUTS), **changes}


def changed(*paths: str, accounts: tuple[str, ...] = ()) -> Changes:
    return Changes(frozenset(paths), frozenset(accounts))


@pytest.fixture
def image(tmp_path: Path) -> str:
    (Path(kept_directory(str(tmp_path))) / "rootimg").mkdir(parents=True)
    record_kept(str(tmp_path), INPUTS, 3)
    return str(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"pkglist": {"install": ["nano", "vim"], "exclude": []}},
        {"pkglist": {"install": [], "exclude": ["vim"]}},
        {"files": {"dracut module /agent.sh": "2"}},
        {"root password": "1"},
        {"postinstall": [["/script"]]},
        {"definition": {**INPUTS["definition"], "provmethod": "netboot"}},
    ],
)
def test_packages_that_come_and_go_are_brought_up_and_so_is_what_comes_after_them(image: str, changes: dict[str, Any]) -> None:
    assert why_from_nothing(image, with_change(**changes)) == ""


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"definition": {**INPUTS["definition"], "osvers": "debian13"}}, "definition changed"),
        ({"definition": {**INPUTS["definition"], "kernelver": "6.1"}}, "definition changed"),
        ({"environment": {"SITE": "1"}}, "environment changed"),
        ({"installer": {"tool": "mmdebstrap", "sources": []}}, "sources changed"),
        ({"otherpkglist": {"install": ["tool"]}}, "otherpkglist"),
        ({"pkglist": {"install": ["vim"], "exclude": [], "runs": [[]]}}, "several runs"),
        ({"pkglist": {"install": ["vim"], "exclude": [], "remove": ["nano"]}}, "several runs or removes"),
    ],
)
def test_anything_else_is_built_from_nothing_and_says_why(image: str, changes: dict[str, Any], says: str) -> None:
    assert says in why_from_nothing(image, with_change(**changes))


def test_a_list_that_had_runs_before_is_no_start(image: str) -> None:
    record_kept(image, with_change(otherpkglist={"install": ["tool"]}), 3)
    assert "otherpkglist" in why_from_nothing(image, INPUTS)


def test_a_tree_that_a_run_was_changing_is_no_start(image: str) -> None:
    invalidate(image)
    assert "no tree of packages" in why_from_nothing(image, INPUTS)
    record_kept(image, INPUTS, 4)
    assert read_kept(image)["generation"] == 4
    Path(kept_directory(image), "record.json").write_text("{")
    assert "no tree of packages" in why_from_nothing(image, INPUTS)


def test_a_kept_tree_goes_whole(image: str) -> None:
    drop_kept(image)
    assert os.listdir(image) == []


def test_paths_are_compared_as_merged_directories_have_them() -> None:
    assert [normal(path) for path in ("/bin/sh", "./usr/bin/sh", "lib64/ld.so", "/etc/hosts", "/library/x")] == [
        "usr/bin/sh",
        "usr/bin/sh",
        "usr/lib64/ld.so",
        "etc/hosts",
        "library/x",
    ]


@pytest.mark.parametrize(
    "path",
    [
        "/bin/ip",
        "/usr/lib/dracut/modules.d/45new/module-setup.sh",
        "/lib/modules/6.1/extra/card.ko",
        "/lib/firmware/card.bin",
        "/etc/modprobe.d/card.conf",
        "/lib/udev/rules.d/60-card.rules",
        "/usr/sbin/arping",
        "/usr/lib/x86_64-linux-gnu/libnss_site.so.2",
    ],
)
def test_what_dracut_takes_in_or_decides_by_makes_another_initramfs(path: str) -> None:
    assert touched(changed(path), {"usr/bin/ip"}, "inst_multiple -o arping curl\n") == normal(path)


def test_what_dracut_does_not_look_at_leaves_the_initramfs() -> None:
    paths = ["/lib", "/usr/bin/less", "/usr/share/doc/less/copyright", "/etc/lessrc", "/usr/lib/x86_64-linux-gnu/libedit.so.2"]
    assert touched(changed(*paths), {"lib", "usr/bin/ip"}, "inst_multiple -o arping curl\n") == ""


@pytest.mark.parametrize("path", ["usr/lib/systemd/system/x.service", "usr/lib/sysctl.d/50-x.conf", "usr/share/dbus-1/system.d/x.conf"])
def test_units_and_their_settings_count_where_the_initramfs_has_systemd(path: str) -> None:
    assert touched(changed(f"/{path}"), {"usr/bin/ip"}, "") == ""
    assert touched(changed(f"/{path}"), {"usr/lib/systemd/systemd"}, "") == path


@pytest.mark.parametrize(
    "path",
    [
        "/usr/local/lib/libz.so.1",
        "/usr/lib/x86_64-linux-gnu/libcard_one.so.2",
        "/etc/idmapd.conf",
        "/usr/sbin/ip",
    ],
)
def test_what_a_module_names_or_has_the_name_of_what_is_in_makes_another_initramfs(path: str) -> None:
    words = 'inst_libdir_file "libcard_*.so*" "lib*"\ninst_simple /etc/idmapd.conf\n'
    inside = {"usr/lib/x86_64-linux-gnu/libz.so.1", "usr/bin/ip"}
    assert touched(changed(path), inside, words) == path[1:]
    assert touched(changed("/usr/lib/libcards.so.2", "/usr/share/doc/x/idmapd.conf", "/usr/share/ip"), inside, words) == ""


def test_the_cache_of_the_dynamic_linker_is_made_by_dracut_itself() -> None:
    assert touched(changed("/etc/ld.so.cache"), {"etc/ld.so.cache"}, "") == ""
    assert touched(changed("/etc/ld.so.conf.d/site.conf"), {"etc/ld.so.cache"}, "") == "etc/ld.so.conf.d/site.conf"


def test_an_account_counts_when_a_module_names_it_and_any_where_systemd_is() -> None:
    words = "grep -E '^(rpc|rpcuser):' /etc/passwd"
    assert touched(changed(accounts=("sshd",)), {"etc/passwd"}, words) == ""
    assert touched(changed(accounts=("rpc", "sshd")), {"etc/passwd"}, words) == "the account rpc"
    assert touched(changed(accounts=("sshd",)), {"usr/lib/systemd/systemd"}, words) == "the account sshd"


def test_only_packages_may_differ_for_an_initramfs_to_stay() -> None:
    assert changed_inputs(INPUTS, with_change(pkglist={"install": []})) == ""
    assert changed_inputs(INPUTS, with_change(files={}, postinstall=[["/script"]])) == "files, postinstall"
    assert changed_inputs(INPUTS, with_change(otherpkglist={})) == ""


def test_programs_of_a_module_that_nobody_asks_for_count_for_nothing(tmp_path: Path) -> None:
    for name, program in (("95debug", "rsync"), ("99base", "less")):
        place = tmp_path / "usr/lib/dracut/modules.d" / name
        place.mkdir(parents=True)
        (place / "module-setup.sh").write_text(f"inst_multiple -o {program}\n")
    with Root(str(tmp_path)) as root:
        words = words_of_dracut(root)
    assert touched(changed("/usr/bin/rsync"), set(), words) == ""
    assert touched(changed("/usr/bin/less"), set(), words) == "usr/bin/less"


def test_a_package_that_nobody_asks_for_by_name_any_more_came_because_others_need_it(image: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stanza = "Package: {}\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n\n"
    for name, text in (("dpkg/status", stanza.format("tool") + stanza.format("libtool")), ("apt/extended_states", "")):
        path = Path(kept_root(image), "var/lib", name)
        path.parent.mkdir(parents=True)
        path.write_text(text)
    order = Order(family="debian", version="12", osarch="x86_64", pkgdir=[], packages=PackageList((Pass(install=("tool",)),)))
    monkeypatch.setattr(Apt, "candidates", lambda self: self.installed(kept_root(image)))
    definition: Any = SimpleNamespace(image=SimpleNamespace(rootimgdir=image), installer=Apt(order))
    assert renew(definition, ["tool"]) == ([], Changes())
    _warnings, found = renew(definition, ["tool", "libtool"])
    assert found.paths == {"/var/lib/apt/extended_states"}
    assert path.read_text() == "Package: libtool\nArchitecture: amd64\nAuto-Installed: 1\n\n"
