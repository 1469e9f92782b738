# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The initramfs of the last generation becomes that of the next one only when dracut would decide nothing otherwise."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.apply.generations import INITRD, Generation
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.image import reuse
from ansible_collections.diskless.statelite.plugins.module_utils.image.changes import Changes

VERSION = "6.1.0-1"
INPUTS: dict[str, Any] = {"files": {"dracut module /agent.sh": "1"}, "pkglist": {"install": ["vim"]}}
INSIDE = {"usr/bin/ip", "usr/bin/sh"}


class Image:
    """A generation with an initramfs, and a tree from which the next one is made."""

    def __init__(self, place: Path) -> None:
        self.last = Generation(str(place), 1)
        self.stage, self.rootimg = place / "stage", place / "stage/rootimg"
        module = self.rootimg / "usr/lib/dracut/modules.d/95nfs/module-setup.sh"
        for directory in (Path(self.last.path), module.parent):
            directory.mkdir(parents=True)
        module.write_text("inst_multiple -o rpcbind\ngrep -E '^(rpc):' /etc/passwd\n")
        Path(self.last.path, INITRD).write_bytes(b"packed")
        self.last.write_record({"format": 1, "inputs": INPUTS, "kernel_version": VERSION})

    def reuse(self, changed: Changes, **others: Any) -> str:
        """Return why dracut runs again; says whether the initramfs is where the next generation has it."""
        words = {"version": VERSION, "inputs": INPUTS, "last": self.last, "postinstall": (), **others}
        installer = SimpleNamespace(order=SimpleNamespace(limit=60))
        definition: Any = SimpleNamespace(postinstall=words["postinstall"], installer=installer)
        said = reuse.reuse_initramfs(
            definition, str(self.rootimg), words["version"], words["inputs"], words["last"], changed, str(self.stage)
        )
        assert (self.stage / INITRD).exists() == (not said)
        return said


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Image:
    monkeypatch.setattr(reuse, "members", lambda *_words: set(INSIDE))
    return Image(tmp_path)


def changed(*paths: str, accounts: tuple[str, ...] = ()) -> Changes:
    return Changes(frozenset(paths), frozenset(accounts))


def test_packages_of_which_dracut_sees_nothing_leave_it(image: Image) -> None:
    assert image.reuse(changed("/usr/bin/less", "/etc/lessrc")) == ""
    assert (image.stage / INITRD).samefile(Path(image.last.path, INITRD))


@pytest.mark.parametrize(
    "path",
    [
        "/lib/udev/rules.d/80-card.rules",
        "/usr/lib/dracut/modules.d/95nfs/more.sh",
        "/lib/modules/6.1.0-1/extra/card.ko",
        "/usr/sbin/rpcbind",
        "/usr/sbin/ip",
        "/bin/sh",
    ],
)
def test_a_path_by_which_dracut_decides_or_of_what_it_takes_makes_it_run_again(image: Image, path: str) -> None:
    assert image.reuse(changed("/usr/bin/less", path)) == f"{reuse.normal(path)} changed with the packages"


def test_an_account_that_a_module_names_makes_it_run_again(image: Image) -> None:
    assert image.reuse(changed(accounts=("rpc", "sshd"))) == "the account rpc changed with the packages"


@pytest.mark.parametrize(
    ("others", "says"),
    [
        ({"version": "6.1.0-2"}, "the kernel changed"),
        ({"inputs": {**INPUTS, "files": {"dracut module /agent.sh": "2"}}}, "other inputs changed: files"),
        ({"postinstall": (("/script",),)}, "scripts of the site"),
        ({"last": None}, "there is none before"),
    ],
)
def test_anything_but_packages_makes_it_run_again(image: Image, others: dict[str, Any], says: str) -> None:
    assert says in image.reuse(Changes(), **others)


def test_members_are_listed_only_when_nothing_else_decides(image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(*_words: Any) -> set[str]:
        raise SiteError.of("initramfs", "its members can't be listed", "dracut makes another one")

    monkeypatch.setattr(reuse, "members", unreadable)
    assert image.reuse(changed("/lib/udev/rules.d/80-card.rules")).startswith("usr/lib/udev/rules.d/80-card.rules")
    assert image.reuse(changed("/usr/bin/less")) == "its members can't be listed"
