# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the site puts into every image besides packages: the node agent, files of the root, credentials."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import Fault
from .credentials import Credentials, read_credentials
from .tree import TreeFile, read_tree


@dataclass(frozen=True)
class Given:
    """The files, with their content."""

    agent: Sequence[TreeFile]
    overlay: Sequence[TreeFile]
    credentials: Credentials


def _missing(option: str, directory: str, wanted: str) -> list[Fault]:
    """Return the fault of a directory of image data, if it has one; `wanted` is a file it must hold."""
    if not directory or os.path.exists(os.path.join(directory, wanted)):
        return []
    what, mend = f"{os.path.join(directory, wanted)} does not exist", "Run the role image, which puts it there, or name its place"
    return [Fault(f"option {option}", what, mend)]


def read_given(params: Mapping[str, Any]) -> tuple[Given, list[Fault]]:
    """Read the files from the places that the options name, and return them with every fault found."""
    credentials, faults = read_credentials(params["ca"], params["authorized_keys"], params["root_hash_file"], params.get("host_keys") or "")
    missing = [
        *_missing("dracut_module", params["dracut_module"], "module-setup.sh"),
        *_missing("rootfs", params["rootfs"], ""),
    ]
    if missing:
        return Given((), (), credentials), [*missing, *faults]
    overlay = read_tree(params["rootfs"]) if params["rootfs"] else []
    return Given(read_tree(params["dracut_module"]), overlay, credentials), faults
