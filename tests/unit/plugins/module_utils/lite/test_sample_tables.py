# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two sample tables of the statelite document (2.2, kept word for word in tables/) on a tree like today's distributions."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.apply.root import Root
from ansible_collections.diskless.statelite.plugins.module_utils.lite.layout import read_layout
from ansible_collections.diskless.statelite.plugins.module_utils.lite.liteimg import plan_image
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils import recorded
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.lite import images

MODERN = [
    *({"path": f"/{name}", "type": "l", "target": f"usr/{name}"} for name in ("bin", "lib", "lib64", "sbin")),
    *({"path": f"/usr/{name}", "type": "d", "mode": "0755"} for name in ("bin", "lib", "lib64", "sbin", "share")),
    *({"path": f"/{name}", "type": "d", "mode": "0755"} for name in ("boot", "dev", "home", "opt", "proc", "run", "srv", "sys")),
    *({"path": path, "type": "d", "mode": "1777"} for path in ("/tmp", "/var/tmp")),
    *({"path": f"/var/{name}", "type": "d", "mode": "0755"} for name in ("adm", "cache/man", "lib/dpkg", "lib/dhcp", "log/apt")),
    {"path": "/var/spool/cron", "type": "d", "mode": "0755"},
    {"path": "/root", "type": "d", "mode": "0700"},
    {"path": "/var/mail", "type": "d", "mode": "2775"},
    {"path": "/var/mail/root", "type": "f", "mode": "0660", "content": "mail\n"},
    {"path": "/var/spool/mail", "type": "l", "target": "../mail"},
    {"path": "/var/run", "type": "l", "target": "/run"},
    {"path": "/var/lock", "type": "l", "target": "/run/lock"},
    {"path": "/etc/mtab", "type": "l", "target": "/proc/self/mounts"},
    {"path": "/etc/os-release", "type": "l", "target": "../usr/lib/os-release"},
    {"path": "/usr/lib/os-release", "type": "f", "mode": "0644", "content": "ID=debian\n"},
    {"path": "/etc/localtime", "type": "l", "target": "/usr/share/zoneinfo/Etc/UTC"},
    {"path": "/etc/resolv.conf", "type": "f", "mode": "0644", "content": ""},
    {"path": "/etc/fstab", "type": "f", "mode": "0644", "content": "# none\n"},
    {"path": "/etc/ssh/sshd_config", "type": "f", "mode": "0644", "content": "Port 22\n"},
    {"path": "/etc/ssh/key", "type": "f", "mode": "0600", "content": "SECRET\n"},
    {"path": "/var/lib/dpkg/status", "type": "f", "mode": "0644", "content": "Package: x\n"},
    {"path": "/var/log/apt/history.log", "type": "f", "mode": "0644", "content": "h\n"},
]


def site_with(table: str) -> Site:
    """Return the tables of a site with a sample litefile table."""
    rows = recorded.rows((Path(__file__).parent / "tables" / f"{table}.csv").read_text(encoding="utf-8"))
    image = {"imagename": "img1", "osvers": "debian12", "osarch": "x86_64", "profile": "compute", "provmethod": "statelite"}
    return Site({"osimage": [image], "litefile": rows})


@pytest.mark.parametrize(("table", "count"), [("redhat", 42), ("sles11", 24)])
def test_a_sample_table_is_laid_out_without_error_and_given_back(tmp_path, table, count):
    root = images.build(tmp_path / "image" / "rootimg", MODERN)
    here = sorted(os.listdir("/run"))
    before = images.snapshot(root)
    site = site_with(table)
    plan = plan_image(site, "img1", rootimgdir=str(tmp_path / "image"))
    told = plan.result()
    plan.apply()
    assert plan.result() == told
    layout = read_layout(str(root))
    assert len(layout.entries) + len(layout.satisfied) == count
    assert layout.satisfied == {"/etc/mtab": "/proc/self/mounts", "/var/lock": "/run/lock", "/var/run": "/run"}
    assert {entry.options for entry in layout.entries} == {"link,tmpfs"}
    with Root(str(root)) as opened:
        for entry in layout.entries:
            assert opened.resolve(entry.path) == f"/.default{entry.path}"
            assert opened.readlink(entry.path).endswith(f"/.statelite/tmpfs{entry.path}")
            assert opened.lstat(f"/.default{entry.path}") is not None
        assert opened.read(opened.resolve("/etc/ssh/key")) == b"SECRET\n"
        assert opened.readlink("/etc/mtab") == "/proc/self/mounts"
        assert opened.resolve("/var/run/x") == "/run/x"
    assert plan_image(site, "img1", rootimgdir=str(tmp_path / "image")).lines() == []
    plan_image(site, "img1", False, rootimgdir=str(tmp_path / "image")).apply()
    assert images.snapshot(root) == before
    assert sorted(os.listdir("/run")) == here


def test_relative_links_out_of_a_linked_directory_go_on_leading_where_they_led(tmp_path):
    """/var/spool/mail -> ../mail of Debian, and /etc/os-release -> ../usr/lib/os-release."""
    root = images.build(tmp_path / "image" / "rootimg", MODERN)
    images.apply(root, {"/var/spool/": "", "/etc/": ""})
    with Root(str(root)) as opened:
        assert opened.read(opened.resolve("/var/spool/mail/root")) == b"mail\n"
        assert opened.read(opened.resolve("/etc/os-release")) == b"ID=debian\n"
        assert opened.readlink("/.statelite/tmpfs/var/mail") == "../../../var/mail"
        assert opened.readlink("/.default/usr") == "../usr"
    assert read_layout(str(root)).bridges == ("/usr", "/var/mail")
