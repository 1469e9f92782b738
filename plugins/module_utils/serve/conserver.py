# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""conserver's consoles of nodes from nodehm: a terminal server's port, or the site's own command; the site's file is included as it is."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..apply.commands import run_command
from ..apply.files import read_bytes, write_file
from ..apply.scratch import scratch
from ..errors import Fault, SiteError, raise_faults
from ..nodes.site import Site
from ..nodes.values import attribute
from ..tables.store import DEFAULT_SITE, open_store
from . import linechanges

SPEC: dict[str, Any] = {
    "command": {"type": "list", "elements": "str", "default": []},
    "path": {"type": "path", "default": "/etc/conserver/statelite.cf"},
    "main_file": {"type": "path", "default": "/etc/conserver/conserver.cf"},
    "site": {"type": "str", "default": DEFAULT_SITE},
}
"""The options of the module."""

HEADER = "# Written by diskless.statelite (module conserver). Changes made here are lost."
NAME = re.compile(r"[A-Za-z0-9_.:-]+")
SPECIAL = re.compile(r'[{};#\\"]')
"""What conserver.cf takes for more than itself unless a backslash is before it; between double quotes a backslash can't be written last."""

NO, YES = ("0", "no", "n", "false"), ("1", "yes", "y", "true")
LIMIT = 60.0
CHECK = "Correct what conserver names; nothing was changed"


@dataclass(frozen=True)
class Console:
    """How the console of one node is reached: `host` and `port` of a terminal server, else a command of the site."""

    node: str
    master: str
    host: str = ""
    port: str = ""
    command: tuple[str, ...] = ()
    ondemand: bool = False

    def block(self) -> list[str]:
        """Return conserver's lines for it."""
        if self.host:
            how = ["\ttype host;", f"\thost {quoted(self.host)};", f"\tport {self.port};"]
        else:
            how = ["\ttype exec;", f"\texec {quoted(shlex.join(self.command))};"]
        wait = ["\toptions ondemand;"] if self.ondemand else []
        return [f"console {quoted(self.node)} {{", f"\tmaster {quoted(self.master)};", *how, *wait, "}"]


def quoted(text: str) -> str:
    """Return a word as conserver.cf has it, whatever is in it."""
    return SPECIAL.sub(r"\\\g<0>", text)


def _cell(site: Site, node: str, column: str) -> str:
    found = attribute(site, node, "nodehm", column)
    return found.text.strip() if found else ""


def method_of(site: Site, node: str) -> str:
    """Return nodehm.cons; where a serial port is set and no method, nodehm.mgt, as in the original. Empty for a node without a console."""
    return _cell(site, node, "cons") or (_cell(site, node, "mgt") if _cell(site, node, "serialport") else "")


def consoles(site: Site, command: Sequence[str]) -> list[Console]:
    """Return the consoles of the site by name; raises SiteError with every fault."""
    found, faults = [], []
    for node in sorted(site.nodes()):
        host, method = _cell(site, node, "termserver"), method_of(site, node)
        if not (host or method) or _cell(site, node, "consoleenabled").lower() in NO:
            continue
        ondemand = (_cell(site, node, "consoleondemand") or site.setting("consoleondemand")).lower() in YES
        master = _cell(site, node, "conserver") or "localhost"
        port = _cell(site, node, "termport")
        faults += list(_faults(node, host, port, master, command, method))
        words = tuple(word.replace("{node}", node).replace("{method}", method) for word in command)
        found.append(Console(node, master, host, port if host else "", () if host else words, ondemand))
    raise_faults(faults)
    return found


def _faults(node: str, host: str, port: str, master: str, command: Sequence[str], method: str) -> Iterable[Fault]:
    where = f"table nodehm, node {node}"
    for column, text in (("termserver", host), ("conserver", master)):
        if text and not NAME.fullmatch(text):
            yield Fault(f"{where}, column {column}", f"{text!r} is no host name and no address", "Correct it")
    if host and (not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536):
        yield Fault(f"{where}, column termport", f"{port!r} is no port of {host}", "Write a number from 1 to 65535")
    if not host and not command:
        mend = "Set command (consoles_command in the role consoles) to what connects to it, or termserver and termport"
        yield Fault(where, f"nothing connects to a console by {method}", mend)


def render(found: Sequence[Console], main: str) -> str:
    """Return the text of our file, which begins with the site's own."""
    lines = [HEADER, f"#include {main}", *(line for console in found for line in console.block())]
    return "".join(f"{line}\n" for line in lines)


@dataclass
class ConserverPlan:
    """Our file as it is and as it has to be."""

    path: str
    present: str | None
    text: str
    nodes: list[str]

    def lines(self) -> list[str]:
        """Return the lines that come and go."""
        return linechanges.told(self.path, self.present, self.text)

    def result(self) -> dict[str, Any]:
        """Return the file, and the nodes that have a console in it."""
        return {"path": self.path, "nodes": self.nodes}

    def validate(self) -> None:
        """Have conserver read all of it as it would be; raises SiteError with its own words."""
        with scratch("conserver") as stage:
            write_file(os.path.join(stage, "conserver.cf"), self.text.encode())
            run_command(["conserver", "-S", "-C", os.path.join(stage, "conserver.cf")], limit=LIMIT, mend=CHECK)

    def apply(self) -> None:
        """Put the file in place after conserver has accepted it."""
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        self.validate()
        write_file(self.path, self.text.encode())


def read_and_plan(params: dict[str, Any], _warn: Callable[[str], None]) -> ConserverPlan:
    """Read the site and plan; `params` are the options of the module."""
    with open_store(params["site"]) as store:
        site = Site(store.tables())
    found = consoles(site, params["command"])
    if not os.path.isfile(params["main_file"]):
        raise SiteError.of(params["main_file"], "is not there", "Install conserver-server, or name the site's own file in main_file")
    raw = read_bytes(params["path"])
    present = None if raw is None else raw.decode(errors="replace")
    return ConserverPlan(params["path"], present, render(found, params["main_file"]), [each.node for each in found])
