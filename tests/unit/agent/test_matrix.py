# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every lawful chain of storages, down to three listed directories and an entry in the last; every other pair is refused."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from itertools import product
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.lite.rules import refusal
from ansible_collections.diskless.statelite.plugins.module_utils.tables.lite import parse_options

from .derived import Derived, Line, directory, file
from .disks import Disks
from .node import Boot

ALL = "STATELITE_BOOTS" in os.environ
"""Whether the deepest chains boot too."""
PARENTS, LEAVES = ("tmpfs", "persistent"), ("tmpfs", "persistent", "ro", "con")
SEEN = {
    "tmpfs": ("tmpfs", True),
    "persistent": ("persistent", True),
    "localdisk": ("localdisk", True),
    "ro": ("image", "EROFS"),
    "con": ("tmpfs", True),
}


Right = dict[str, tuple[str, object, object]]
"""By path: what it lies on, whether it can be written, its content."""


def laid_out(attachment: str, chains: Iterable[Sequence[str]]) -> tuple[list[tuple[str, str, str]], list[Line], Right]:
    """Return rows, image and what is right, for chains of storages of which each lies in the one before it."""
    rows: list[tuple[str, str, str]] = []
    image = [directory("/p")]
    right: Right = {}
    for number, chain in enumerate(chains):
        place = f"/p/{number}"
        image.append(directory(place))
        for step, storage in enumerate(chain[:-1]):
            place += f"/{'abcd'[step]}"
            image += [directory(place, "0711"), file(f"{place}/own", f"{storage}\n", "0640")]
            rows.append(("img1", f"{place}/", f"{attachment},{storage}"))
            right[f"{place}/own"] = (*SEEN[storage], f"{storage}\n")
        leaf = chain[-1]
        image.append(file(f"{place}/file", "leaf\n", "0604"))
        for name, content in (("file", "leaf\n"), ("missing", ""), ("x/y/deep", "")):
            rows.append(("img1", f"{place}/{name}", f"{attachment},{leaf}"))
            right[f"{place}/{name}"] = (*SEEN[leaf], content)
        if leaf != "con":
            image += [directory(f"{place}/dir"), file(f"{place}/dir/in", "in\n")]
            rows += [("img1", f"{place}/{name}/", f"{attachment},{leaf}") for name in ("dir", "new/dir")]
            right |= {f"{place}/dir/in": (*SEEN[leaf], "in\n"), f"{place}/new/dir": (*SEEN[leaf], None)}
    return rows, image, right


def seen(boot: Boot, right: Right) -> Right:
    """Return of a boot what must be right."""
    return {path: (boot.seen[path]["backing"], boot.seen[path]["writable"], boot.seen[path].get("content")) for path in right}


@pytest.mark.parametrize("attachment", ["link", "bind"])
@pytest.mark.parametrize("depth", [2, 3] if ALL else [2])
def test_every_chain_of_storages_keeps_what_it_should(attachment: str, depth: int, tmp_path: Path, pki: Path) -> None:
    rows, image, right = laid_out(attachment, product(*[PARENTS] * depth, LEAVES))
    derived = Derived(tmp_path, pki, rows, image)
    for _boot in range(2):
        assert seen(derived.boot(), right) == right


@pytest.mark.parametrize("depth", [1, 2, 3] if ALL else [1, 2])
def test_every_chain_with_a_local_disk_keeps_what_it_should(depth: int, tmp_path: Path, pki: Path, disks: Disks) -> None:
    chains = [chain for chain in product(*[(*PARENTS, "localdisk")] * depth, (*LEAVES, "localdisk")) if "localdisk" in chain]
    # Of the deepest, those that come back to a storage that they had left.
    chains = [chain for chain in chains if depth < 3 or (chain[0] == chain[2] and chain[1] != chain[0])]
    rows, image, right = laid_out("bind", chains)
    derived = Derived(tmp_path, pki, rows, image)
    disk = disks.add(48 * 1024 * 1024)
    disk.make(disks.label)
    disks.declare(derived.node)
    for _boot in range(2 if ALL or depth == 1 else 1):
        disk.shown(derived.node)
        assert seen(derived.boot(), right) == right


WORDS = [f"{attachment},{storage}" for attachment in ("link", "bind") for storage in LEAVES] + ["localdisk"]


def test_every_pair_is_carried_out_or_refused_by_its_rule(tmp_path: Path, pki: Path) -> None:
    lawful: list[tuple[str, str, str]] = []
    refused: list[tuple[str, str, str]] = []
    rules: dict[str, str] = {}
    for number, (parent, child) in enumerate(product(WORDS, WORDS)):
        above, below = (_Pair(*parse_options(word)) for word in (parent, child))
        rule = refusal(above, below)
        place = f"/v/{number}"
        rows = [("img1", place + "/" * (above.storage != "con"), parent), ("img1", f"{place}/c", child)]
        if rule is None:
            lawful += rows
        else:
            refused += rows
            rules[f"{place}/c"] = f"by the rule {rule.name}: "
    Derived(tmp_path / "lawful", pki, lawful).lay_out()
    with pytest.raises(SiteError) as told:
        Derived(tmp_path / "refused", pki, refused).lay_out()
    said = {fault.where.rpartition(" ")[2]: fault for fault in told.value.faults if fault.where.endswith("/c")}
    assert said.keys() == rules.keys()
    assert all(rules[path] in fault.what and fault.mend for path, fault in said.items())
    assert len(lawful) + len(refused) == 2 * len(WORDS) ** 2


class _Pair:
    def __init__(self, storage: str, attachment: str | None) -> None:
        self.storage, self.attachment = storage, attachment or "bind"
