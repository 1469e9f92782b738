# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory of the controller as one value, so that one task carries it to a machine (46 copies cost 23 CPU s)."""

from __future__ import annotations

DOCUMENTATION = r"""
name: file_tree
short_description: Pack a directory of the controller into one value
version_added: 0.1.0
description:
  - Gives the files and links below a directory as a tar archive in base64, for the option C(content) of the module file_tree.
  - The same files give the same value, wherever and whenever it is made; only the executable bit of a mode counts.
author: diskless.statelite contributors (@diskless)
options:
  _terms:
    description: Directories, such as C({{ role_path }}/files).
    required: true
"""

EXAMPLES = r"""
- name: Bring the image data
  diskless.statelite.file_tree:
    dest: /usr/share/statelite
    content: "{{ lookup('diskless.statelite.file_tree', role_path ~ '/files') }}"
"""

RETURN = r"""
_raw:
  description: One archive a directory.
  type: list
  elements: str
"""

import base64
import gzip
import io
import os
import tarfile
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase


def plain(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Return the member without what differs between two checkouts, or None for what is left out (bytecode, directories)."""
    if member.isdir() or member.name.endswith((".pyc", "~")):
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    member.mtime = 0
    member.mode = 0o755 if member.mode & 0o100 else 0o644
    return member


def packed(directory: str) -> str:
    """Return the files and links below `directory` as base64 of a compressed tar archive."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as writer:
        for folder, names, files in os.walk(directory):
            names.sort()
            links = [name for name in names if os.path.islink(os.path.join(folder, name))]
            for name in sorted([*files, *links]):
                path = os.path.join(folder, name)
                writer.add(path, os.path.relpath(path, directory), recursive=False, filter=plain)
    return base64.b64encode(gzip.compress(archive.getvalue(), mtime=0)).decode()


class LookupModule(LookupBase):
    """The lookup itself."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        """Return one archive for each directory; raises AnsibleError when one is missing."""
        missing = [term for term in terms if not os.path.isdir(term)]
        if missing:
            raise AnsibleError(f"file_tree: no directory {', '.join(missing)}")
        return [packed(term) for term in terms]
