# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories and small files of the site's services, all in one task: a task each costs as much as the whole converge of a table."""

from __future__ import annotations

import grp
import os
import pwd
import re
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..apply.files import read_bytes, write_file
from ..errors import Fault, raise_faults

DIRECTORY, FILE = "directory", "file"
SPEC: dict[str, Any] = {
    "files": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "path": {"type": "path", "required": True},
            "kind": {"type": "str", "choices": [FILE, DIRECTORY], "default": FILE},
            "content": {"type": "str"},
            "mode": {"type": "str"},
            "owner": {"type": "str", "default": "root"},
            "group": {"type": "str", "default": "root"},
        },
    },
}
"""Options of the module system_file."""

MODES = {FILE: "0644", DIRECTORY: "0755"}
MODE = re.compile(r"0?[0-7]{3}")


@dataclass(frozen=True)
class Wanted:
    """One path as it has to be; a file without content is only looked after where it is."""

    path: str
    kind: str
    content: str | None
    mode: int
    owner: str
    group: str
    uid: int
    gid: int

    @property
    def attributes(self) -> str:
        """Its mode and owners in words."""
        return f"{self.mode:04o} {self.owner}:{self.group}"


def _number(find: Callable[[str], int], name: str) -> int | None:
    try:
        return find(name)
    except KeyError:
        return None


def _wanted(item: Mapping[str, Any], faults: list[Fault]) -> Wanted | None:
    path = item["path"]
    mode = item["mode"] or MODES[item["kind"]]
    uid = _number(lambda name: pwd.getpwnam(name).pw_uid, item["owner"])
    gid = _number(lambda name: grp.getgrnam(name).gr_gid, item["group"])
    wrong = []
    if not os.path.isabs(path) or ".." in path.split("/"):
        wrong.append(("is no absolute path", "Write the whole path, without .."))
    if not MODE.fullmatch(mode):
        wrong.append((f"mode {mode!r} is none", "Write it in octal, such as 0644"))
    if uid is None:
        wrong.append((f"there is no user {item['owner']}", "Have the user made first"))
    if gid is None:
        wrong.append((f"there is no group {item['group']}", "Have the group made first"))
    if item["kind"] == DIRECTORY and item["content"] is not None:
        wrong.append(("a directory has no content", "Take content out, or kind"))
    faults += [Fault(f"file {path}", what, mend) for what, mend in wrong]
    if wrong or uid is None or gid is None:
        return None
    path = path.rstrip("/") or "/"
    return Wanted(path, item["kind"], item["content"], int(mode, 8), item["owner"], item["group"], uid, gid)


def _status(path: str) -> os.stat_result | None:
    """Return what a path leads to, through links; None where nothing is."""
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


@dataclass
class FilesPlan:
    """The paths that are not yet as they have to be, with the lines that tell it."""

    changed: Sequence[tuple[Wanted, list[str]]]
    paths: Sequence[str]

    def lines(self) -> list[str]:
        """Return what comes and goes, path by path."""
        return [line for _wanted, lines in self.changed for line in lines]

    def result(self) -> dict[str, Any]:
        """Return the paths that are changed, and all of them."""
        return {"changed_paths": [wanted.path for wanted, _lines in self.changed], "paths": list(self.paths)}

    def apply(self) -> None:
        """Make each path what it has to be, in the order given; a file is replaced in one step."""
        for wanted, _lines in self.changed:
            if wanted.kind == DIRECTORY:
                os.makedirs(wanted.path, exist_ok=True)
            elif wanted.content is not None:
                os.makedirs(os.path.dirname(os.path.realpath(wanted.path)), exist_ok=True)
                write_file(os.path.realpath(wanted.path), wanted.content.encode(), wanted.mode, wanted.uid, wanted.gid)
                continue
            os.chown(wanted.path, wanted.uid, wanted.gid)
            os.chmod(wanted.path, wanted.mode)


def _change(wanted: Wanted, status: os.stat_result | None) -> list[str]:
    """Return the lines of what is not yet as it has to be."""
    sign = "/" if wanted.kind == DIRECTORY else ""
    if status is None:
        content = [f"+ {wanted.path}: {line}" for line in (wanted.content or "").splitlines()]
        return [f"+ {wanted.path}{sign} ({wanted.attributes})", *content]
    lines = []
    if (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) != (wanted.mode, wanted.uid, wanted.gid):
        lines.append(f"~ {wanted.path}{sign} ({wanted.attributes})")
    if wanted.content is not None:
        present = (read_bytes(wanted.path) or b"").decode("utf-8", "surrogateescape")
        if present != wanted.content:
            old, new = present.splitlines(), wanted.content.splitlines()
            both = set(old) & set(new)
            gone = [f"- {wanted.path}: {line}" for line in old if line not in both]
            came = [f"+ {wanted.path}: {line}" for line in new if line not in both]
            lines += gone + came or [f"~ {wanted.path}"]
    return lines


def plan_files(params: Mapping[str, Any], _warn: Callable[[str], None]) -> FilesPlan:
    """Return what makes every path what it has to be; raises SiteError with every fault of the options and of what stands there."""
    faults: list[Fault] = []
    found = [wanted for wanted in (_wanted(item, faults) for item in params["files"]) if wanted is not None]
    changed = []
    for wanted in found:
        status = _status(wanted.path)
        if status is not None and stat.S_ISDIR(status.st_mode) != (wanted.kind == DIRECTORY):
            mend = "See what it is, and put it elsewhere"
            faults.append(Fault(f"file {wanted.path}", f"{'no ' if wanted.kind == DIRECTORY else 'a '}directory is there", mend))
        elif status is not None or wanted.kind == DIRECTORY or wanted.content is not None:
            lines = _change(wanted, status)
            changed += [(wanted, lines)] if lines else []
    raise_faults(faults)
    return FilesPlan(changed, [wanted.path for wanted in found])
