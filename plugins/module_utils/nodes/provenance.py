# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who gave the variables of a path their values: the node, one of its groups, the site, or a documented default."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .attributes import DEFAULTED, VARIABLES, substitute
from .images import image_of
from .servers import XCATMASTER
from .values import attribute

if TYPE_CHECKING:
    from .site import Site


class Variable(NamedTuple):
    """One variable of a path: its name without `$`, what it comes to for the node, and who says so."""

    name: str
    value: str
    source: str


def variables(site: Site, node: str, written: str, where: str) -> list[Variable]:
    """Return the variables of a text in written order, each once; raises SiteError for one that is unset."""
    names = [name for run in VARIABLES.findall(written) for name in run[1:].split("$")]
    return [variable(site, node, name, where) for name in dict.fromkeys(names)]


def variable(site: Site, node: str, name: str, where: str) -> Variable:
    """Return one variable with its value, as `substitute` gives it, and who gave it."""
    return Variable(name, substitute(site, node, f"${name}", where), _source(site, node, name))


def _source(site: Site, node: str, name: str) -> str:
    table, _dot, column = name.partition(".")
    if name == "node":
        return "the node's name"
    if table == "site":
        return "table site" if site.row("site", key=column) else "default of the table site"
    found = attribute(site, node, table, column)
    if found is not None and not ((table, column) in DEFAULTED and found.text == XCATMASTER):
        return found.source
    if (table, column) in DEFAULTED:
        master = attribute(site, node, "noderes", "xcatmaster")
        if master is not None:
            return f"noderes.xcatmaster of {master.source}"
        return "table site, key master" if site.setting("master") else "this server"
    return f"image {image_of(site, node)}"
