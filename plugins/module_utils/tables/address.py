# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the database of a site is, and where this machine keeps the site's own files: what the option `site` says."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from urllib.parse import unquote

from ..errors import SiteError

DEFAULT_SITE = "/etc/statelite/site.db"
SQLITE = ("sqlite", "file")
POSTGRESQL = ("postgresql", "postgres")
PUBLISHED = "published"
"""The directory of snapshots, beside the database."""
SECRETS = ("password", "sslpassword")
"""Parameters of libpq that a URL may not have: it stands in playbooks, logs and lists of processes."""
COPY = ".json"
"""How the path of a published snapshot ends: a copy of the site on a server that has no database."""
DIRECTORY = "directory"
"""The one parameter of a URL that is ours."""
NO_SECRET = "Keep it in a password file (PGPASSFILE, ~/.pgpass, passfile=PATH) or a service file, and leave it out of the URL"


@dataclass(frozen=True)
class Address:
    """A site's database: `site` opens it again, `shown` is how lines and faults call it, `directory` holds the site's own files.

    Of PostgreSQL `url` is what libpq is given, and `parameters` are what stands in it.
    """

    site: str
    shown: str
    directory: str
    url: str = ""
    hosts: int = 1
    parameters: tuple[str, ...] = ()

    @property
    def snapshot(self) -> str:
        """Where the tables are published for readers without access to the database."""
        return os.path.join(self.directory, PUBLISHED, "site.json")


def address_of(site: str) -> Address:
    """Return where the database is: at an absolute path, its URL (sqlite: or file:), or on the server of a postgresql: URL.

    Raises SiteError for any other URL, and for one that holds a password; that is never shown.
    """
    scheme, is_url, rest = site.partition("://")
    if is_url and (re.match(r"[^/@]*:[^/@]*@", rest) or (scheme in POSTGRESQL and _holds_secret(rest))):
        raise SiteError.of(f"site {scheme}://...", "the URL holds a password", NO_SECRET)
    if is_url and scheme in POSTGRESQL:
        return _on_server(scheme, rest)
    if is_url and scheme not in SQLITE:
        what = f"there are no databases of kind {scheme} here"
        mend = f"Give the path of an SQLite database, such as {DEFAULT_SITE}, or postgresql://HOST/DATABASE"
        raise SiteError.of(f"site {scheme}://...", what, mend)
    path = unquote(rest) if is_url else site
    if not path.startswith("/"):
        example = f"{scheme}://{DEFAULT_SITE}" if is_url else DEFAULT_SITE
        raise SiteError.of(f"site {_cut(site)!r}", "it is no absolute path", f"Give the whole path, such as {example}")
    path = "/" + path.lstrip("/")
    directory = os.path.dirname(path)
    if path.endswith(COPY) and os.path.basename(directory) == PUBLISHED:
        directory = os.path.dirname(directory)
    return Address(path, path, directory)


def echo_of(site: str) -> str:
    """Return what may be shown of the option `site`, whatever stands in it: of a URL with a password only of what kind it is."""
    try:
        address = address_of(site)
    except SiteError:
        scheme, is_url, _rest = site.partition("://")
        return f"{scheme}://..." if is_url else _cut(site)
    return address.shown if address.url else site


def site_directory(site: str) -> str:
    """Return the directory of this machine that holds what belongs to the site besides its database: snapshot, keys, records."""
    return address_of(site).directory


def _cut(site: str) -> str:
    """Return what is no site, cut off before what may be a password: somebody may have meant a server in other words."""
    scheme, is_url, rest = site.partition("://")
    if not re.search("[:@=?#]", rest if is_url else site):
        return site
    return f"{scheme}://..." if is_url else re.split("[:@=?#]", site)[0] + "..."


def _holds_secret(rest: str) -> bool:
    """Tell whether what follows postgresql:// has a password in one of its places, or an @ that can only be of one."""
    place, _mark, query = rest.partition("?")
    names = [unquote(pair.partition("=")[0]).strip().lower() for pair in query.split("&")]
    user, at, hosts = place.partition("@")
    return any(name in SECRETS for name in names) or (bool(at) and (":" in user or "/" in user or "@" in hosts)) or "@" in query


def _on_server(scheme: str, rest: str) -> Address:
    """Return the address of a database on a PostgreSQL server, with our own parameter taken out of what libpq is given."""
    place, _mark, query = rest.partition("?")
    hosts = place.partition("/")[0].rpartition("@")[2]
    if re.search(r":(?!\d*$)", re.sub(r"\[[^\]]*\]", "", hosts).replace(",", "\n"), re.MULTILINE) or "#" in rest:
        what = "what stands behind the host is no port"
        raise SiteError.of(f"site {scheme}://...", what, "Write postgresql://USER@HOST:5432/DATABASE, special characters as %XX")
    given = [pair.partition("=") for pair in query.split("&") if pair]
    named = {unquote(name): unquote(value) for name, _equals, value in given}
    directory = named.pop(DIRECTORY, os.path.dirname(DEFAULT_SITE))
    shown = f"postgresql://{place}"
    if not directory.startswith("/"):
        where = f"site {shown}: {DIRECTORY}"
        raise SiteError.of(where, f"{directory!r} is no absolute path", "Give the whole path, such as /etc/statelite")
    kept = "&".join("".join(pair) for pair in given if unquote(pair[0]) != DIRECTORY)
    several = named.get("host", hosts).count(",") + 1
    url = f"postgresql://{place}" + (f"?{kept}" if kept else "")
    return Address(f"{scheme}://{rest}", shown, directory.rstrip("/") or "/", url, several, tuple(sorted(named)))
