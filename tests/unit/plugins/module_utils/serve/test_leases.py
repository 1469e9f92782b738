# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Leases that stand in a node's way go, while dnsmasq is stopped, and no other one does."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.serve import leases

from .test_dnsmasq import planned

OWN = "0 52:54:00:77:00:11 10.77.0.11 n1 *\n"
OLD_CARD = "0 52:54:00:77:00:99 10.77.0.12 n2 ff:00:01\n"
OTHERS = "1795311000 02:00:00:00:00:07 10.88.0.7 printer *\n"
SIX = "duid 00:01:00:01\n0 1 10.77.0.12 n9 00:01\n"


def written(root: Path, text: str = OWN + OLD_CARD + OTHERS + SIX) -> Path:
    path = root / "leases"
    path.write_text(text)
    path.chmod(0o640)
    return path


def test_a_lease_of_a_nodes_address_to_another_card_goes_and_nothing_else(tmp_path: Path) -> None:
    path = written(tmp_path)
    planned(tmp_path).apply()
    assert planned(tmp_path, lease_file=str(path)).lines() == [f"- {path}: {OLD_CARD.strip()}"]
    planned(tmp_path, lease_file=str(path)).apply()
    assert path.read_text() == OWN + OTHERS + SIX
    assert path.stat().st_mode & 0o777 == 0o640
    assert planned(tmp_path, lease_file=str(path)).lines() == []


def test_the_lease_of_a_removed_node_goes(tmp_path: Path) -> None:
    path = written(tmp_path, OWN + OTHERS)
    planned(tmp_path).apply()
    decided = planned(tmp_path, {"nodelist": [{"node": "n2"}]}, lease_file=str(path))
    assert f"- {path}: {OWN.strip()}" in decided.lines()
    decided.apply()
    assert path.read_text() == OTHERS


def test_the_lease_file_that_others_name_is_the_one(tmp_path: Path) -> None:
    (tmp_path / "dnsmasq.conf").write_text(f"dhcp-leasefile={written(tmp_path)}\n")
    assert planned(tmp_path).lines()[-1] == f"- {tmp_path}/leases: {OLD_CARD.strip()}"
    assert planned(tmp_path, dhcp=False).stale == []


def test_a_running_daemon_is_stopped_first_and_keeps_what_it_wrote_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, told = written(tmp_path, OLD_CARD), []
    late = "0 52:54:00:77:00:1b 10.77.0.111 n1-b *\n"

    def stop() -> None:
        told.append("stop")
        path.write_text(OLD_CARD + late)

    def start() -> None:
        told.append("start")
        assert path.read_text() == late

    monkeypatch.setattr(leases, "is_running", lambda: True)
    monkeypatch.setattr(leases, "stop", stop)
    monkeypatch.setattr(leases, "start", start)
    decided = planned(tmp_path, lease_file=str(path))
    assert decided.result()["restarted"]
    decided.apply()
    assert told == ["stop", "start"]
    decided = planned(tmp_path, {"nodelist": [{"node": "n2"}]}, lease_file=str(written(tmp_path, OTHERS)))
    assert not decided.result()["restarted"]
    decided.apply()
    assert told == ["stop", "start"]


def test_the_daemon_is_started_again_when_a_file_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    def fail(_path: str, _gone: object) -> None:
        raise SiteError.of("leases", "no room", "Make room")

    monkeypatch.setattr(leases, "is_running", lambda: True)
    monkeypatch.setattr(leases, "stop", lambda: told.append("stop"))
    monkeypatch.setattr(leases, "start", lambda: told.append("start"))
    monkeypatch.setattr(leases, "drop", fail)
    with pytest.raises(SiteError, match="no room"):
        planned(tmp_path, lease_file=str(written(tmp_path))).apply()
    assert told == ["stop", "start"]
