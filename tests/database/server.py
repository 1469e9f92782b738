# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL as Debian has it: the site's server on a machine of its own, by TLS and a password, and a standby of it on another one."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager

from box import Box
from processes import LabError

UNIT = "postgresql@15-main.service"
INSTALL = "DEBIAN_FRONTEND=noninteractive apt-get install --quiet --yes --no-install-recommends postgresql"
INSTALL_LIMIT = 600
LIMIT = 180
"""Seconds within which what has to come does come, also on a slow machine that has much else to do."""
AUTHORITY = "/etc/statelite/db-ca.pem"
PASSWORD_FILE = "/etc/statelite/db.pass"
WRITERS = int.from_bytes(b"statelit", "big")
"""The advisory lock that a writer of the site holds, as tables/postgresql.py has it."""

SERVE = r"""
set -e
cd /etc/postgresql/15/main
umask 077
new="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
openssl req -x509 $new -days 30 -subj /CN=db-ca -keyout ca.key -out ca.pem
openssl req $new -subj /CN=db1 -addext subjectAltName=DNS:db1 -keyout server.key -out server.csr
openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -copy_extensions copy -out server.pem
chown postgres: server.key server.pem
cat > conf.d/site.conf <<'END'
listen_addresses = '*'
ssl_cert_file = '/etc/postgresql/15/main/server.pem'
ssl_key_file = '/etc/postgresql/15/main/server.key'
END
chmod 644 conf.d/site.conf
cat >> pg_hba.conf <<'END'
hostssl all statelite 10.77.0.0/24 scram-sha-256
hostssl replication follower 10.77.0.0/24 scram-sha-256
END
systemctl restart postgresql@15-main.service
as="runuser --user postgres --"
cd /
$as createuser statelite
$as createuser --replication follower
$as createuser looker
$as createdb --owner=statelite --encoding=UTF8 --template=template0 site
"""
FOLLOW = rf"""
set -e
systemctl stop {UNIT}
cd /etc/postgresql/15/main
cat > conf.d/site.conf <<'END'
log_connections = on
END
sed --in-place '1i local site looker peer map=machine' pg_hba.conf
echo 'machine root looker' >> pg_ident.conf
cd /var/lib/postgresql
rm --recursive 15/main
install --owner=postgres --group=postgres --mode=600 /dev/null .pgpass
echo "db1:5432:*:follower:$PASSWORD" > .pgpass
runuser --user postgres -- pg_basebackup --pgdata=15/main --write-recovery-conf --wal-method=stream --checkpoint=fast \
    --dbname="host=db1 user=follower sslmode=verify-full sslrootcert={AUTHORITY} passfile=/var/lib/postgresql/.pgpass"
systemctl start {UNIT}
"""


class Server:
    """The server on its machine."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.password = secrets.token_hex(12)

    def serve(self) -> None:
        """Install it and make the site's database, as docs/database.md tells it."""
        self.box.command(INSTALL, limit=INSTALL_LIMIT)
        self.box.command("sh", limit=LIMIT, script=SERVE)
        for role in ("statelite", "follower"):
            self.ask(f"ALTER ROLE {role} PASSWORD '{self.password}'", "postgres")

    def let_in(self, machine: Box) -> None:
        """Give a machine what a URL names: the server's name, the certificate that it is known by, the password."""
        authority = self.box.command("cat /etc/postgresql/15/main/ca.pem")
        machine.command(f"echo '{self.box.address} {self.box.name}' >> /etc/hosts; install --directory --mode=755 /etc/statelite")
        machine.command(f"install --mode=644 /dev/stdin {AUTHORITY}", script=authority)
        line = f"{self.box.name}:5432:*:statelite:{self.password}\n"
        machine.command(f"install --mode=600 /dev/stdin {PASSWORD_FILE}", script=line)

    def follow(self, machine: Box) -> None:
        """Make a machine that was let in a standby; its root is the role `looker` there, which may read."""
        for statement in ("GRANT USAGE ON SCHEMA statelite TO looker", "GRANT SELECT ON ALL TABLES IN SCHEMA statelite TO looker"):
            self.ask(statement)
        machine.command(INSTALL, limit=INSTALL_LIMIT)
        machine.command("sh", limit=LIMIT, script=f"PASSWORD={self.password}\n{FOLLOW}")

    def caught_up(self, standby: Box) -> None:
        """Wait until a standby has all that was written."""
        written = self.ask("SELECT pg_current_wal_lsn()", "postgres")
        self._until(f"SELECT pg_last_wal_replay_lsn() >= '{written}'", "t", "the standby does not follow", standby)

    def ask(self, statement: str, database: str = "site", box: Box | None = None) -> str:
        """Return what a statement gives, as the server's own user."""
        words = f"cd /; runuser --user postgres -- psql --quiet --no-align --tuples-only --set=ON_ERROR_STOP=1 {database}"
        return (box or self.box).command(words, limit=LIMIT, script=statement).strip()

    def _until(self, statement: str, wanted: str, fault: str, box: Box | None = None) -> None:
        end = time.monotonic() + LIMIT
        while self.ask(statement, "postgres", box) != wanted:
            if time.monotonic() > end:
                raise LabError(fault)
            time.sleep(0.2)

    def tables(self) -> str:
        """Return everything that is in the site's schema."""
        dump = self.box.command("cd /; runuser --user postgres -- pg_dump --schema=statelite site", limit=LIMIT)
        return re.sub(r"(?m)^(--|\\).*\n", "", dump)

    @property
    def made(self) -> str:
        """How many schemas of a site are there."""
        return self.ask("SELECT count(*) FROM pg_namespace WHERE nspname = 'statelite'")

    @contextmanager
    def written_to(self) -> Iterator[None]:
        """Hold the lock of writers, as one does that is at work."""
        psql = "runuser --user postgres -- psql --command='SELECT pg_advisory_lock({})' --command='SELECT pg_sleep(3600)' site"
        self.box.command(f"systemd-run --quiet --collect --unit=writer --working-directory=/ {psql.format(WRITERS)}")
        self._until(self._locks("granted"), "1", "the lock of writers is not given")
        try:
            yield
        finally:
            self.box.command("systemctl stop writer.service || true")

    def wait_for_waiting(self) -> None:
        """Wait until another writer waits for that lock."""
        self._until(self._locks("NOT granted"), "1", "no module waits for the writer that is at work")

    @staticmethod
    def _locks(how: str) -> str:
        return f"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND {how}"

    def switch(self, action: str) -> None:
        """Start, stop or restart the server."""
        self.box.command(f"systemctl {action} {UNIT}", limit=LIMIT)
