# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What leaves a tree for the directory of its journal, and comes back: operations of two places on one file system."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import ClassVar

from .operations import DONE, OTHER, READY, Operation
from .root import Root


@dataclass
class SetAside(Operation):
    """Move what an administrator's newer file took the place of out of the tree, into the journal's directory."""

    directory: str
    name: str
    verb: ClassVar[str] = "set aside"

    def state(self, root: Root) -> str:
        """Done when it stands outside and no more inside."""
        here, there = root.lstat(self.path) is not None, os.path.lexists(os.path.join(self.directory, self.name))
        if here and not there:
            return READY
        return DONE if there and not here else OTHER

    def run(self, root: Root) -> None:
        """One rename to the directory beside the root, which is made when missing."""
        os.makedirs(self.directory, mode=0o700, exist_ok=True)
        with Root(self.directory, root.kernel_confined) as outside:
            root.rename_into(self.path, outside, self.name)

    def inverse(self) -> Operation:
        """Put it back."""
        return PutBack(self.path, self.directory, self.name)

    def line(self) -> str:
        """Name both places."""
        return f"set aside {self.path}, replaced by a newer file, as {self.directory}/{self.name}"


@dataclass
class PutBack(SetAside):
    """Move what was set aside back to its place in the tree."""

    verb: ClassVar[str] = "put back"

    def state(self, root: Root) -> str:
        """Done when it stands inside again."""
        found = super().state(root)
        return {READY: DONE, DONE: READY}.get(found, OTHER)

    def run(self, root: Root) -> None:
        """One rename."""
        with Root(self.directory, root.kernel_confined) as outside:
            outside.rename_into(self.name, root, self.path)

    def inverse(self) -> Operation:
        """Set it aside again."""
        return SetAside(self.path, self.directory, self.name)

    def line(self) -> str:
        """Name the place in the tree."""
        return f"put back {self.path}"
