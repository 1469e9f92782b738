# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificate of the answer service: what it says, when it is issued again, who may read what."""

from __future__ import annotations

import grp
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.serve.certificate import SPEC, Issue, plan_certificate, read_certificate

Plan = Callable[..., Issue]


@pytest.fixture()
def plan(tmp_path: Path) -> Plan:
    def made(**changes: Any) -> Issue:
        params = {name: option.get("default") for name, option in SPEC.items()}
        group = grp.getgrgid(os.getegid()).gr_name
        params.update(directory=str(tmp_path), common_name="mn1", addresses=["10.1.0.1", "fd00::1"], names=["mn1.example"], group=group)
        return plan_certificate({**params, **changes}, warnings.append)

    warnings: list[str] = []
    return made


def said(path: Path, *wanted: str) -> str:
    return subprocess.run(["openssl", "x509", "-in", str(path), "-noout", *wanted], capture_output=True, text=True, check=True).stdout


def reasons(issue: Issue) -> list[str]:
    return [line.rsplit(": ", 1)[-1] for line in issue.lines()]


def test_a_first_run_makes_a_ca_and_a_certificate_that_it_signed(plan: Plan, tmp_path: Path) -> None:
    first = plan()
    assert not list(tmp_path.iterdir()), "planning writes nothing"
    assert reasons(first) == ["there is none", "there is none"]
    first.apply()
    there = read_certificate(str(tmp_path / "server.pem"))
    assert there is not None
    assert (there.common_name, there.addresses, there.names) == ("mn1", {"10.1.0.1", "fd00::1"}, {"mn1.example"})
    verify = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_ip", "10.1.0.1", "-CAfile"]
    subprocess.run([*verify, str(tmp_path / "ca.pem"), str(tmp_path / "server.pem")], check=True, capture_output=True)
    assert plan().lines() == []
    assert plan().result() == first.result()


def test_both_certificates_are_valid_since_yesterday(plan: Plan, tmp_path: Path) -> None:
    plan().apply()
    yesterday = subprocess.run(["date", "-u", "-d", "yesterday", "+%b %e"], capture_output=True, text=True, check=True).stdout.strip()
    for name in ("ca.pem", "server.pem"):
        assert yesterday in said(tmp_path / name, "-startdate")


def test_keys_are_for_root_and_the_services_group(plan: Plan, tmp_path: Path) -> None:
    plan().apply()
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {"ca.key": 0o600, "ca.pem": 0o644, "server.key": 0o640, "server.pem": 0o644}
    (tmp_path / "server.key").chmod(0o644)
    drift = plan()
    assert drift.lines() == [f"mode {tmp_path}/server.key 0640"]
    drift.apply()
    assert plan().lines() == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"addresses": ["10.1.0.1", "fd00::1", "10.2.0.1"]}, "it lacks 10.2.0.1"),
        ({"addresses": ["10.1.0.1"]}, "it still names fd00::1"),
        ({"names": []}, "it still names mn1.example"),
        ({"common_name": "mn2"}, "it is for mn1, not mn2"),
        ({"renew_days": 398}, "it expires on "),
    ],
)
def test_it_is_issued_again_by_the_same_ca(plan: Plan, tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    plan().apply()
    authority = (tmp_path / "ca.pem").read_bytes()
    again = plan(**changes)
    assert len(again.lines()) == 1
    assert reasons(again)[0].startswith(reason)
    again.apply()
    assert (tmp_path / "ca.pem").read_bytes() == authority
    assert plan(**{**changes, "renew_days": 30}).lines() == []


@pytest.mark.parametrize("name", ["server.key", "server.pem"])
def test_a_key_that_is_missing_or_another_ones_is_noticed(plan: Plan, tmp_path: Path, name: str) -> None:
    plan().apply()
    (tmp_path / name).write_text("")
    assert len(plan().lines()) == 1
    plan().apply()
    assert plan().lines() == []


def test_without_its_ca_key_a_new_ca_is_made_and_signs(plan: Plan, tmp_path: Path) -> None:
    plan().apply()
    (tmp_path / "ca.key").unlink()
    assert reasons(plan()) == ["its key is missing or another one's", "its CA is new"]
    plan().apply()
    assert plan().lines() == []


def test_every_fault_is_named_at_once(plan: Plan) -> None:
    with pytest.raises(SiteError) as raised:
        plan(addresses=["mn1"], names=["a b"], group="nobody-has-this-group", common_name="")
    assert [fault.where for fault in raised.value.faults] == ["addresses", "names", "common_name", "group"]


def test_a_service_nodes_certificate_comes_from_the_sites_ca_which_stays_as_it_is(plan: Plan, tmp_path: Path) -> None:
    plan().apply()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    other: dict[str, Any] = {"directory": str(tmp_path / "servers/sn1"), "authority": str(tmp_path), "common_name": "sn1", "names": []}
    first = plan(**other, addresses=["10.1.0.2"])
    assert reasons(first) == ["there is none"]
    first.apply()
    assert sorted(path.name for path in (tmp_path / "servers/sn1").iterdir()) == ["server.key", "server.pem"]
    assert first.result()["ca"] == str(tmp_path / "ca.pem")
    verify = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_ip", "10.1.0.2", "-CAfile"]
    subprocess.run([*verify, str(tmp_path / "ca.pem"), str(tmp_path / "servers/sn1/server.pem")], check=True, capture_output=True)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before
    assert plan(**other, addresses=["10.1.0.2"]).lines() == []
    assert reasons(plan(**other, addresses=["10.1.0.2", "10.2.0.2"])) == ["it lacks 10.2.0.2"]


@pytest.mark.parametrize("gone", ["ca.pem", "ca.key"])
def test_without_the_sites_ca_and_its_key_none_is_made_for_a_service_node(plan: Plan, tmp_path: Path, gone: str) -> None:
    plan().apply()
    (tmp_path / gone).unlink()
    with pytest.raises(SiteError, match="no CA with its key"):
        plan(directory=str(tmp_path / "sn1"), authority=str(tmp_path), common_name="sn1")


def test_a_step_of_a_rotation_is_not_taken_through_a_service_nodes_certificate(plan: Plan, tmp_path: Path) -> None:
    plan().apply()
    with pytest.raises(SiteError, match="rotation: add is not for a certificate"):
        plan(directory=str(tmp_path / "sn1"), authority=str(tmp_path), common_name="sn1", rotation="add")
