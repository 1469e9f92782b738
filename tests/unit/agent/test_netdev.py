# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which interface the initramfs sets up: the one that the tables name, whichever the boot loader used."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from .node import AGENT
from .test_words import CMDLINE


@pytest.mark.parametrize(
    ("words", "written"),
    [
        ("netdev=eth1 BOOTIF=01-52-54", "ip=eth1:dhcp bootdev=eth1 rd.bootif=0"),
        ("netdev=eth1 ip=eth1:dhcp6 BOOTIF=01-52-54", "bootdev=eth1 rd.bootif=0"),
        ("netdev=eth1 ip=dhcp", "ip=eth1:dhcp bootdev=eth1 rd.bootif=0"),
        ("ip=dhcp", ""),
    ],
)
def test_the_root_comes_by_the_interface_that_the_tables_name(tmp_path: Path, words: str, written: str) -> None:
    script = tmp_path / "hook.sh"
    hook = (AGENT / "statelite-cmdline.sh").read_text()
    script.write_text(CMDLINE.replace('"$AGENT/statelite-cmdline.sh"', str(tmp_path / "cmdline.sh")))
    (tmp_path / "cmdline.sh").write_text(hook.replace("/etc/cmdline.d", str(tmp_path)))
    environment = {"PATH": "/usr/bin:/bin", "WORDS": words}
    subprocess.run(["sh", str(script)], env=environment, check=True, timeout=120)
    made = tmp_path / "96statelite.conf"
    assert (made.read_text().strip() if made.exists() else "") == written
