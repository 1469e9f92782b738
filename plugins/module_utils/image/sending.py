# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A generation as a stream between machines: one archive by tar, with everything that a root image's files have."""

from __future__ import annotations

import os

from ..apply.commands import ENVIRONMENT
from ..apply.generations import Generation
from ..errors import SiteError

ATTRIBUTES = ("--xattrs", "--xattrs-include=*", "--acls")
KEPT = ("--format=posix", *ATTRIBUTES, "--numeric-owner", "--sparse")
"""Owners by number, times to the nanosecond, extended attributes with capabilities, ACLs, holes; hard links stay hard links."""


def create_command(generation: Generation) -> list[str]:
    """Return the command that writes a generation to its standard output."""
    return ["tar", "--create", *KEPT, "--one-file-system", f"--directory={generation.path}", "--file=-", "."]


def extract_command(directory: str) -> list[str]:
    """Return the command that fills `directory` from its standard input."""
    return [
        "tar",
        "--extract",
        *KEPT[1:4],
        "--numeric-owner",
        "--same-owner",
        "--preserve-permissions",
        f"--directory={directory}",
        "--file=-",
    ]


def send(rootimgdir: str, number: int) -> int:
    """Write a generation of an image directory to standard output in this process's place; raises SiteError when it is not there."""
    generation = Generation(rootimgdir, number)
    if not os.path.isdir(generation.path):
        raise SiteError.of(generation.path, "is not there", "Name the image directory by --rootimgdir and a generation in it")
    command = create_command(generation)
    os.execvpe(command[0], command, dict(ENVIRONMENT))
