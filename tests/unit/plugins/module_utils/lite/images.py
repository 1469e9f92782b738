# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small image trees on disk, made from manifests, and everything of a tree that liteimg must give back."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.diskless.statelite.plugins.module_utils.lite.entry import Entry, entries_of
from ansible_collections.diskless.statelite.plugins.module_utils.lite.layout import Made
from ansible_collections.diskless.statelite.plugins.module_utils.lite.place import Found, ancestors
from ansible_collections.diskless.statelite.plugins.module_utils.lite.treeplan import TreePlan, Wanted, plan_tree

EPOCH = 1_000_000_000_123_456_789
OURS = ("/.default", "/.statelite")


def build(root: Path, manifest: Iterable[Mapping[str, Any]]) -> Path:
    """Make a tree from lines of a recorded manifest (path, type, mode, content or target); times differ from path to path."""
    lines = sorted(manifest, key=lambda line: (line["type"] == "h", line["path"]))
    root.mkdir(parents=True, exist_ok=True)
    for line in lines:
        path = root / line["path"].lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        if line["type"] == "d":
            path.mkdir(exist_ok=True)
        elif line["type"] == "l":
            path.symlink_to(line["target"])
        elif line["type"] == "p":
            os.mkfifo(path)
        elif line["type"] == "s":
            os.mknod(path, 0o600 | stat.S_IFSOCK)
        elif line["type"] == "h":
            os.link(root / line["target"].lstrip("/"), path)
        else:
            path.write_text(line.get("content", "x" * min(line.get("size", 0), 4096)), encoding="utf-8")
    for number, line in enumerate(reversed(lines)):
        path = root / line["path"].lstrip("/")
        if line["type"] not in ("l", "h"):
            path.chmod(int(line["mode"], 8))
        os.utime(path, ns=(EPOCH + number, EPOCH + 7 * number), follow_symlinks=False)
    os.utime(root, ns=(EPOCH, EPOCH))
    return root


def snapshot(root: Path) -> dict[str, tuple[Any, ...]]:
    """Return for every path what must come back: type, mode, owner, time, links, extended attributes, content."""
    found = {}
    for above, names, files in os.walk(root):
        for name in [".", *names, *files] if above == str(root) else [*names, *files]:
            path = os.path.join(above, name)
            here = os.lstat(path)
            content: Any = None
            if stat.S_ISLNK(here.st_mode):
                content = os.readlink(path)
            elif stat.S_ISREG(here.st_mode):
                content = hashlib.sha256(Path(path).read_bytes()).hexdigest()
            keys = sorted(os.listxattr(path, follow_symlinks=False))
            xattrs = tuple((key, os.getxattr(path, key, follow_symlinks=False)) for key in keys)
            inside = "/" + os.path.relpath(path, root)
            found[inside] = (here.st_mode, here.st_uid, here.st_gid, here.st_mtime_ns, here.st_nlink, xattrs, content)
    return found


def timeless(tree: Mapping[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
    """Return a snapshot without the times of what liteimg made itself."""
    return {path: (item[:3] + item[4:] if path.startswith(OURS) or item[3] > EPOCH + 10**9 else item) for path, item in tree.items()}


def foretold(before: Mapping[str, tuple[Any, ...]], made: Made) -> dict[str, Any]:
    """Return the tree that a layout makes of a snapshot: what was there, elsewhere perhaps, and what liteimg makes.

    Written without any of liteimg's own ways of finding a place. Of what liteimg makes only kind, mode and text are told.
    """
    elsewhere = dict(made.moves)
    own = {*made.files, *made.directories}
    elsewhere.update({path: f"/.default{path}" for path in made.links if path not in elsewhere and f"/.default{path}" in own})
    found: dict[str, Any] = {}
    for path, item in before.items():
        places = [place for place in elsewhere if path == place or path.startswith(place + "/")]
        nearest = max(places, key=len, default="")
        found[elsewhere.get(nearest, "") + path[len(nearest) :]] = _lasting(item)
    for path, (was, now) in made.modes.items():
        assert stat.S_IMODE(found[path][0]) == was
        found[path] = (stat.S_IFDIR | now, *found[path][1:])
    new: dict[str, Any] = {path: (stat.S_IFDIR | kind.mode, kind.owner, kind.group) for path, kind in made.directories.items()}
    new.update({path: (stat.S_IFREG | mode, os.getuid(), os.getgid()) for path, mode in made.files.items()})
    new.update(made.links)
    assert not new.keys() & found.keys()
    return {**found, **new}


def told(tree: Mapping[str, tuple[Any, ...]], made: Made) -> dict[str, Any]:
    """Return a snapshot in the form of `foretold`, without the record and the template."""
    found: dict[str, Any] = {}
    for path, item in tree.items():
        if path not in ("/.statelite.json", "/.statelite/plan.template"):
            brief = path in made.directories or path in made.files
            found[path] = item[6] if path in made.links else item[:3] if brief else _lasting(item)
    return found


def _lasting(item: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return what stays of a thing when others come and go: a directory counts those in it."""
    return item[:4] + item[5:] if stat.S_ISDIR(item[0]) else item


def rows_of(table: Mapping[str, str]) -> list[dict[str, str]]:
    """Return litefile rows from path to options."""
    return [{"image": "img1", "file": path, "options": options} for path, options in table.items()]


def entries(table: Mapping[str, str], liteattach: str = "link") -> list[Entry]:
    """Return the entries of rows given as path to options."""
    return entries_of(rows_of(table), liteattach)


def plan(root: Path, table: Mapping[str, str] | None, liteattach: str = "link", permission: int = 0o755) -> TreePlan:
    """Plan a tree for rows given as path to options; None stands for state absent."""
    return plan_tree(str(root), Wanted("img1", None if table is None else entries(table, liteattach), permission))


def apply(root: Path, table: Mapping[str, str] | None, liteattach: str = "link") -> list[str]:
    """Lay a tree out; return the lines of the plan."""
    made = plan(root, table, liteattach)
    lines = made.lines()
    made.apply()
    return lines


class Manifest:
    """A tree that exists only as a dictionary from path to Found (place.Tree)."""

    def __init__(self, paths: Mapping[str, str]) -> None:
        self.found: dict[str, Found] = {}
        for path, text in paths.items():
            for place in ancestors(path):
                self.found.setdefault(place, Found("d"))
            if text.startswith("->"):
                self.found[path] = Found("l", 0o777, text=text[2:].strip())
            else:
                self.found[path] = Found(text[0], int(text[1:] or "755", 8))

    def look(self, path: str) -> Found | None:
        """Return what stands at the path."""
        return self.found.get(path)

    def links_below(self, path: str) -> list[tuple[str, str]]:
        """Return the links in a directory."""
        return [(name[len(path) + 1 :], item.text) for name, item in self.found.items() if name.startswith(path + "/") and item.kind == "l"]


def tree(paths: Mapping[str, str]) -> Manifest:
    """Return a tree of `{"/etc": "d700", "/etc/hosts": "f644", "/var/run": "-> /run"}`."""
    return Manifest(paths)
