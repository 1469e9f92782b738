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
from .initramfs import DRIVERS, MODULES, NETDRIVERS, dracut_arguments
from .tree import TreeFile

COLUMNS = ("osvers", "osarch", "profile", "provmethod", "kernelver", "netdrivers")
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


def gather(definition: Definition, agent: Sequence[TreeFile], overlay: Sequence[TreeFile], credentials: Credentials) -> Inputs:
    """Return the inputs of one build. The record names every file by its digest and holds no content and no secret."""
    image = definition.image
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
        "initramfs": [*dracut_arguments("VERSION", DRIVERS), *NETDRIVERS.get(image.osarch, ()), *MODULES],
        "installer": definition.installer.options(),
        "pkglist": {"install": sorted(definition.packages.install), "exclude": sorted(definition.packages.exclude)},
        "postinstall": [list(words) for words in definition.postinstall],
        "root password": sha256(credentials.root_hash.encode()).hexdigest() if credentials.root_hash else "",
    }
    return Inputs(agent, overlay, credentials, record)


def _names(sign: str, names: Sequence[str]) -> list[str]:
    shown = [f"{sign}{name}" for name in names[:MAX_NAMES]]
    return [*shown, f"and {len(names) - MAX_NAMES} more"] if len(names) > MAX_NAMES else shown


def _list_change(old: Sequence[str], new: Sequence[str]) -> str:
    return " ".join([*_names("+", sorted(set(new) - set(old))), *_names("-", sorted(set(old) - set(new)))])


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
    before, after = old.get("pkglist", {}), new["pkglist"]
    packages = _list_change(before.get("install", ()), after["install"])
    excluded = _list_change(before.get("exclude", ()), after["exclude"])
    lines += [f"pkglist changed: {packages}"] if packages else []
    lines += [f"pkglist changed, kept out: {excluded}"] if excluded else []
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
