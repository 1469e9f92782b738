# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole directory of data kept equal to an archive, in one task: what image builds take their files from."""

from __future__ import annotations

import base64
import binascii
import gzip
import io
import os
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..apply.root import Root
from ..errors import SiteError
from .tree import TreeFile, drop, put, read_tree

SPEC: dict[str, Any] = {
    "dest": {"type": "path", "required": True},
    "content": {"type": "str", "required": True},
}
"""Options of the module file_tree."""


def unpacked(content: str) -> list[TreeFile]:
    """Return the files and links of a base64 compressed tar archive; raises SiteError when it is none."""
    mend = "Give the value of the lookup diskless.statelite.file_tree"
    try:
        archive = io.BytesIO(gzip.decompress(base64.b64decode(content, validate=True)))
        with tarfile.open(fileobj=archive) as reader:
            found = []
            for member in reader:
                path = "/" + member.name.lstrip("/")
                if ".." in path.split("/") or not (member.isfile() or member.issym()):
                    raise SiteError.of("option content", f"{member.name} is neither a file nor a link of the tree", mend)
                stream = reader.extractfile(member) if member.isfile() else None
                found.append(TreeFile(path, stream.read() if stream else b"", member.mode & 0o777 if stream else 0o644, member.linkname))
            return found
    except (binascii.Error, OSError, EOFError, tarfile.TarError) as error:
        raise SiteError.of("option content", f"is no archive ({error})", mend) from error


@dataclass
class FileTree:
    """The plan: files to put and paths to remove below `dest`."""

    dest: str
    put_files: Sequence[tuple[str, TreeFile]]
    remove: Sequence[str]
    count: int

    def lines(self) -> list[str]:
        """Return one line a file that changes."""
        changes = [f"{self.dest}{file.path}: {word}" for word, file in self.put_files]
        return sorted([*changes, *(f"{self.dest}{path}: gone" for path in self.remove)])

    def apply(self) -> None:
        """Write what is new or changed, remove what is not in the archive, and the directories that this empties."""
        os.makedirs(self.dest, mode=0o755, exist_ok=True)
        with Root(self.dest) as root:
            for path in self.remove:
                drop(root, path)
                self._remove_empty(root, os.path.dirname(path))
            for _word, file in self.put_files:
                put(root, file)

    def _remove_empty(self, root: Root, path: str) -> None:
        while path != "/" and not root.listdir(path):
            root.rmdir(path)
            path = os.path.dirname(path)

    def result(self) -> dict[str, Any]:
        """Return the directory and how many files it holds."""
        return {"dest": self.dest, "files": self.count}


def plan_file_tree(params: Mapping[str, Any], _warn: Callable[[str], None]) -> FileTree:
    """Return what makes the directory `dest` equal to the archive `content`."""
    dest = params["dest"].rstrip("/")
    wanted = {file.path: file for file in unpacked(params["content"])}
    there = {file.path: _with_real_mode(dest, file) for file in read_tree(dest)}
    changed = [("changed" if path in there else "new", file) for path, file in wanted.items() if there.get(path) != file]
    return FileTree(dest, changed, sorted(set(there) - set(wanted)), len(wanted))


def _with_real_mode(dest: str, file: TreeFile) -> TreeFile:
    return file if file.target else TreeFile(file.path, file.content, os.lstat(dest + file.path).st_mode & 0o7777)
