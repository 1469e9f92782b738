# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nfs-ganesha's configuration: our whole file, the identifiers that file handles hold, and what the server says it exports."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from ..errors import Fault, SiteError, raise_faults
from .exporttable import EVERYBODY, Export

HEADER = """# Written by diskless.statelite (module exports). Changes made here are lost.
# The highest Export_Id given out so far: {last}
"""
LAST = re.compile(r"^# The highest Export_Id given out so far: ([0-9]+)$", re.MULTILINE)
IDENTIFIER = re.compile(r"Export_Id = ([0-9]+);\n\s+Path = \"([^\"\n]*)\";")
HIGHEST = 65535
"""Export_Id is sixteen bits."""

SQUASH = {"no_root_squash": "No_Root_Squash", "root_squash": "Root_Squash", "all_squash": "All_Squash", "no_all_squash": None}
PORTS = {"secure": "true", "insecure": "false"}
SILENT = ("ro", "rw", "sync", "async", "subtree_check", "no_subtree_check", "wdelay", "no_wdelay", "hide", "nohide", "crossmnt", "sec=sys")
"""Options of the kernel's server that ganesha does always, never, or by itself."""

GLOBAL = """
NFS_CORE_PARAM {{
    Protocols = {versions};
{bind}    Enable_NLM = false;
    Enable_RQUOTA = false;
    mount_path_pseudo = true;
}}

NFSV4 {{
    RecoveryBackend = fs;
    RecoveryRoot = {recovery};
    Graceless = {graceless};
    Only_Numeric_Owners = true;
}}

NFS_KRB5 {{
    Active_krb5 = false;
}}

# An image tree changes under running nodes: without these two they get stale handles (tried).
MDCACHE {{
    Dir_Chunk = 0;
}}

EXPORT_DEFAULTS {{
    Attr_Expiration_Time = 0;
}}
"""
EXPORT = """
# {why}
EXPORT {{
    Export_Id = {identifier};
    Path = "{path}";
    Pseudo = "{path}";
    Access_Type = None;
    Protocols = {versions};
    Transports = TCP;
    SecType = sys;
    Squash = {squash};
{ports}    FSAL {{
        Name = VFS;
    }}
    CLIENT {{
        Clients = {clients};
        Protocols = {versions};
        Access_Type = {access};
    }}
}}
"""


def known_identifiers(text: str) -> tuple[dict[str, int], int]:
    """Return (path -> Export_Id, the highest one given out so far) of a file that `render` wrote; empty text gives none."""
    known = {path: int(number) for number, path in IDENTIFIER.findall(text)}
    last = LAST.search(text)
    return known, max([int(last.group(1)) if last else 0, *known.values()])


def identifiers(exports: Sequence[Export], text: str) -> tuple[dict[str, int], int]:
    """Return the Export_Id of each path and the highest one given out: a path keeps its own while it is exported.

    A running node's file handles hold the number: it must not change, and another directory must not get it soon.
    """
    known, last = known_identifiers(text)
    taken = {export.path: known[export.path] for export in exports if export.path in known}
    free = iter(sorted(set(range(1, HIGHEST + 1)) - set(known.values())))
    for export in exports:
        if export.path in taken:
            continue
        if last < HIGHEST:
            last += 1
            taken[export.path] = last
            continue
        number = next(free, None)
        if number is None:
            raise SiteError.of("nfs-ganesha", f"more than {HIGHEST} exports are needed", "Divide the nodes between several servers")
        taken[export.path] = number
    return taken, last


def check(exports: Iterable[Export]) -> None:
    """Raise SiteError for options and paths that cannot be said in ganesha's configuration."""
    faults: dict[Fault, None] = {}
    for export in exports:
        for option in export.options:
            if option not in SQUASH and option not in PORTS and option not in SILENT:
                faults[Fault("options", f"nfs-ganesha has no option '{option}'", "Take it out, or use the kernel's server")] = None
        if re.search(r'["\\\n]', export.path):
            faults[Fault(f"directory {export.path!r}", "cannot be written into nfs-ganesha's configuration", "Rename it")] = None
    raise_faults(faults)


def _squash(export: Export) -> str:
    return next((SQUASH[option] or "No_Root_Squash" for option in reversed(export.options) if option in SQUASH), "Root_Squash")


def _ports(export: Export) -> str:
    return next((f"    PrivilegedPort = {PORTS[option]};\n" for option in reversed(export.options) if option in PORTS), "")


def _block(export: Export, identifier: int, versions: str) -> str:
    return EXPORT.format(
        why=export.why,
        identifier=identifier,
        path=export.path,
        versions=versions,
        squash=_squash(export),
        ports=_ports(export),
        clients=", ".join(export.clients) if EVERYBODY not in export.clients else EVERYBODY,
        access="RW" if export.writable else "RO",
    )


def render(exports: Sequence[Export], present: str, settings: Mapping[str, str]) -> str:
    """Return our whole file; `present` is the file as it stands, whose identifiers are kept.

    `settings`: versions (`4` or `3, 4`), bind (an address or empty), graceless (`true` or `false`), recovery (a directory).
    """
    check(exports)
    numbers, last = identifiers(exports, present)
    bind = f"    Bind_addr = {settings['bind']};\n" if settings["bind"] else ""
    parts = [HEADER.format(last=last)]
    parts.append(GLOBAL.format(versions=settings["versions"], bind=bind, recovery=settings["recovery"], graceless=settings["graceless"]))
    parts.extend(_block(export, numbers[export.path], settings["versions"]) for export in exports)
    return "".join(parts)


def served(answer: str) -> dict[int, str]:
    """Return Export_Id -> path of what `ShowExports` answered on the system bus (dbus-send --print-reply)."""
    found = {}
    for struct in re.split(r"\bstruct \{", answer)[1:]:
        number = re.search(r"uint16 ([0-9]+)", struct)
        path = re.search(r'string "([^"\n]*)"', struct)
        if number and path:
            found[int(number.group(1))] = path.group(1)
    return found


def differences(found: Mapping[int, str], exports: Sequence[Export], text: str) -> list[str]:
    """Return how the server's exports differ from those of our file `text`, in words; the pseudo root is its own."""
    numbers, _last = known_identifiers(text)
    wanted = {numbers[export.path]: export.path for export in exports}
    lines = [f"{path} (Export_Id {number}) is not exported" for number, path in wanted.items() if found.get(number) != path]
    lines += [
        f"{path} (Export_Id {number}) is exported, which nothing declares"
        for number, path in found.items()
        if number and number not in wanted
    ]
    return lines
