# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of other people's dnsmasq files that are about our nodes are found however they are spelled, or we say where we did not look."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.serve.dnsmasq import unread

from .test_dnsmasq import planned


@pytest.mark.parametrize("word", ["52:54:0:77:0:11", "52-54-00-77-00-11", "01-52:54:00:77:00:11", "1-52:54:0:77:0:11", "52:54:0:77:*:11"])
def test_every_spelling_of_a_hardware_address_is_recognised(tmp_path: Path, word: str) -> None:
    (tmp_path / "dnsmasq.conf").write_text(f"dhcp-host={word},10.77.0.99\n")
    with pytest.raises(SiteError, match=r"dnsmasq.conf line 1: has a dhcp-host of its own with 52:54:00:77:(00|\*):11, which is n1's"):
        planned(tmp_path)


@pytest.mark.parametrize("word", ["52:54:0:77:0:21", "52:54:0:78:*:*", "set:x", "*"])
def test_another_machines_line_is_left_alone(tmp_path: Path, word: str) -> None:
    (tmp_path / "dnsmasq.conf").write_text(f"dhcp-host={word},10.77.0.99\n")
    planned(tmp_path)


def test_files_that_are_not_looked_through_are_told(tmp_path: Path) -> None:
    own = tmp_path / "dnsmasq.d/statelite.conf"
    main = tmp_path / "dnsmasq.conf"
    main.write_text(f"conf-dir={own.parent},*.conf\nconf-dir=/other\n# conf-file=/x\ndhcp-hostsfile=/hosts\nread-ethers\ndomain=lab\n")
    assert [sentence.split(" is not followed")[0] for sentence in unread([str(main)], str(own))] == [
        f"{main} line 2: 'conf-dir=/other'",
        f"{main} line 4: 'dhcp-hostsfile=/hosts'",
        f"{main} line 5: 'read-ethers'",
    ]
