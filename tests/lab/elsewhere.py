# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of the matrix that the lab does not play: other architectures, which tests/cross boots, and what no machine here can."""

from __future__ import annotations

import json
from collections.abc import Mapping

from places import BUILD

TOLD = BUILD / "cross-boots.json"
"""What the last run of tests/cross told."""

FOREIGN = {
    "aarch64": f"{'grub2, all by TFTP':30} {'UEFI, aarch64':24} statelite, root on NFS",
    "ppc64le": f"{'petitboot':30} {'ppc64le':24} statelite, root on NFS",
}
"""What tests/cross boots, by architecture."""

NOT_HERE = {
    f"{'grub2':30} {'Open Firmware, ppc64le':24} any root": "QEMU's firmware starts GRUB by TFTP, and GRUB finds no network card there",
    f"{'petitboot':30} {'petitboot, ppc64le':24} any root": "QEMU has no petitboot: what its file names is started without one, as above",
    f"{'yaboot':30} {'Open Firmware, ppc64':24} any root": "Debian 12 has no packages for ppc64, and no yaboot",
}
"""What nothing here can boot, and why."""


def tell(outcomes: Mapping[str, str]) -> None:
    """Keep what became of the machines of tests/cross, by architecture."""
    TOLD.write_text(json.dumps(dict(outcomes)), encoding="utf-8")


def lines() -> list[str]:
    """Return the lines of the matrix, those that tests/cross has told of with what it told."""
    told = json.loads(TOLD.read_text(encoding="utf-8")) if TOLD.exists() else {}
    unplayed = "not played here; tests/cross boots it, and has not been run in this clone"
    found = [f"{'-':4}  {title:82} {told.get(osarch, unplayed)}" for osarch, title in FOREIGN.items()]
    return found + [f"{'-':4}  {title:82} not here: {why}" for title, why in NOT_HERE.items()]
