# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates for all tests of the agent."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.answer.service import make_pki


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="session")
def other_pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return somebody else's CA and certificate for the same address."""
    return make_pki(tmp_path_factory.mktemp("other"))
