# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates and disks for all tests of the agent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.answer.service import make_pki

from .disks import Disks, disks_in


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="session")
def other_pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return somebody else's CA and certificate for the same address."""
    return make_pki(tmp_path_factory.mktemp("other"))


@pytest.fixture
def disks(tmp_path: Path) -> Iterator[Disks]:
    """Give disks for the nodes of one test."""
    with disks_in(tmp_path) as made:
        yield made
