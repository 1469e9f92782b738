# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel's server exports is compared by the directories that paths lead to, and by every option that we set."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.serve.exporttable import Export
from ansible_collections.diskless.statelite.plugins.module_utils.serve.kernelexports import differences, effective, in_the_way, parse

from .test_exports import Host

INSTALL = Export("/install", ("*",), ("ro", "no_root_squash", "sync"), "images")


def linked(path: str) -> str:
    return "/data" + path if path == "/install" or path.startswith("/install/") else path


@pytest.mark.parametrize("line", ["/data *(rw)", "/data/install *(ro)", "/data/install/custom *(rw)"])
def test_a_line_for_what_the_install_directory_leads_to_is_in_the_way(line: str) -> None:
    assert in_the_way(parse("/etc/exports", line), [INSTALL], linked)
    assert not in_the_way(parse("/etc/exports", line), [INSTALL])


def test_a_foreign_line_for_the_disk_behind_a_link_is_refused(tmp_path: Path) -> None:
    host = Host(tmp_path)
    (tmp_path / "install").rmdir()
    (tmp_path / "disk" / "install").mkdir(parents=True)
    (tmp_path / "install").symlink_to("disk/install")
    host.plan()
    (tmp_path / "exports").write_text(f"{tmp_path}/disk *(rw)\n")
    with pytest.raises(SiteError, match=f"{tmp_path}/exports line 1: exports {tmp_path}/disk read-write, over {tmp_path}/install"):
        host.plan()


def found(options: str, path: str = "/data/install") -> list[str]:
    return differences(effective(parse("etab", f"{path} *({options})\n"), linked), [INSTALL], linked)


def test_the_servers_own_form_of_our_line_is_no_difference() -> None:
    assert found("ro,sync,wdelay,hide,nocrossmnt,secure,no_root_squash,no_all_squash,no_subtree_check,sec=sys,anonuid=65534") == []
    assert found("no_root_squash", "/install") == []


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("ro,root_squash,async", "root_squash, async"),
        ("ro", "root_squash"),
        ("rw,no_root_squash", "rw"),
        ("ro,no_root_squash,root_squash", "root_squash"),
    ],
)
def test_an_option_of_ours_that_is_otherwise_in_effect_is_told(options: str, told: str) -> None:
    assert found(options) == [f"/install is exported to * {told}"]


def test_values_are_compared_and_words_without_an_opposite_are_not() -> None:
    export = Export("/e", ("*",), ("ro", "anonuid=5", "pnfs", "fsid=7"), "x")
    assert differences(effective(parse("etab", "/e *(ro,anonuid=6)")), [export]) == ["/e is exported to * anonuid=6"]
    assert differences(effective(parse("etab", "/e *(ro,anonuid=5)")), [export]) == []
