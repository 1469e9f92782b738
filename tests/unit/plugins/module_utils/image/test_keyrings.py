# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose signatures an apt source bears, where it does not say so itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.image.installers import keyrings
from ansible_collections.diskless.statelite.plugins.module_utils.image.installers.keyrings import keyring_faults

PLAIN = "deb http://mirror/ubuntu noble main universe"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any key."""
    (tmp_path / "trusted").mkdir()
    monkeypatch.setattr(keyrings, "KEYRINGS", {"ubuntu": (str(tmp_path / "ubuntu.gpg"), "ubuntu-keyring")})
    monkeypatch.setattr(keyrings, "TRUSTED", str(tmp_path / "trusted"))
    return tmp_path


def test_an_archive_whose_keys_are_not_here_is_refused_before_the_build(machine: Path) -> None:
    fault = keyring_faults("ubuntu", [PLAIN], "pkgdir")[0]
    assert fault.where == "pkgdir"
    assert PLAIN in fault.what
    assert "Install the package ubuntu-keyring" in fault.mend


@pytest.mark.parametrize("options", ["trusted=yes", "signed-by=/k.asc", "arch=amd64 signed-by=/k.asc"])
def test_a_source_that_says_it_itself_needs_none(machine: Path, options: str) -> None:
    assert keyring_faults("ubuntu", [f"deb [{options}] http://mirror/ubuntu noble main"], "pkgdir") == []
    assert keyring_faults("ubuntu", [f"deb [{options}] http://mirror/ubuntu noble main", PLAIN], "pkgdir") != []
    assert keyring_faults("ubuntu", ["deb [arch=amd64] http://mirror/ubuntu noble main"], "pkgdir") != []


def test_a_key_of_the_distribution_will_do(machine: Path) -> None:
    (machine / "trusted/ubuntu-keyring-2018-archive.gpg").touch()
    assert keyring_faults("ubuntu", [PLAIN], "pkgdir") == []
    (machine / "trusted/ubuntu-keyring-2018-archive.gpg").unlink()
    (machine / "ubuntu.gpg").touch()
    assert keyring_faults("ubuntu", [PLAIN], "pkgdir") == []
    assert keyring_faults("gentoo", [PLAIN], "pkgdir") == []
