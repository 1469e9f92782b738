# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates of one site for all tests of the agent."""

from __future__ import annotations

import grp
import os
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.serve.certificate import SPEC, plan_certificate


def made(directory: Path) -> Path:
    """Make a CA and a certificate for this machine's own address."""
    params = {name: option.get("default") for name, option in SPEC.items()}
    group = grp.getgrgid(os.getegid()).gr_name
    params.update(directory=str(directory), common_name="mn1", addresses=["127.0.0.1"], group=group)
    plan_certificate(params, print).apply()
    return directory


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="session")
def other_pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return somebody else's CA and certificate for the same address."""
    return made(tmp_path_factory.mktemp("other"))
