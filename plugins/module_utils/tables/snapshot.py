# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The published snapshot of a site: a file that readers without access to the database load whole."""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..errors import SiteError

SCHEMA = 1
"""Version of the tables and of this file's form; a database or snapshot with a higher one is refused."""
TEMPORARY = ".statelite-"
"""How the name of a file begins that has not been renamed to its place yet."""

Tables = Mapping[str, Sequence[dict[str, str]]]


def load_snapshot(path: str) -> tuple[int, dict[str, list[dict[str, str]]]]:
    """Return (version, rows by table) of the snapshot at `path`.

    Raises SiteError when there is none yet, or when it is not a snapshot that this release reads.
    """
    document = _read(path)
    if document is None:
        raise SiteError.of(path, "there is no published snapshot of the site", "Run any module that writes a table of the site")
    if document.get("schema") != SCHEMA:
        what = f"the snapshot has schema version {document.get('schema')!r}"
        raise SiteError.of(path, what, f"Use the release that wrote it; this one reads schema version {SCHEMA}")
    tables: dict[str, list[dict[str, str]]] = document["tables"]
    return document["version"], tables


def published(path: str) -> tuple[str, int] | None:
    """Return (database identity, version) of the snapshot at `path`, or None when there is no sound one."""
    document = _read(path)
    if document is None or document.get("schema") != SCHEMA:
        return None
    return document.get("database", ""), document["version"]


def _read(path: str) -> dict[str, Any] | None:
    """Return the document at `path`; None when the file is missing or is no snapshot at all."""
    try:
        with open(path, encoding="utf-8") as stream:
            document = json.load(stream)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    except OSError as error:
        raise SiteError.of(
            path, f"the snapshot can't be read: {error.strerror}", "Give the reader's user the group of the directory"
        ) from error
    sound = isinstance(document, dict) and isinstance(document.get("version"), int) and isinstance(document.get("tables"), dict)
    return document if sound else None


def publish(path: str, current: Callable[[], tuple[str, int, Tables] | None]) -> None:
    """Write what `current` gives (database identity, version, tables) to `path`; nothing when it says that this stands there.

    `current` is called under the lock of the directory: of two writers, the second publishes what both have written.
    A reader sees the old snapshot or the new one; a temporary file that a killed writer left is removed by the next one.
    """
    directory = os.path.dirname(path)
    os.makedirs(directory, mode=0o750, exist_ok=True)
    lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = current()
        if found is None:
            return
        database, version, tables = found
        document = {"schema": SCHEMA, "version": version, "database": database, "tables": tables}
        content = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        for name in os.listdir(lock):
            if name.startswith(TEMPORARY):
                os.unlink(os.path.join(directory, name))
        replace_file(path, content, 0o640, os.fstat(lock).st_gid)
    finally:
        os.close(lock)


def replace_file(path: str, content: bytes, mode: int, group: int, owner: int = -1) -> None:
    """Make `path` hold `content` by one rename of a file of its own, with this mode, group and (unless -1) owner."""
    directory = os.path.dirname(path) or "."
    descriptor, temporary = tempfile.mkstemp(prefix=TEMPORARY, dir=directory)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            os.fchown(stream.fileno(), owner, group)
            os.fchmod(stream.fileno(), mode)
            stream.flush()
            os.fsync(stream.fileno())
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    held = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(held)
    finally:
        os.close(held)
