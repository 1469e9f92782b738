# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GRUB for aarch64 machines with UEFI: made here by grub-mkimage from the modules of Debian's package for that architecture."""

from __future__ import annotations

from pathlib import Path

from processes import LabError, run

PACKAGE = "grub-efi-arm64-bin"
PREFIX = "(tftp)/boot/grub2"
"""Where it looks for `grub.cfg-01-<mac>`: there nodeset writes."""
MODULES = ("boot", "configfile", "echo", "efinet", "http", "linux", "net", "normal", "test", "tftp")
LIMIT = 60


def make(packages: Path, work: Path, log: Path) -> Path:
    """Make the loader in the empty directory `work` from the mirror `packages` and return it."""
    found = sorted(packages.glob(f"debian/pool/{PACKAGE}_*.deb"))
    if not found:
        raise LabError(f"the mirror {packages} has no {PACKAGE}")
    run(["dpkg-deb", "--extract", str(found[0]), str(work)], log=log, limit=LIMIT)
    loader = work / "grub2.aarch64"
    modules = work / "usr/lib/grub/arm64-efi"
    words = ["-O", "arm64-efi", "-d", str(modules), "-p", PREFIX, "-o", str(loader), *MODULES]
    run(["grub-mkimage", *words], log=log, limit=LIMIT)
    return loader
