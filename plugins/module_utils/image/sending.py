# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A generation as a stream between machines: one archive by tar, with everything that a root image's files have.

What is in it is told beforehand: the digests of its plain files and of a list of its root tree, which comes along in the archive.
Whoever takes it in compares what arrived with the list, and the list with what was told (fetch.py).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from ..apply.commands import ENVIRONMENT
from ..apply.files import write_file
from ..apply.generations import ROOTIMG, Generation
from ..apply.treelist import digest_of, listed, packed
from ..errors import SiteError

ATTRIBUTES = ("--xattrs", "--xattrs-include=*", "--acls")
KEPT = ("--format=posix", *ATTRIBUTES, "--numeric-owner", "--sparse")
"""Owners by number, times to the nanosecond, extended attributes with capabilities, ACLs, holes; hard links stay hard links."""


@dataclass(frozen=True)
class Contents:
    """What a generation holds: SHA-256 of its plain files by name, and of the list of its root tree."""

    number: int
    files: Mapping[str, str]
    tree: str


def list_name(number: int) -> str:
    """Return the name of the list of a generation's root tree, beside the generations."""
    return f".{number}.sent.list.gz"


def take_stock(generation: Generation) -> Contents:
    """Write the list of a generation's root tree beside it and return what it holds."""
    number = generation.number or 0
    content = packed(listed(generation.rootimg))
    write_file(os.path.join(os.path.dirname(generation.path), list_name(number)), content)
    return Contents(number, plain_files(generation.path), sha256(content).hexdigest())


def plain_files(directory: str) -> dict[str, str]:
    """Return the digests of the plain files of a generation's directory, and where links lead; hidden ones are work in hand."""
    with os.scandir(directory) as entries:
        names = sorted(entry.name for entry in entries if entry.name != ROOTIMG and not entry.name.startswith("."))
    return {name: _told_of(os.path.join(directory, name)) for name in names}


def _told_of(path: str) -> str:
    return f"link to {os.readlink(path)}" if os.path.islink(path) else digest_of(path)


def create_command(generation: Generation) -> list[str]:
    """Return the command that writes a generation, and the list of its root tree, to its standard output."""
    above = os.path.dirname(generation.path)
    archive = ["tar", "--create", *KEPT, "--one-file-system", "--file=-"]
    return [*archive, f"--directory={above}", list_name(generation.number or 0), f"--directory={generation.path}", "."]


def extract_command(directory: str) -> list[str]:
    """Return the command that fills `directory` from its standard input."""
    owners = ("--numeric-owner", "--same-owner", "--preserve-permissions")
    return ["tar", "--extract", *ATTRIBUTES, *owners, f"--directory={directory}", "--file=-"]


def send(rootimgdir: str, number: int) -> int:
    """Write a generation of an image directory to standard output in this process's place; raises SiteError when it is not there."""
    generation = Generation(rootimgdir, number)
    if not os.path.isdir(generation.path):
        raise SiteError.of(generation.path, "is not there", "Name the image directory by --rootimgdir and a generation in it")
    command = create_command(generation)
    os.execvpe(command[0], command, dict(ENVIRONMENT))
