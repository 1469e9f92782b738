# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files put into a root tree under construction, without ever following a link of that tree (law 1)."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from hashlib import sha256

from ..apply.root import Root
from ..errors import SiteError


@dataclass(frozen=True)
class TreeFile:
    """One file or symbolic link for the image, at the absolute `path`; `target` is set for a link."""

    path: str
    content: bytes = b""
    mode: int = 0o644
    target: str = ""

    @property
    def digest(self) -> str:
        """The same for two files that would look the same in an image."""
        return sha256(f"{self.mode:o} {self.target}\0".encode("utf-8", "surrogateescape") + self.content).hexdigest()


def read_tree(directory: str) -> list[TreeFile]:
    """Return the files and links below `directory`, sorted, as if it were `/`; executable ones get 0755, others 0644.

    Raises SiteError when it holds anything that is neither file, link nor directory.
    """
    found = []
    for folder, names, files in os.walk(directory):
        links = [name for name in names if os.path.islink(os.path.join(folder, name))]
        for name in [*files, *links]:
            source = os.path.join(folder, name)
            path = "/" + os.path.relpath(source, directory)
            status = os.lstat(source)
            if stat.S_ISLNK(status.st_mode):
                found.append(TreeFile(path, target=os.readlink(source)))
            elif stat.S_ISREG(status.st_mode):
                with open(source, "rb") as stream:
                    found.append(TreeFile(path, stream.read(), 0o755 if status.st_mode & 0o100 else 0o644))
            else:
                raise SiteError.of(source, "is neither a file nor a link", "Take it out of the data that goes into images")
    return sorted(found, key=lambda file: file.path)


def put_directory(root: Root, path: str) -> None:
    """Make `path` and the directories above it, as far as they are missing.

    Raises SiteError when a link or a file stands where a directory must be.
    """
    above = ""
    for part in path.strip("/").split("/"):
        above = f"{above}/{part}"
        found = root.lstat(above)
        if found is None:
            root.mkdir(above, 0o755)
        elif not stat.S_ISDIR(found.st_mode):
            raise SiteError.of(
                path, f"{above} is no directory in the image", "Write the path as it is without links, such as /usr/lib for /lib"
            )


def put(root: Root, file: TreeFile) -> None:
    """Put `file` in the place of whatever file or link stands there."""
    put_directory(root, os.path.dirname(file.path))
    drop(root, file.path)
    if file.target:
        root.symlink(file.path, file.target)
    else:
        root.replace(file.path, file.content, file.mode)


def drop(root: Root, path: str) -> None:
    """Remove a file or link; nothing there is no fault."""
    if root.lstat(path) is not None:
        root.unlink(path)


def names_in(root: Root, path: str) -> list[str]:
    """Return the names in a directory, sorted; none when it is missing or a link."""
    found = root.lstat(path)
    return root.listdir(path) if found is not None and stat.S_ISDIR(found.st_mode) else []


def is_link(root: Root, path: str) -> bool:
    """Return whether a symbolic link stands at `path`."""
    found = root.lstat(path)
    return found is not None and stat.S_ISLNK(found.st_mode)
