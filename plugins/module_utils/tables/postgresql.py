# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A site's tables in a PostgreSQL database, in a schema of their own.

A writer is alone by a lock of the server (a second one waits as long as with SQLite, and then reads what the first wrote);
a reader sees one moment and waits for nobody. A connection that is lost is made again and its transaction done again; whether
a commit whose answer was lost was made is told by the token that each write leaves beside its version.
"""

from __future__ import annotations

import os
import pkgutil
import re
import sys
import time
from collections.abc import Callable
from typing import Any

from ..errors import SiteError
from .address import NO_SECRET, Address
from .database import Cursor, Result

WAIT = 60.0
"""Seconds that a writer waits for another one to finish."""
PATIENCE = 20.0
"""Seconds in which a lost connection may come back, or a server that starts may be ready."""
SCHEMA = "statelite"
LOCK = 0x73746174656C6974
"""Of the advisory locks of the database, the one that a writer of the site holds."""
KEPT = 1000
"""Writes whose tokens are kept: more than can be made while one connection is lost."""
DRIVERS = ("psycopg2", "psycopg")
DRIVER_MEND = "Install the package python3-psycopg2 or python3-psycopg of the distribution; only a site on PostgreSQL needs it"
READ_WRITE = "read-write"

READING = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
WRITING = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
NAMES = "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relkind = 'r'"
RIGHTS = """SELECT DISTINCT a.privilege_type, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END
FROM pg_class c CROSS JOIN aclexplode(c.relacl) a WHERE c.oid = 'meta'::regclass AND a.grantee <> c.relowner ORDER BY 1, 2"""
"""Which rights others than the owner have on the tables that were made first."""

DOWN = ("08", "57P01", "57P02", "57P03", "53300")
"""States of an error that a new connection may mend: connection failures, a server that stops or starts, or is full."""
ANEW = ("40001", "40P01")
"""States of an error that doing the transaction again may mend: a conflict with another one, or with what a replica replays."""
ANSWERED = re.compile(r"FATAL:(?!.*(?:starting up|shutting down|recovery|not yet accepting|too many|connection slots))", re.DOTALL)
"""What the server says to who may not come in, now or later."""
DOWN_MEND = f"See whether the server runs and lets this machine and role in. A password: {NO_SECRET[0].lower()}{NO_SECRET[1:]}"
MENDS = {
    "55P03": f"Another writer has held it for {WAIT:.0f} s: wait for it to end, then run again",
    "42501": f"Let the role read (GRANT USAGE ON SCHEMA {SCHEMA}, SELECT ON ALL TABLES IN SCHEMA {SCHEMA}), or own the schema to write",
    "25006": "Name the host of the primary in the URL as well, to write: postgresql://PRIMARY,REPLICA/DATABASE",
}


def load_driver() -> Any:
    """Return the driver that this machine's Python has. Raises SiteError that names the packages of one."""
    for name in DRIVERS:
        try:
            return pkgutil.resolve_name(name)
        except ImportError:
            continue
    raise SiteError.of("site postgresql://...", f"{sys.executable} has no driver for PostgreSQL", DRIVER_MEND)


