# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables in paths: `$node` and `$table.column` for one node (behaviour.md b.3, statelite document 2.3 and 2.4)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..errors import SiteError
from ..tables.schema import TABLES
from .images import image_of, osimage
from .servers import XCATMASTER, nfsserver, resolve, tftpserver, xcatmaster
from .values import Value, attribute

if TYPE_CHECKING:
    from .site import Site

__all__ = ["Value", "attribute", "location", "substitute"]

VARIABLES = re.compile(r"\$[^/:\s#]*")
"""One run of variables: it ends at `/`, `:`, a blank or `#`."""

IMAGE_COLUMNS = {"os": "osvers", "arch": "osarch", "profile": "profile"}
"""What nodetype says about a node when it does not: what its image says."""

DEFAULTED: dict[tuple[str, str], Callable[[Site, str], str]] = {
    ("noderes", "nfsserver"): nfsserver,
    ("noderes", "tftpserver"): tftpserver,
    ("noderes", "xcatmaster"): xcatmaster,
}
"""Variables that have a documented default when no row sets them (decisions.md, Tables)."""


def _unset(where: str, variable: str, node: str) -> SiteError:
    table, _dot, column = variable.partition(".")
    mend = f"Set {column} in the table site" if table == "site" else f"Set {variable} for the node or one of its groups"
    return SiteError.of(where, f"${variable} is not set for node {node}", f"{mend}, or take the variable out")


def _variable(site: Site, node: str, variable: str, where: str) -> str:
    """Return what one variable (without `$`) comes to."""
    if variable == "node":
        site.bound = True
        return node
    table, dot, column = variable.partition(".")
    if not dot or not column:
        raise SiteError.of(where, f"'${variable}' is no variable", "Write $node or $table.column; a variable ends at / : # or a blank")
    if table == "site":
        value = site.setting(column)
        if not value:
            raise _unset(where, variable, node)
        return value
    known = TABLES.get(table)
    if known is None or known.columns[0].name != "node":
        raise SiteError.of(where, f"'${variable}' names '{table}', which is no table of nodes", "Use a table that has a row for each node")
    if column not in {each.name for each in known.columns}:
        raise SiteError.of(where, f"'${variable}' names a column that the table {table} does not have", "Correct the column's name")
    found = attribute(site, node, table, column)
    if (table, column) in DEFAULTED and (found is None or found.text == XCATMASTER):
        return DEFAULTED[table, column](site, node)
    text = found.text if found else _of_image(site, node, table, column)
    if not text:
        raise _unset(where, variable, node)
    return text


def _of_image(site: Site, node: str, table: str, column: str) -> str:
    """Return what the node's image says in place of an unset os, arch or profile, else an empty text."""
    method = attribute(site, node, "nodetype", "provmethod")
    if table != "nodetype" or column not in IMAGE_COLUMNS or method is None:
        return ""
    return osimage(site, image_of(site, node)).column(IMAGE_COLUMNS[column])


def substitute(site: Site, node: str, text: str, where: str) -> str:
    """Return `text` with its variables replaced for `node`; several in one component are joined by a dot.

    Raises SiteError naming `where`, the variable and the node when a variable is unknown or unset, and when the
    text asks for a command (`#CMD=`), which would run as root.
    """
    if "#CMD=" in text:
        raise SiteError.of(where, "a path cannot run a command (#CMD=)", "Use a variable of a table instead")

    def values(match: re.Match[str]) -> str:
        return ".".join(_variable(site, node, variable, where) for variable in match.group(0)[1:].split("$"))

    return VARIABLES.sub(values, text)


def location(site: Site, node: str, text: str, where: str) -> tuple[str | None, str]:
    """Return `server:directory` of a litetree or statelite row as (address or None, directory) for `node`.

    The directory is absolute, with single slashes, none at its end, and no part that is a dot. A text without server, or with an empty
    one, gives None: what that means is the caller's rule.
    """
    match = re.fullmatch(r"(?:(\[[^\]]*\]|[^:/]*):)?(.*)", text.strip(), re.DOTALL)
    server, directory = (match.group(1), match.group(2)) if match else (None, text)
    directory = substitute(site, node, directory, where)
    if not directory.startswith("/") or re.search(r"[\x00-\x1f\x7f]", directory) or ".." in directory.split("/"):
        raise SiteError.of(where, f"'{directory}' is not an absolute path (node {node})", "Write server:/directory without '..'")
    directory = "/" + "/".join(part for part in directory.split("/") if part not in ("", "."))
    if not server:
        return None, directory
    return resolve_server(site, node, server, where), directory


def resolve_server(site: Site, node: str, server: str, where: str) -> str:
    """Return the address of a server text that may hold variables."""
    return resolve(site, substitute(site, node, server, where), where)
