# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boot files that nobody changed since nodeset wrote them for the same rows are known again without planning them anew.

Beside the site database are kept: what was asked, the version of the tables, and inode, size and times of the database, the
record, every boot file, every directory that has names of them, and of what the images' kernels were copied from. Anything
else than exact agreement means a plan from the tables. Nothing depends on this file; it may be removed.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Mapping
from typing import Any

from ..apply.files import read_bytes, write_file
from ..apply.signing import BROUGHT, DIRECTORY, KEY, PUBLIC, TRUSTED
from ..tables.address import site_directory
from .bootfiles import BootFiles
from .record import record_path

NAME = "boot-files.seen"
RULES = 2
"""To be raised whenever the same rows come to give other boot files."""

COARSE = 5
"""CLOCK_REALTIME_COARSE of Linux, by which file systems tell the time; Python has no name for it."""

SECOND = 1_000_000_000
WAIT = 0.2
"""Seconds that the file system's clock may take to go on after the last change."""


def key_of(database: str, revision: str, params: Mapping[str, Any], here: Iterable[str]) -> str:
    """Return what stands for everything that was asked of the tables as they are."""
    tables = [revision, _stamp(os.path.realpath(database))]
    asked = [params["noderange"], params["state"], bool(params.get("noupdateinitrd")), bool(params.get("own"))]
    return json.dumps([RULES, *asked, tables, sorted(here)])


def _path(database: str) -> str:
    return os.path.join(site_directory(database), NAME)


def _stamp(path: str) -> tuple[int, ...]:
    try:
        found = os.lstat(path)
    except OSError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _stamps(paths: Iterable[str]) -> tuple[str, int]:
    """Return a digest of how the paths are, and the newest of the times; 0 for a file system that tells whole seconds."""
    made, newest, whole = hashlib.blake2b(digest_size=16), 0, True
    for path in paths:
        stamp = _stamp(path)
        made.update(repr(stamp).encode())
        if stamp:
            newest = max(newest, stamp[3])
            whole = whole and not stamp[3] % SECOND
    return made.hexdigest(), 0 if whole else newest


def _watched(database: str, directories: Iterable[BootFiles]) -> list[str]:
    """Return every path that the boot files depend on, but for the tables."""
    pki = os.path.join(site_directory(database), DIRECTORY)
    paths = [record_path(database), pki, *(os.path.join(pki, name) for name in (KEY, PUBLIC, TRUSTED, BROUGHT))]
    for each in directories:
        names = [path for files in each.wanted.values() for path in files.paths]
        paths += sorted({os.path.join(each.tftpdir, os.path.dirname(path)) for path in names})
        for pair in each.pairs.values():
            for name, source in sorted(pair.sources.items()):
                paths += [source, os.path.dirname(source), os.path.join(each.tftpdir, pair.path(name))]
        paths += each.watched
        paths += [f"{each.tftpdir}/{path}" for files in each.wanted.values() for path in files.texts]
    return list(dict.fromkeys(paths))


def remember(database: str, key: str, directories: Iterable[BootFiles], told: Mapping[str, Any]) -> None:
    """Write down how everything stands after a plan was carried out, and what the module tells of it.

    Only once the clock of the file system has gone on: a change at the same tick would leave no trace in the times.
    """
    paths = _watched(database, directories)
    stamps, newest = _stamps(paths)
    if not newest:
        return
    end = time.monotonic() + WAIT
    while time.clock_gettime_ns(COARSE) <= newest:
        if time.monotonic() > end:
            return
        time.sleep(0.002)
    if _stamps(paths)[0] == stamps:
        document = {"key": key, "stamps": stamps, "paths": paths, "told": told}
        write_file(_path(database), json.dumps(document, separators=(",", ":")).encode())


def recall(database: str, key: str) -> dict[str, Any] | None:
    """Return what was told of boot files when everything is as it was; else None."""
    content = read_bytes(_path(database))
    if content is None:
        return None
    try:
        document = json.loads(content)
        if document["key"] != key or _stamps(document["paths"])[0] != document["stamps"]:
            return None
        told = document["told"]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return told if isinstance(told, dict) else None
