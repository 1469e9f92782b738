# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A site's tables in an SQLite file."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable

from ..errors import SiteError
from .database import Cursor, Result

WAIT = 60.0
"""Seconds that a writer waits for another one to finish."""


class SqliteDatabase:
    """One file. Reading never creates or changes it."""

    mark = "?"
    order = "rowid"
    order_column = ""
    replica = False

    def __init__(self, path: str) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    @property
    def exists(self) -> bool:
        """Whether a writer has made the database; an empty file is one that was killed before it had."""
        try:
            return os.stat(self._path).st_size > 0
        except (FileNotFoundError, NotADirectoryError):
            return False

    def create(self) -> None:
        """Make the directory and an empty file, readable by root and the group alone, when there is none."""
        os.makedirs(os.path.dirname(self._path), mode=0o755, exist_ok=True)
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
        except FileExistsError:
            return
        os.fchmod(descriptor, 0o640)
        os.close(descriptor)

    def connection(self) -> sqlite3.Connection:
        """Return the open connection."""
        if self._connection is None:
            location = f"file:{_uri_quoted(self._path)}?mode=rw"
            self._connection = sqlite3.connect(location, uri=True, timeout=WAIT, isolation_level=None)
        return self._connection

    def run(self, work: Callable[[Cursor], Result], writing: bool = False) -> Result:
        """Return what `work` does in one transaction; whatever it raises rolls back."""
        try:
            connection = self.connection()
            connection.execute("BEGIN IMMEDIATE" if writing else "BEGIN")
            try:
                result = work(connection.cursor())
            except BaseException:
                connection.rollback()
                raise
            connection.execute("COMMIT")
            return result
        except sqlite3.Error as error:
            self.close()
            raise SiteError.of(self._path, f"the site database can't be used: {error}", _mend(error)) from error

    def names(self, cursor: Cursor) -> set[str]:
        """Return the names of the tables that are there."""
        return {name for (name,) in cursor.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}

    def prepare(self, cursor: Cursor) -> None:
        """Nothing: a file is a place of its own."""

    def share(self, cursor: Cursor, name: str) -> None:
        """Nothing: who may read the file may read every table."""

    def done(self, _cursor: Cursor, _token: str) -> bool:
        """Tell that no commit's answer is lost: the library runs in this process."""
        return False

    def note(self, cursor: Cursor, version: int, token: str) -> None:
        """Nothing: see `done`."""

    def revision(self, _cursor: Cursor) -> str:
        """Return nothing: the file's times tell."""
        return ""

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _mend(error: sqlite3.Error) -> str:
    if "locked" in str(error):
        return f"Another writer has held it for {WAIT:.0f} s: wait for it to end, then run again"
    return "Check that the path is a site database and that its directory can be written"


def _uri_quoted(path: str) -> str:
    """Return the path as it stands in an SQLite URI."""
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
