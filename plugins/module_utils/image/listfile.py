# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What list files share, whatever they list: one item a line, comments, and #INCLUDE of other files (behaviour.md f.3; pure)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ..errors import Fault

ReadText = Callable[[str], "str | None"]
"""Gives the text of a file, or None when there is no such file."""

DIRECTIVE = re.compile(r"#([A-Z_]+):?(.*)#\s*")
VARIABLE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")


@dataclass
class ListReading:
    """The state of reading list files: the files so far, and every fault. `environment` is what `$VAR` in an #INCLUDE may name.

    A relative #INCLUDE starts from the directory of the top level file, in nested files too, as the original does; what is not there
    is looked for beside the file that includes it, so that a site's list can include a shipped one.
    """

    read: ReadText
    environment: Mapping[str, str]
    called: str = "list"
    """How faults call such a file."""

    files: dict[str, None] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def item(self, text: str, where: str) -> None:
        """Take one line that is no comment and no directive."""
        raise NotImplementedError

    def directive(self, word: str, text: str, where: str) -> None:
        """Take a directive other than #INCLUDE; here it is a comment."""

    def top(self, path: str, named_by: str) -> None:
        """Read one top level file; `named_by` is the place that names it."""
        self._file(os.path.normpath(path), os.path.dirname(path), (), named_by)

    def _file(self, path: str, top: str, chain: tuple[str, ...], named_by: str) -> None:
        """Read one file; `top` is the directory that relative names start from, `chain` the files being read."""
        if path in chain:
            loop = " -> ".join((*chain[chain.index(path) :], path))
            self.faults.append(Fault(named_by, f"includes itself: {loop}", "Take one #INCLUDE of the loop out"))
            return
        text = self.read(path)
        if text is None:
            self.faults.append(Fault(named_by, f"the {self.called} {path} does not exist", "Create it or correct the name"))
            return
        self.files[path] = None
        for number, line in enumerate(text.split("\n"), 1):
            self._line(line.strip(), f"{path} line {number}", top, (*chain, path))

    def _line(self, line: str, where: str, top: str, chain: tuple[str, ...]) -> None:
        """Take one line: a directive, a comment, or an item."""
        directive = DIRECTIVE.fullmatch(line)
        if directive and directive.group(1) == "INCLUDE":
            included = self._expand(directive.group(2).strip(), where)
            if included:
                self._file(self._found(included, (top, os.path.dirname(chain[-1]))), top, chain, where)
        elif directive:
            self.directive(directive.group(1), directive.group(2).strip(), where)
        elif line and not line.startswith("#"):
            self.item(line, where)

    def _found(self, included: str, folders: Sequence[str]) -> str:
        """Return the path of an included file: in the first of the folders that has it, or in the first one."""
        paths = [os.path.normpath(os.path.join(folder, included)) for folder in folders]
        return next((path for path in paths if self.read(path) is not None), paths[0])

    def _expand(self, text: str, where: str) -> str:
        """Replace $VAR and ${VAR} by the image's environment; an unset one is a fault and gives ''."""
        missing = [
            found for found in (match.group(1) or match.group(2) for match in VARIABLE.finditer(text)) if found not in self.environment
        ]
        for name in missing:
            self.faults.append(Fault(where, f"${name} is not set", "Set it in osimage.environvar or write the path out"))
        if not text:
            self.faults.append(Fault(where, "#INCLUDE names no file", "Write #INCLUDE:FILE#"))
        if missing:
            return ""
        return VARIABLE.sub(lambda match: self.environment[match.group(1) or match.group(2)], text)


def split_column(text: str) -> Sequence[str]:
    """Return the items of a column that names list files, separated by commas."""
    return [item.strip() for item in text.split(",") if item.strip()]
