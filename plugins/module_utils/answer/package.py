# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The answer service as a plain package on the management node: the closure of `server.py`, read from what runs."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ..errors import SiteError
from ..program import CORE, PACKAGE, closure, own_source
from . import server
from .written import write_whole

SERVER = "/".join(server.__name__.split(".")[-2:]) + ".py"
LAUNCHER = "answer-service"
LAUNCHER_TEXT = f"""#!/usr/bin/python3
# Written by the module diskless.statelite.answer_service.
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

from {PACKAGE}.answer.server import main

sys.exit(main())
"""
SPEC = {"dest": {"type": "path", "default": "/usr/lib/statelite"}}


@dataclass(frozen=True)
class Install:
    """What has to be written and removed below `dest`."""

    dest: str
    wanted: dict[str, tuple[bytes, int]]
    stale: list[str]
    changed: list[tuple[str, str]]

    def lines(self) -> list[str]:
        """Return one line a file."""
        return [f"{what} {self.dest}/{path}" for what, path in self.changed] + [f"remove {self.dest}/{path}" for path in self.stale]

    def result(self) -> dict[str, Any]:
        """Return where the service is and which version of it."""
        digest = hashlib.sha256()
        for path, (content, _mode) in sorted(self.wanted.items()):
            digest.update(f"{path}\0{len(content)}\0".encode() + content)
        return {"dest": self.dest, "launcher": f"{self.dest}/{LAUNCHER}", "files": len(self.wanted), "digest": digest.hexdigest()}

    def apply(self) -> None:
        """Write the files, the launcher last, and remove what is no longer part of the service."""
        try:
            for _what, path in self.changed:
                content, mode = self.wanted[path]
                target = os.path.join(self.dest, path)
                _make_directories(os.path.dirname(target))
                write_whole(target, content, mode)
            for path in self.stale:
                os.unlink(os.path.join(self.dest, path))
        except OSError as error:
            raise SiteError.of(
                error.filename or self.dest, f"can't be written ({error.strerror})", "Run as root, on a file system that can be written"
            ) from error


def _make_directories(path: str) -> None:
    """Make a directory that the service's user can enter, whatever the umask of this run."""
    if not os.path.isdir(path):
        _make_directories(os.path.dirname(path))
        os.mkdir(path)
        os.chmod(path, 0o755)


def _standing(dest: str) -> Iterator[str]:
    """Yield the source files of the package that is there, relative to `dest`."""
    for directory, _folders, names in os.walk(os.path.join(dest, PACKAGE)):
        yield from (os.path.relpath(os.path.join(directory, name), dest) for name in names if name.endswith(".py"))


def _difference(path: str, content: bytes, mode: int) -> str:
    """Return what has to be done to have `content` at `path`: create, replace, mode, or nothing (empty)."""
    try:
        with open(path, "rb") as stream:
            same, there = stream.read() == content, os.fstat(stream.fileno()).st_mode & 0o7777
    except FileNotFoundError:
        return "create"
    except OSError as error:
        raise SiteError.of(path, f"can't be read ({error.strerror})", "Remove it and run again") from error
    if not same:
        return "replace"
    return "" if there == mode else "mode"


def plan_install(params: dict[str, Any], _warn: Callable[[str], None]) -> Install:
    """Return what makes `dest` hold the service as this collection has it."""
    dest = params["dest"].rstrip("/")
    sources = closure(SERVER, own_source)
    if SERVER not in sources:
        raise SiteError.of(CORE, "the sources of the answer service are not in this module", "Install the collection again")
    wanted = {f"{PACKAGE}/{path}": (content, 0o644) for path, content in sorted(sources.items())}
    wanted[LAUNCHER] = (LAUNCHER_TEXT.encode(), 0o755)
    compared = [(_difference(os.path.join(dest, path), *wanted[path]), path) for path in wanted]
    stale = sorted(path for path in _standing(dest) if path not in wanted)
    return Install(dest, wanted, stale, [(what, path) for what, path in compared if what])
