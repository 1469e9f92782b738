# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a build was made from, and in which words two such records differ (pure but for reading small files).

An image is built again when its inputs differ from those in the record of the newest generation, and only then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from ..apply.files import read_bytes
from .credentials import Credentials
from .definition import Definition
from .initramfs import DRIVERS, NETDRIVERS, dracut_arguments
from .interfaces import interface_files
from .pkglist import PackageList
from .tree import TreeFile

COLUMNS = ("osvers", "osarch", "profile", "provmethod", "kernelver", "krpmver", "netdrivers", "scriptlets")
"""Columns that decide the content; the others say where it lies or how it boots."""

MAX_NAMES = 12
"""Packages named in one line of a plan; the rest is counted."""


@dataclass(frozen=True)
class Inputs:
    """Files that go into the image, and the record of everything that decides its content."""

    agent: Sequence[TreeFile]
    overlay: Sequence[TreeFile]
    credentials: Credentials
    record: Mapping[str, Any]


def _listed(packages: PackageList) -> dict[str, Any]:
    """Return what a list asks for, as the record has it; a plain list is two sets of names."""
    found: dict[str, Any] = {"install": sorted(packages.install), "exclude": sorted(packages.exclude)}
    if len(packages.passes) > 1 or any(run.before or run.environment for run in packages.passes):
        found["runs"] = [[sorted(run.before), sorted(run.install), dict(run.environment)] for run in packages.passes]
    if packages.remove:
        found["remove"] = sorted(packages.remove)
    if any(packages.directories):
        found["directories"] = sorted(packages.directories)
    return found


def gather(definition: Definition, agent: Sequence[TreeFile], overlay: Sequence[TreeFile], credentials: Credentials) -> Inputs:
    """Return the inputs of one build. The record names every file by its digest and holds no content and no secret."""
    image = definition.image
    overlay = [*overlay, *interface_files(image)]
    files = {f"dracut module {file.path}": file.digest for file in agent}
    files.update({f"root file {file.path}": file.digest for file in overlay})
    files.update({f"credential {file.path}": file.digest for file in credentials.files})
    files.update({f"postinstall {words[0]}": sha256(read_bytes(words[0]) or b"").hexdigest() for words in definition.postinstall})
    record = {
        "definition": {name: image.column(name) for name in COLUMNS if image.column(name)},
        "environment": {
            name: sha256(value.encode("utf-8", "surrogateescape")).hexdigest() for name, value in definition.environment.items()
        },
        "files": files,
        "initramfs": [*dracut_arguments("VERSION", DRIVERS), *NETDRIVERS.get(image.osarch, ())],
        "installer": definition.installer.options(),
        "pkglist": _listed(definition.packages),
        "postinstall": [list(words) for words in definition.postinstall],
        "root password": sha256(credentials.root_hash.encode()).hexdigest() if credentials.root_hash else "",
    }
    if definition.others.packages != PackageList():
        record["otherpkglist"] = _listed(definition.others.packages)
    return Inputs(agent, overlay, credentials, record)


def _names(sign: str, names: Sequence[str]) -> list[str]:
    shown = [f"{sign}{name}" for name in names[:MAX_NAMES]]
    return [*shown, f"and {len(names) - MAX_NAMES} more"] if len(names) > MAX_NAMES else shown


def _list_change(old: Sequence[str], new: Sequence[str]) -> str:
    return " ".join([*_names("+", sorted(set(new) - set(old))), *_names("-", sorted(set(old) - set(new)))])


def _list_changes(title: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return a line for each kind of words in which a list differs."""
    lines = []
    for key, words in (("install", ""), ("exclude", ", kept out"), ("remove", ", removed afterwards"), ("directories", ", directories")):
        changed = _list_change(before.get(key, ()), after.get(key, ()))
        lines += [f"{title} changed{words}: {changed}"] if changed else []
    if not lines and before.get("runs") != after.get("runs"):
        lines.append(f"{title} changed: its runs or their environment")
    return lines


def _dictionary_changes(title: str, old: Mapping[str, Any], new: Mapping[str, Any], values: bool) -> list[str]:
    """Return a line for each key that differs; with its two values when `values` is set."""
    lines = []
    for key in sorted({*old, *new}):
        if old.get(key) != new.get(key):
            word = "new" if key not in old else "gone" if key not in new else "changed"
            shown = f": {old.get(key) or 'unset'} -> {new.get(key) or 'unset'}" if values else f" {word}"
            lines.append(f"{title}{key}{shown}")
    return lines


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return in words how the inputs `new` differ from the recorded ones; empty when an image need not be built."""
    lines = []
    for title in ("pkglist", "otherpkglist"):
        lines += _list_changes(title, old.get(title, {}), new.get(title, {}))
    lines += _dictionary_changes("definition changed: ", old.get("definition", {}), new["definition"], True)
    lines += _dictionary_changes("installer changed: ", old.get("installer", {}), new["installer"], True)
    lines += _dictionary_changes("environment changed: ", old.get("environment", {}), new["environment"], False)
    lines += _dictionary_changes("", old.get("files", {}), new["files"], False)
    for title in ("initramfs", "postinstall", "root password"):
        if (old.get(title) or None) != (new[title] or None):
            lines.append(f"{title} changed")
    return lines


def package_differences(recorded: Mapping[str, str], offered: Mapping[str, str]) -> list[str]:
    """Return one line when the repositories would give other packages than the image has; else nothing."""
    added = [f"+{name} {offered[name]}" for name in sorted(offered) if name not in recorded]
    gone = [f"-{name}" for name in sorted(recorded) if name not in offered]
    moved = [
        f"{name} {recorded[name]} -> {offered[name]}" for name in sorted(offered) if recorded.get(name, offered[name]) != offered[name]
    ]
    found = [*moved, *added, *gone]
    return [f"repositories changed: {', '.join(_names('', found))}"] if found else []