class PostgresqlDatabase:
    """The tables in one database of a server, or of several servers of which one can be written to."""

    mark = "%s"
    order = "row_place"
    order_column = "row_place BIGINT GENERATED ALWAYS AS IDENTITY, "
    exists = True

    def __init__(self, address: Address) -> None:
        self._address = address
        self._driver = load_driver()
        self._connection: Any = None
        self._writable = False
        self.replica = False

    def create(self) -> None:
        """Nothing: whoever runs the server makes the database; `prepare` makes the schema."""

    def run(self, work: Callable[[Cursor], Result], writing: bool = False) -> Result:
        """Return what `work` does in one transaction, done again while the connection is lost and comes back in time.

        The time begins when it is lost: a writer may have waited for another one before.
        """
        end: float | None = None
        pause = 0.05
        while True:
            try:
                return self._once(work, writing)
            except self._driver.Error as error:
                lost = self._lost(error)
                self.close()
                now = time.monotonic()
                end = now + PATIENCE if end is None else end
                if not lost or now + pause > end:
                    raise self._named(error) from error
            time.sleep(pause)
            pause = min(2 * pause, 1.0)

    def _once(self, work: Callable[[Cursor], Result], writing: bool) -> Result:
        """Do it in one transaction. A machine that dies holding the lock holds it no longer than writers wait."""
        connection, milliseconds = self._connected(writing), int(WAIT * 1000)
        with connection.cursor() as cursor:
            try:
                limits = f"SET LOCAL idle_in_transaction_session_timeout = {milliseconds}; SET LOCAL lock_timeout = {milliseconds}"
                cursor.execute(f"{WRITING if writing else READING}; SET LOCAL search_path = {SCHEMA}; {limits}")
                if writing:
                    cursor.execute(f"SELECT pg_advisory_xact_lock({LOCK})")
                result = work(cursor)
                cursor.execute("COMMIT")
            except BaseException as error:
                if not isinstance(error, self._driver.Error):
                    self.close()
                raise
        return result

    def _connected(self, writing: bool) -> Any:
        """Return the open connection; one to the server that can be written to when `writing`, or when readers have the choice."""
        if self._connection is not None and (self._writable or not writing):
            return self._connection
        self.close()
        if writing:
            self._open(READ_WRITE)
        elif self._address.hosts > 1 and not self._chosen():
            try:
                self._open(READ_WRITE)
            except self._driver.OperationalError:
                self._open(None)
        else:
            self._open(None)
        return self._connection

    def _chosen(self) -> bool:
        """Tell whether the URL, a service file or the environment says of what kind the server shall be that is read from."""
        said = {"target_session_attrs", "service"}.intersection(self._address.parameters)
        return bool(said or os.environ.get("PGTARGETSESSIONATTRS") or os.environ.get("PGSERVICE"))

    def _open(self, kind: str | None) -> None:
        """Open a connection; to a server of this kind when it is given."""
        defaults = {"connect_timeout": "10", "fallback_application_name": "diskless.statelite", "keepalives_idle": "30"}
        options = {name: value for name, value in defaults.items() if name not in self._address.parameters}
        options["client_encoding"] = "UTF8"
        if kind is not None:
            options["target_session_attrs"] = kind
        connection = self._driver.connect(self._address.url, **options)
        self._connection = connection
        connection.autocommit = True
        if hasattr(connection, "prepare_threshold"):
            connection.prepare_threshold = None
        encoding = connection.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            self.close()
            mend = "Make it with createdb --encoding=UTF8 --template=template0"
            raise SiteError.of(self._address.shown, f"the database has the encoding {encoding}, not UTF8", mend)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_is_in_recovery()")
            (self.replica,) = cursor.fetchone()
        self._writable = kind == READ_WRITE

    def _lost(self, error: Any) -> bool:
        """Tell whether the transaction can be done again: the connection is gone, or the server said so.

        An error of an open connection that has no state did not come from the server; psycopg2 does not always notice that it is closed.
        """
        state = _state_of(error)
        if state is not None:
            return state.startswith(DOWN) or state in ANEW
        if self._connection is None:
            return ANSWERED.search(str(error)) is None
        return not isinstance(error, (self._driver.ProgrammingError, self._driver.DataError, self._driver.NotSupportedError))

    def _named(self, error: Any) -> SiteError:
        """Return the error with the site's name; never with a statement or its values, which the driver tells along."""
        state = _state_of(error)
        if state is None:
            told = " ".join(str(error).split()) or type(error).__name__
            mend = MENDS["25006"] if "read-only" in told else DOWN_MEND
        else:
            told = " ".join(str(error.diag.message_primary).split())
            mend = MENDS.get(state, "See the log of the server")
        if state == "55P03":
            told = f"it is locked ({told})"
        return SiteError.of(self._address.shown, f"the site database can't be used: {told}", mend)

    def names(self, cursor: Cursor) -> set[str]:
        """Return the names of the tables in the schema of the site."""
        cursor.execute(NAMES, (SCHEMA,))
        return {name for (name,) in cursor}

    def prepare(self, cursor: Cursor) -> None:
        """Make the schema, unless whoever made the database made it for this role, and the table of tokens."""
        cursor.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (SCHEMA,))
        if not list(cursor):
            cursor.execute(f"CREATE SCHEMA {SCHEMA}")
        cursor.execute("CREATE TABLE writes (version BIGINT PRIMARY KEY, token TEXT NOT NULL)")

    def share(self, cursor: Cursor, name: str) -> None:
        """Let whoever may read the first tables read one that came later: `ALL TABLES` were those that were there then."""
        cursor.execute(RIGHTS)
        for right, role in list(cursor):
            cursor.execute(f'GRANT {right} ON "{name}" TO {role}')

    def done(self, cursor: Cursor, token: str) -> bool:
        """Tell whether the write with this token was committed."""
        cursor.execute("SELECT 1 FROM writes WHERE token = %s", (token,))
        return bool(list(cursor))

    def note(self, cursor: Cursor, version: int, token: str) -> None:
        """Keep the token beside the version, and forget those of long ago."""
        cursor.execute("DELETE FROM writes WHERE version >= %s OR version < %s", (version, version - KEPT))
        cursor.execute("INSERT INTO writes VALUES (%s, %s)", (version, token))

    def revision(self, cursor: Cursor) -> str:
        """Return the token of the last write."""
        cursor.execute("SELECT token FROM writes ORDER BY version DESC LIMIT 1")
        return "".join(token for (token,) in cursor)

    def close(self) -> None:
        """Close the connection, which may be broken."""
        connection, self._connection, self._writable = self._connection, None, False
        if connection is not None:
            connection.close()


def _state_of(error: Any) -> str | None:
    """Return the five characters by which the server told what kind of error it is; None when it did not tell it."""
    state: str | None = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    return state
