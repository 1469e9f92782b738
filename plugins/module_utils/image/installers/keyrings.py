# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys by which apt trusts an archive whose source names none: those of the distribution, on the machine that builds."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from ...errors import Fault

KEYRINGS = {
    "debian": ("/usr/share/keyrings/debian-archive-keyring.gpg", "debian-archive-keyring"),
    "ubuntu": ("/usr/share/keyrings/ubuntu-archive-keyring.gpg", "ubuntu-keyring"),
}
"""File and package by operating system, as mmdebstrap(1) looks for them."""

TRUSTED = "/etc/apt/trusted.gpg.d"
OPTION = re.compile(r"deb\s+\[[^]]*\b(?:trusted=yes|signed-by=)[^]]*\]")


def keyring_faults(family: str, sources: Sequence[str], where: str) -> list[Fault]:
    """Return the fault of sources that name no key while this machine has none of the distribution's: apt would refuse them all."""
    keyring, package = KEYRINGS.get(family, ("", ""))
    unnamed = [line for line in sources if not OPTION.match(line)]
    if not keyring or not unnamed or os.path.exists(keyring):
        return []
    if os.path.isdir(TRUSTED) and any(family in name for name in os.listdir(TRUSTED)):
        return []
    what = f"nothing here says whose signature '{unnamed[0]}' bears: {keyring} does not exist"
    return [Fault(where, what, f"Install the package {package}, or write `deb [signed-by=/path/of/the/key] URL SUITE COMPONENT`")]
