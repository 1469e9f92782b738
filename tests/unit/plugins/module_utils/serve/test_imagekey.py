# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A key that is there is not called unreadable where openssl is what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.serve import imagekey
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.apply.test_manifest import have_key


def test_without_openssl_nothing_is_planned_for_a_key_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    params = {"directory": str(tmp_path / "pki"), "serial": 1, "keep_former": True, "trusted": None}
    have_key(tmp_path)
    monkeypatch.setattr(imagekey, "is_installed", lambda _program: False)
    with pytest.raises(SiteError, match=r"openssl: is not installed\. Install openssl 3"):
        imagekey.plan_key(params, print)


def test_without_openssl_it_is_foretold_that_a_key_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    params = {"directory": str(tmp_path / "pki"), "serial": 1, "keep_former": True, "trusted": None}
    monkeypatch.setattr(imagekey, "is_installed", lambda _program: False)
    assert imagekey.plan_key(params, print).lines() == [f"make {tmp_path}/pki/image.key, serial 1: there is none"]
