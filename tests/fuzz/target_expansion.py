# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values that are computed for a node: `|pattern|value|`, `$table.column` in directories, noderanges, conditions, policy rows.

Only what the tables take in is tried. Only SiteError may come out, in bounded time; a directory stays below the part of it that
is written out, whatever the attributes of the node say.
"""

from __future__ import annotations

import contextlib
import os

import atheris
import harness

with atheris.instrument_imports(include=[harness.COLLECTION]):
    from ansible_collections.diskless.statelite.plugins.module_utils.answer import policy
    from ansible_collections.diskless.statelite.plugins.module_utils.apply.generations import Generation
    from ansible_collections.diskless.statelite.plugins.module_utils.boot.kernel_args import Root, kernel_words
    from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
    from ansible_collections.diskless.statelite.plugins.module_utils.nodes import expressions
    from ansible_collections.diskless.statelite.plugins.module_utils.nodes.attributes import attribute
    from ansible_collections.diskless.statelite.plugins.module_utils.nodes.images import osimage
    from ansible_collections.diskless.statelite.plugins.module_utils.nodes.mounts import levels_of, state_of
    from ansible_collections.diskless.statelite.plugins.module_utils.nodes.noderange import expand
    from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site
    from ansible_collections.diskless.statelite.plugins.module_utils.tables.schema import TABLES, check_rows, check_table

expressions.LIMIT = 0.02
NODE = "r1c02n003-ib"
COLUMNS = (
    ("nodepos", "room"),
    ("nodepos", "rack"),
    ("noderes", "nfsserver"),
    ("noderes", "nfsdir"),
    ("hosts", "ip"),
    ("mac", "mac"),
    ("nodetype", "provmethod"),
    ("nodehm", "serialspeed"),
    ("statelite", "mntopts"),
)
FIXED = {
    "nodelist": [{"node": NODE, "groups": "compute,all"}, {"node": "n2", "groups": "all"}],
    "hosts": [{"node": "n2", "ip": "10.0.0.2", "hostnames": "srv"}],
    "osimage": [{"imagename": "img1", "osvers": "debian12", "osarch": "x86_64", "profile": "c", "provmethod": "statelite"}],
    "site": [{"key": "master", "value": "10.0.0.1"}],
    "nodetype": [{"node": "all", "provmethod": "img1"}],
}


def site_of(rows: dict[str, list[dict[str, str]]]) -> Site | None:
    """Return a site with these rows besides the fixed ones, or None when the tables would refuse them."""
    tables = {name: [*FIXED.get(name, []), *rows.get(name, [])] for name in {**FIXED, **rows}}
    if any(check_rows(TABLES[name], each) or check_table(TABLES[name], each) for name, each in tables.items()):
        return None
    return Site(tables, ("10.0.0.1",))


def written_out(directory: str) -> str:
    """Return the directories that a written location names before its first variable, without the server."""
    _server, colon, path = ("", "", "") if directory.startswith("/") else directory.partition(":/")
    path = "/" + (path if colon else directory).lstrip("/") if colon or directory.startswith("/") else ""
    return os.path.normpath(os.path.dirname(path.partition("$")[0]) or "/") if path.startswith("/") else "/"


def below(directory: str, written: str) -> None:
    harness.expect(directory.startswith("/") and "\n" not in directory, f"{written!r} gives {directory!r}")
    harness.expect(os.path.normpath(directory) == directory, f"{written!r} gives {directory!r}")
    first = written_out(written).rstrip("/")
    harness.expect(f"{directory}/".startswith(f"{first}/"), f"{written!r} gives {directory!r}, which is not below {first!r}")


def value(given: harness.Input) -> None:
    """Compute one attribute of the node, and what is made of it."""
    table, column = COLUMNS[given.below(len(COLUMNS))]
    directory, state, text = given.one_of(("/lt/$T", "$T:/lt/$node", "/lt/a$T$node/x", "srv:/$T/")), "/state/$T", given.texts(1)[0]
    holder = given.one_of((NODE, "compute"))
    rows = {table: [{"node": holder, column: text}]}
    variable = f"${table}.{column}"
    rows["litetree"] = [{"priority": "1", "directory": directory.replace("$T", variable)}]
    rows.setdefault("statelite", []).append({"node": "all", "statemnt": state.replace("$T", variable)})
    look(rows, table, column)


def look(rows: dict[str, list[dict[str, str]]], table: str, column: str) -> None:
    """Ask for everything that is computed of these rows."""
    site = site_of(rows)
    if site is None:
        return
    image = osimage(site, "img1")
    with contextlib.suppress(SiteError):
        attribute(site, NODE, table, column)
    with contextlib.suppress(SiteError):
        for level in levels_of(site, NODE, image):
            below(level.directory, rows["litetree"][0]["directory"])
    with contextlib.suppress(SiteError):
        state = state_of(site, NODE, image)
        if state is not None:
            below(state.directory, rows["statelite"][-1]["statemnt"])
    root = Root(image, Generation(image.rootimgdir, 1))
    for ask in (lambda: site.node_at("10.0.0.2"), lambda: kernel_words(site, NODE, root)):
        with contextlib.suppress(SiteError):
            ask()


def directory(given: harness.Input) -> None:
    """Compute a directory with variables, their values given too."""
    levels, state, room, rack, options = given.texts(5)
    rows = {
        "nodepos": [{"node": NODE, "room": room, "rack": rack}],
        "litetree": [{"priority": "1", "directory": levels, "mntopts": options}],
        "statelite": [{"node": "compute", "statemnt": state}],
    }
    look(rows, "nodepos", "room")


def noderange(given: harness.Input) -> None:
    """Expand a noderange."""
    text, where = given.texts(2)
    group = [{"groupname": "few", "grouptype": "dynamic", "wherevals": where}] if where else []
    site = site_of({"nodegroup": group})
    if site is None:
        return
    try:
        found = expand(site, text)
    except SiteError:
        return
    harness.expect(set(found) <= {NODE, "n2"} and found == sorted(found), f"{text!r} gives {found}")


def rules(given: harness.Input) -> None:
    """Decide a request by a policy row."""
    parameters, noderange_text, argument, rule = given.texts(4)
    row = {"priority": "1", "commands": "litefile", "parameters": parameters, "noderange": noderange_text, "rule": rule}
    if not check_rows(TABLES["policy"], [row]):
        policy.decide([row], policy.Asked("litefile", "", (NODE,), (argument,), (NODE,)), {noderange_text.strip(): [NODE]})


KINDS = (value, directory, noderange, rules)


def one(data: bytes) -> None:
    given = harness.Input(data)
    KINDS[given.below(len(KINDS))](given)


if __name__ == "__main__":
    harness.fuzz(one)
