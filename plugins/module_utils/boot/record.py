# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which boot files this site wrote, by TFTP directory: others may share one, and only what is recorded is ours to remove.

The record stands beside the site database, so that a directory that no table names any more is still known.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

from ..apply.files import read_bytes, write_file
from ..errors import SiteError
from ..tables.store import database_path

NAME = "boot-files.json"
FORMAT = 1

Names = Mapping[str, Collection[str]]
"""Names of nodes by TFTP directory."""


def record_path(site: str) -> str:
    """Return where the record of the site database at `site` is."""
    return os.path.join(os.path.dirname(database_path(site)), NAME)


def read_record(path: str) -> dict[str, frozenset[str]]:
    """Return the names of nodes whose boot files were written, by TFTP directory; none without a record.

    Raises SiteError for a file that is no record, or one of a newer release.
    """
    content = read_bytes(path)
    if content is None:
        return {}
    try:
        found = json.loads(content)
        if found["format"] == FORMAT:
            return {tftpdir: frozenset(names) for tftpdir, names in found["directories"].items()}
        what = f"the record has format {found['format']}, this release knows format {FORMAT}"
    except (ValueError, KeyError, TypeError, AttributeError):
        what = "it is no record of boot files"
    raise SiteError.of(path, what, "Move it away, run nodeset for all nodes, and remove boot files of former nodes by hand")


def update(path: str, added: Names, dropped: Names) -> None:
    """Add and drop names in the record as it is now; nothing is written when it says so already."""
    with _held(os.path.dirname(path)):
        before = read_record(path)
        after = {
            tftpdir: (before.get(tftpdir, frozenset()) - frozenset(dropped.get(tftpdir, ()))) | frozenset(added.get(tftpdir, ()))
            for tftpdir in {**before, **added}
        }
        after = {tftpdir: names for tftpdir, names in after.items() if names}
        if after != before:
            directories = {tftpdir: sorted(names) for tftpdir, names in sorted(after.items())}
            write_file(path, f"{json.dumps({'format': FORMAT, 'directories': directories}, indent=1)}\n".encode())


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
