# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sources of the core that a program needs which is to run without Ansible, read from what runs.

A module is run from an archive that Ansible makes of it and of everything it imports, so the core reads its own
sources through the loader that it was loaded by (architecture.md, The house).
"""

from __future__ import annotations

import ast
import io
import pkgutil
import zipfile
from collections.abc import Callable, Iterator

from .errors import SiteError

CORE = __name__.rpartition(".")[0]
PACKAGE = "diskless_statelite"
"""What the core is called in a program of its own."""

INTERPRETER = b"#!/usr/bin/env python3\n"
MADE = (1980, 1, 1, 0, 0, 0)
"""The time of every file in an archive: the same sources give the same bytes."""

Read = Callable[[str], "bytes | None"]


def own_source(path: str) -> bytes | None:
    """Return the source of a file of the core, as it was shipped; None when there is no such file."""
    try:
        return pkgutil.get_data(CORE, path)
    except OSError:
        return None


def _imported(path: str, source: bytes) -> Iterator[str]:
    """Yield what a file imports from the core, as paths without suffix, relative to the core."""
    above = path.split("/")[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = above[: len(above) - node.level + 1] + (node.module.split(".") if node.module else [])
            yield "/".join(base)
            yield from ("/".join([*base, alias.name]) for alias in node.names)


def closure(first: str, read: Read) -> dict[str, bytes]:
    """Return path to source of `first` and of everything in the core that it imports, with the packages they lie in."""
    found: dict[str, bytes] = {}
    waiting = [first]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        source = read(path)
        if source is None:
            continue
        found[path] = source
        waiting.extend(f"{name}.py" for name in _imported(path, source))
        waiting.append("/".join([*path.split("/")[:-1], "__init__.py"]))
    for path in list(found):
        found.setdefault("/".join([*path.split("/")[:-1], "__init__.py"]), b"")
    return found


def one_file(first: str, start: str, interpreter: bytes = INTERPRETER) -> bytes:
    """Return a program: an archive of `first` and of what it imports, as zipapp makes one; Python runs the text `start` of it.

    Raises SiteError when the sources are not where this runs from.
    """
    sources = closure(first, own_source)
    if first not in sources:
        raise SiteError.of(CORE, f"the sources of {first} are not in this module", "Install the collection again")
    files = {f"{PACKAGE}/{path}": content for path, content in sources.items()}
    files["__main__.py"] = start.encode()
    made = io.BytesIO(interpreter)
    made.seek(0, io.SEEK_END)
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in sorted(files.items()):
            member = zipfile.ZipInfo(path, MADE)
            member.external_attr = 0o644 << 16
            archive.writestr(member, content, zipfile.ZIP_DEFLATED)
    return made.getvalue()
