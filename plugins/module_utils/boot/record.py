# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which boot files this site wrote, by TFTP directory and node: others may share one, and only what is recorded is ours to remove.

The record stands beside the site database, so that a directory that no table names any more is still known. It has, for each
path, the digests of what was written there; several while a run is writing.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..apply.files import read_bytes, write_file
from ..errors import SiteError
from ..tables.address import site_directory
from .pxelinux import DIRECTORY

NAME = "boot-files.json"
FORMAT = 2
UNKNOWN = "?"
"""In place of a digest: written before there were any, by pxelinux's form alone."""

Paths = Mapping[str, str]
"""Digests by path below the TFTP directory, the node's own file first; a link's is its target behind `-> `."""

Names = Mapping[str, Mapping[str, Paths]]
"""Paths by TFTP directory and node."""


def record_path(site: str) -> str:
    """Return where the record of the site database at `site` is."""
    return os.path.join(site_directory(site), NAME)


def digest(text: str) -> str:
    """Return what stands for the text of a file."""
    return hashlib.blake2b(text.encode(errors="surrogateescape"), digest_size=8).hexdigest()


def read_record(path: str) -> dict[str, dict[str, Paths]]:
    """Return the paths that were written, by TFTP directory and node; none without a record.

    Raises SiteError for a file that is no record, or one of a newer release.
    """
    content = read_bytes(path)
    if content is None:
        return {}
    try:
        return _parsed(json.loads(content))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        what = _newer(content) or "it is no record of boot files"
        raise SiteError.of(path, what, "Move it away, run nodeset for all nodes, and remove boot files of former nodes by hand") from error


def _newer(content: bytes) -> str:
    try:
        found = json.loads(content)["format"]
    except (ValueError, KeyError, TypeError):
        return ""
    return f"the record has format {found}, this release knows format {FORMAT}" if found not in (1, FORMAT) else ""


def _parsed(found: Any) -> dict[str, dict[str, Paths]]:
    if found["format"] == 1:
        return {tftpdir: {name: {f"{DIRECTORY}/{name}": UNKNOWN} for name in names} for tftpdir, names in found["directories"].items()}
    if found["format"] != FORMAT:
        raise ValueError("another format")
    directories: dict[str, dict[str, Paths]] = found["directories"]
    for nodes in directories.values():
        for paths in nodes.values():
            paths.items()
    return directories


def update(path: str, added: Names, dropped: Names) -> None:
    """Join paths with the record as it is now, and take what is in `dropped` out of it; nothing is written when it says so already.

    Of a node that is in `added`, digests of a path that is there already are kept as well; what is dropped is dropped last.
    """
    with _held(os.path.dirname(path)):
        before = read_record(path)
        after = {tftpdir: dict(nodes) for tftpdir, nodes in before.items()}
        for tftpdir, nodes in added.items():
            known = after.setdefault(tftpdir, {})
            for node, paths in nodes.items():
                known[node] = _joined(paths, known[node]) if node in known else dict(paths)
        for tftpdir, nodes in dropped.items():
            known = after.setdefault(tftpdir, {})
            for node, gone in nodes.items():
                left = _without(known.get(node, {}), gone)
                if left:
                    known[node] = left
                else:
                    known.pop(node, None)
        after = {tftpdir: nodes for tftpdir, nodes in after.items() if nodes}
        if after != before:
            document = json.dumps({"format": FORMAT, "directories": after}, separators=(",", ":"), sort_keys=False)
            write_file(path, f"{document}\n".encode())


def _joined(paths: Paths, others: Paths) -> dict[str, str]:
    """Return the paths of both, with the digests of both."""
    if paths == others:
        return dict(paths)
    found = dict(paths)
    for path, digests in others.items():
        known = found.get(path, "")
        more = [each for each in digests.split("|") if each and each not in known.split("|")]
        found[path] = "|".join([*([known] if known else []), *more])
    return found


def _without(paths: Paths, gone: Paths) -> dict[str, str]:
    """Return the paths without the digests that are gone; a path without any goes as well."""
    found = {}
    for path, digests in paths.items():
        if path in gone:
            others = gone[path].split("|")
            left = "|".join(each for each in digests.split("|") if each not in others)
            if left:
                found[path] = left
        else:
            found[path] = digests
    return found


@contextmanager
def _held(directory: str) -> Iterator[None]:
    """Hold the lock of a directory; waits for another writer, who holds it for the time of one small file."""
    os.makedirs(directory, mode=0o755, exist_ok=True)
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
