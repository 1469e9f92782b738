# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One CA follows another: whoever has the bundle of a step trusts the service in that step and in the next one."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.serve import certificate
from ansible_collections.diskless.statelite.plugins.module_utils.serve.rotation import CERTIFICATE

from .test_certificate import Plan, plan

__all__ = ["plan"]


def trusts(bundle: str, directory: Path, work: Path) -> bool:
    """Tell whether a node whose image has `bundle` accepts the service's certificate, as the agent verifies it."""
    (work / "image.pem").write_text(bundle)
    command = ["openssl", "verify", "-verify_ip", "10.1.0.1", "-CAfile", str(work / "image.pem"), str(directory / "server.pem")]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def take(plan: Plan, step: str) -> str:
    """Do a step; return what an image that is built now gets."""
    planned = plan(rotation=step)
    lines = planned.lines()
    planned.apply()
    assert lines, step
    again = plan(rotation=step)
    assert again.lines() == [], "a step is done once"
    assert again.result() == planned.result()
    return (Path(planned.wanted.directory) / "ca.pem").read_text()


def test_no_node_is_ever_without_a_ca_that_it_trusts(plan: Plan, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    work = tmp_path_factory.mktemp("work")
    plan().apply()
    first = (tmp_path / "ca.pem").read_text()
    server = (tmp_path / "server.pem").read_bytes()
    both = take(plan, "add")
    assert both.startswith(first) and len(CERTIFICATE.findall(both)) == 2
    assert (tmp_path / "server.pem").read_bytes() == server, "nothing is issued from the new one before it is known"
    assert plan().lines() == [], "the site stays between two steps as long as it likes"
    switched = take(plan, "switch")
    assert set(CERTIFICATE.findall(switched)) == set(CERTIFICATE.findall(both))
    assert [trusts(bundle, tmp_path, work) for bundle in (first, both, switched)] == [False, True, True]
    second = take(plan, "drop")
    assert len(CERTIFICATE.findall(second)) == 1
    assert [trusts(bundle, tmp_path, work) for bundle in (both, switched, second)] == [True, True, True]
    assert plan(addresses=["10.1.0.1"]).lines() != []
    plan(addresses=["10.1.0.1"], names=[]).apply()
    assert trusts(second, tmp_path, work), "the new CA issues from now on"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ca.key", "ca.pem", "server.key", "server.pem"]


def test_looking_at_a_step_writes_nothing(plan: Plan, tmp_path: Path) -> None:
    plan().apply()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert plan(rotation="add").lines() == [f"make {tmp_path}/ca-next.pem: the CA that will follow", f"add it to {tmp_path}/ca.pem"]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_step_that_cannot_follow_is_refused(plan: Plan) -> None:
    plan().apply()
    with pytest.raises(SiteError, match="no CA to switch to"):
        plan(rotation="switch")
    assert plan(rotation="drop").lines() == []
    take(plan, "add")
    with pytest.raises(SiteError, match="does not issue yet"):
        plan(rotation="drop")
    take(plan, "switch")
    with pytest.raises(SiteError, match="the last rotation has not ended"):
        plan(rotation="add")


def test_the_next_ca_is_made_known_again_when_it_was_taken_out(plan: Plan, tmp_path: Path) -> None:
    plan().apply()
    first = (tmp_path / "ca.pem").read_text()
    take(plan, "add")
    (tmp_path / "ca.pem").write_text(first)
    with pytest.raises(SiteError, match="the CA that follows is not in"):
        plan(rotation="switch")
    assert len(take(plan, "add")) > len(first)


@pytest.mark.parametrize(("asked", "count"), [("keep", 0), ("keep", 1), ("switch", 2), ("keep", 3), ("switch", 4)])
def test_a_switch_that_was_cut_off_is_finished(
    plan: Plan, asked: str, count: int, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan().apply()
    bundle = take(plan, "add")
    planned = plan(rotation="switch")
    left = [count]
    real = certificate.write_file

    def cut(*arguments: object) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        real(*arguments)

    monkeypatch.setattr(certificate, "write_file", cut)
    try:
        planned.apply()
    except KeyboardInterrupt:
        assert count < 4
    else:
        assert count == 4
    monkeypatch.undo()
    plan(rotation=asked).apply()
    plan(rotation="switch").apply()
    assert plan().lines() == plan(rotation="switch").lines() == []
    assert trusts(bundle, tmp_path, tmp_path_factory.mktemp("work"))
    following = (tmp_path / "ca.pem").read_text()
    assert following.startswith(CERTIFICATE.findall(bundle)[1])
    assert not (tmp_path / "ca-next.pem").exists()


def test_a_ca_at_its_end_gives_way_to_its_successor_unasked(plan: Plan, tmp_path: Path) -> None:
    plan(ca_days=40).apply()
    both = take(plan, "add")
    ended = plan(renew_days=41, days=500)
    assert [line.split()[0] for line in ended.lines()] == ["switch", "issue"]
    ended.apply()
    assert set(CERTIFICATE.findall((tmp_path / "ca.pem").read_text())) == set(CERTIFICATE.findall(both))


def test_a_ca_at_its_end_without_successor_stays_accepted(plan: Plan, tmp_path: Path) -> None:
    plan(ca_days=40).apply()
    first = (tmp_path / "ca.pem").read_text()
    plan(renew_days=41, days=500).apply()
    made = (tmp_path / "ca.pem").read_text()
    assert made.endswith(first) and len(CERTIFICATE.findall(made)) == 2
    assert plan(renew_days=41, days=500).lines() == []


def test_a_next_ca_whose_key_is_lost_is_made_again(plan: Plan, tmp_path: Path) -> None:
    plan().apply()
    take(plan, "add")
    (tmp_path / "ca-next.key").unlink()
    for step in ("switch", "add"):
        with pytest.raises(SiteError, match="rotation: drop"):
            plan(rotation=step)
    plan(rotation="drop").apply()
    assert len(plan(rotation="add").lines()) == 2
