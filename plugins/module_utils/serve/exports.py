# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock-down: export the site's directories as declared, and see that nothing else opens them (statelite document 2.1)."""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..apply import overrides
from ..apply.addresses import local_addresses
from ..apply.commands import run_command
from ..apply.files import read_bytes, write_file
from ..errors import Fault, SiteError, raise_faults
from ..nodes.site import Site
from ..tables.address import site_directory
from ..tables.store import DEFAULT_SITE, open_store
from . import ganesha, kernelexports
from .exporttable import SUBTREE, Export, Wanted, state_directories, wanted
from .linechanges import gone_and_new

KERNEL = "kernel"
GANESHA = "ganesha"
SPEC: dict[str, Any] = {
    "server": {"type": "str", "choices": [GANESHA, KERNEL], "default": GANESHA},
    "clients": {"type": "list", "elements": "str", "default": ["*"]},
    "options": {"type": "list", "elements": "str", "default": ["ro", "no_root_squash", "sync", "subtree_check"]},
    "take_over": {"type": "bool", "default": False},
    "accept_risk": {"type": "bool", "default": False},
    "addresses": {"type": "list", "elements": "str", "default": []},
    "path": {"type": "path"},
    "foreign_files": {"type": "list", "elements": "str", "default": ["/etc/exports", "/etc/exports.d/*.exports"]},
    "versions": {"type": "list", "elements": "int", "default": [3, 4]},
    "bind_address": {"type": "str"},
    "graceless": {"type": "bool", "default": False},
    "recovery": {"type": "path", "default": "/var/lib/nfs/ganesha"},
    "site": {"type": "str", "default": DEFAULT_SITE},
}
"""The options that the module and its `_info` twin share."""

PATHS = {KERNEL: "/etc/exports.d/statelite.exports", GANESHA: "/etc/ganesha/statelite.conf"}
ETAB = "/var/lib/nfs/etab"
UNIT = "nfs-ganesha.service"
LIMIT = 60.0
SHOW = (
    "dbus-send", "--system", "--print-reply", "--dest=org.ganesha.nfsd", "/org/ganesha/nfsd/ExportMgr",
    "org.ganesha.nfsd.exportmgr.ShowExports",
)  # fmt: skip
OWN_FILES = "/etc"
SHOWN = 3
MANY = 1000
"""Exports that nfs-ganesha reads in a second or two; the time grows with their square (role nfs_exports, Thousands of nodes)."""

SETTLE = 20.0
"""Seconds in which ganesha has read its file again after a SIGHUP."""


def read_site(path: str) -> Site:
    """Return the declared site from its database, or from a published snapshot on another server."""
    with open_store(path) as store:
        return Site(store.tables(), local_addresses())


def foreign_lines(patterns: Iterable[str], own: str) -> list[kernelexports.Line]:
    """Return the entries of the kernel's export files that are not ours, in the order in which the server reads them."""
    files = [file for pattern in patterns for file in sorted(glob.glob(pattern)) if file != own]
    return [line for file in files for line in kernelexports.parse(file, _text(file))]


def _text(path: str) -> str:
    return (read_bytes(path) or b"").decode("utf-8", "surrogateescape")


def _device(path: str) -> int:
    """Return the file system of a path, or of the nearest directory above it that is there."""
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return os.stat(path).st_dev


def state_faults(site: Site, directories: Iterable[str]) -> list[Fault]:
    """Return a fault for each directory of state that is on the file system of the images (decisions.md, The servers)."""
    installdir = site.setting("installdir")
    images = _device(installdir)
    shared = sorted({os.path.dirname(path) for path in directories if _device(path) == images})
    return [
        Fault(
            f"state directory {path}",
            f"is on the file system of {installdir}, where a forged file handle reaches from one to the other",
            "Put state on a file system of its own, or set accept_risk",
        )
        for path in shared
    ]


def reached_by_handles(lines: Iterable[kernelexports.Line], exports: Iterable[Export]) -> list[str]:
    """Return a warning for each export, foreign or ours, whose clients reach what else is on a file system that we export.

    Without SUBTREE the kernel's server asks of a file handle only whether its file system is exported to the client.
    """
    places = [(each, _device(each.path)) for each in exports]
    found = [
        f"{each.path}: without {SUBTREE} its clients reach everything on its file system by forged file handles"
        for each, _place in places
        if kernelexports.said(each.options, SUBTREE) != SUBTREE
    ]
    ours = {device: each.path for each, device in reversed(places)}
    for line in lines:
        device = _device(line.path)
        if device in ours and any(kernelexports.said(options, SUBTREE) != SUBTREE for _client, options in line.clients):
            reached = f"by forged file handles its clients reach everything on its file system, as {ours[device]}"
            found.append(f"{line.place}: exports {line.path} without {SUBTREE}: {reached}")
    return found


def beside_our_own(exports: Iterable[Export]) -> list[str]:
    """Return a warning for exports on the file system of this server's own files.

    nfs-ganesha asks of a file handle only which export it names (tests/guest): it has nothing like SUBTREE.
    """
    device = _device(OWN_FILES)
    places = [each.path for each in exports if _device(each.path) == device]
    if not places:
        return []
    named = ", ".join(places[:SHOWN]) + (f" and {len(places) - SHOWN} more" if len(places) > SHOWN else "")
    reached = f"lie on the file system of {OWN_FILES}: nfs-ganesha gives out every file of it, this server's keys too, for forged handles"
    return [f"{named} {reached}. Put them on another file system, or use the kernel's server"]


def too_many(exports: Sequence[Export]) -> list[str]:
    """Return a warning where nfs-ganesha has more exports than it reads in reasonable time."""
    if len(exports) <= MANY:
        return []
    slow = "which it reads for minutes at each start and at each change (the time grows with the square of the exports)"
    mend = "Use the kernel's server, or divide the nodes' state between several servers"
    return [f"nfs-ganesha gets {len(exports)} exports, {slow}. {mend}"]


@dataclass
class ExportsPlan:
    """Our file, foreign files with lines taken out of effect, directories to make; then one reload, checked."""

    server: str
    path: str
    text: str
    present: str | None
    wanted: Wanted
    made: list[str]
    taken: dict[str, tuple[str, str]]
    reload: bool

    def lines(self) -> list[str]:
        """Return one line a change: directories, foreign lines, and the lines of our file that come or go."""
        lines = [f"+ directory {path}" for path in self.made]
        for file, (before, after) in self.taken.items():
            gone = [line for line, commented in zip(before.split("\n"), after.split("\n")) if line != commented]
            lines += [f"- {file}: {line}" for line in gone]
        if self.present != self.text:
            gone, new = gone_and_new(self.present, self.text)
            lines += [f"- {self.path}: {line}" for line in gone if line.strip()]
            lines += [f"+ {self.path}: {line}" for line in new if line.strip()]
        return lines or ([f"~ {self.path}"] if self.present != self.text else [])

    def result(self) -> dict[str, Any]:
        """Return the table of exports and the file that holds it."""
        table = [
            {"path": each.path, "clients": list(each.clients), "options": list(each.options), "for": each.why}
            for each in self.wanted.exports
        ]
        return {"exports": table, "path": self.path, "taken_over": sorted(self.taken)}

    def apply(self) -> None:
        """Write everything and tell the server; when what it then exports is not what was meant, put all back and say so."""
        for directory in self.made:
            os.makedirs(directory, mode=0o755, exist_ok=True)
        for file, (before, after) in self.taken.items():
            stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
            write_file(f"{file}.{stamp}.statelite~", before.encode("utf-8", "surrogateescape"), mode=os.stat(file).st_mode & 0o777)
            write_file(file, after.encode("utf-8", "surrogateescape"), mode=os.stat(file).st_mode & 0o777)
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        write_file(self.path, self.text.encode("utf-8", "surrogateescape"))
        if not self.reload:
            return
        try:
            reload_server(self.server, self.path)
            found = in_effect(self.server, self.path, self.wanted, self.text, settle=True)
        except SiteError as error:
            self.restore()
            raise SiteError(*error.faults, self._restored()) from error
        if found:
            self.restore()
            raise SiteError(*(Fault(f"exports of the {self.server} server", each, "See its log") for each in found), self._restored())

    def _restored(self) -> Fault:
        return Fault(self.path, "has been put back as it was, with the foreign files", "Mend the faults above, then run again")

    def restore(self) -> None:
        """Put our file and the foreign ones back and tell the server once more."""
        for file, (before, _after) in self.taken.items():
            write_file(file, before.encode("utf-8", "surrogateescape"), mode=os.stat(file).st_mode & 0o777)
        if self.present is None:
            os.unlink(self.path)
        else:
            write_file(self.path, self.present.encode("utf-8", "surrogateescape"))
        reload_server(self.server, self.path)


def is_running(server: str, path: str) -> bool:
    """Return whether the server runs, for ganesha with our file `path`, so that it can be told of a change and be asked."""
    if server == KERNEL:
        return _text("/proc/fs/nfsd/threads").strip() not in ("", "0")
    if not os.path.isdir("/run/systemd/system"):
        return False
    process = run_command(["systemctl", "show", "--property=MainPID", "--value", UNIT], limit=LIMIT, mend="Start systemd").strip()
    return path in _text(f"/proc/{process}/cmdline").split("\0")


def reload_server(server: str, path: str) -> None:
    """Tell a running server to read its exports again; ganesha by SIGHUP, never a restart (a grace period stalls nodes)."""
    if server == KERNEL:
        run_command(["exportfs", "-ra"], limit=LIMIT, mend="Correct the export files")
    elif is_running(server, path):
        run_command(["systemctl", "reload", UNIT], limit=LIMIT, mend=f"See journalctl -u {UNIT}")


def in_effect(server: str, path: str, expected: Wanted, text: str, settle: bool = False) -> list[str]:
    """Return how what the running server exports differs from what is wanted; empty when it does not run."""
    if server == KERNEL:
        table = kernelexports.effective(kernelexports.parse(ETAB, _text(ETAB)), os.path.realpath)
        return kernelexports.differences(table, expected.exports, os.path.realpath)
    if not is_running(server, path):
        return []
    deadline = time.monotonic() + (SETTLE if settle else 0)
    while True:
        answer = run_command(SHOW, limit=LIMIT, mend=f"Install dbus, and see journalctl -u {UNIT}")
        found = ganesha.differences(ganesha.served(answer), expected.exports, text)
        if not found or time.monotonic() >= deadline:
            return found
        time.sleep(0.5)


def read_and_plan(params: dict[str, Any], warn: Callable[[str], None]) -> ExportsPlan:
    """Read the site, our file and the foreign ones, and plan; `params` are the options of the module."""
    site = read_site(params["site"])
    server = params["server"]
    path = params["path"] or PATHS[server]
    pending = overrides.read(overrides.path_in(site_directory(params["site"])))
    once = {node: each.image for node, each in pending.items() if each.image is not None}
    own_addresses = params["addresses"] or local_addresses()
    expected = wanted(site, own_addresses, params["clients"], params["options"], params["accept_risk"], os.path.realpath, once)
    for warning in expected.warnings:
        warn(warning)
    faults = state_faults(site, state_directories(expected.exports))
    if params["accept_risk"]:
        for fault in faults:
            warn(f"accept_risk: {fault.where} {fault.what}")
        faults = []
    own = PATHS[KERNEL] if server == GANESHA else path
    lines = foreign_lines(params["foreign_files"], own)
    for warning in _warnings(server, lines, expected.exports):
        warn(warning)
    blocking = kernelexports.in_the_way(lines, expected.exports, os.path.realpath)
    if not params["take_over"]:
        faults += [
            Fault(
                line.place,
                f"exports {line.path} {'read-write' if line.writable else 'read-only'}, over {export.path} ({export.why})",
                "Remove the line, or set take_over to have it commented out, with a backup",
            )
            for line, export in blocking
        ]
    raise_faults(faults)
    taken = _taken_over(line for line, _export in blocking)
    present = None if read_bytes(path) is None else _text(path)
    text = _rendered(server, expected, present or "", params)
    _check_whole_set(server, text, path, lines, taken, expected)
    made = [directory for directory in expected.directories if not os.path.isdir(directory)]
    return ExportsPlan(server, path, text, present, expected, made, taken, params["reload"])


def _warnings(server: str, lines: Iterable[kernelexports.Line], exports: Sequence[Export]) -> list[str]:
    """Return what a person should know of this server with these exports."""
    return reached_by_handles(lines, exports) if server == KERNEL else [*beside_our_own(exports), *too_many(exports)]


def _taken_over(lines: Iterable[kernelexports.Line]) -> dict[str, tuple[str, str]]:
    by_file: dict[str, list[kernelexports.Line]] = {}
    for line in lines:
        by_file.setdefault(line.file, []).append(line)
    return {file: (_text(file), kernelexports.commented(_text(file), found)) for file, found in by_file.items()}


def _rendered(server: str, expected: Wanted, present: str, params: dict[str, Any]) -> str:
    if server == KERNEL:
        return kernelexports.render(expected.exports)
    settings = {
        "versions": ", ".join(str(version) for version in params["versions"]),
        "bind": params["bind_address"] or "",
        "graceless": "true" if params["graceless"] else "false",
        "recovery": params["recovery"],
    }
    return ganesha.render(expected.exports, present, settings)


def _check_whole_set(
    server: str, text: str, path: str, lines: list[kernelexports.Line], taken: dict[str, tuple[str, str]], expected: Wanted
) -> None:
    """Raise SiteError when all files together, as they would be, do not export what is wanted: there is no validator."""
    if server != KERNEL:
        return
    files = dict.fromkeys([line.file for line in lines] + [path])
    texts = {file: text if file == path else taken[file][1] if file in taken else _text(file) for file in files}
    table = kernelexports.effective((line for file, each in texts.items() for line in kernelexports.parse(file, each)), os.path.realpath)
    found = kernelexports.differences(table, expected.exports, os.path.realpath)
    raise_faults(Fault(f"export files together with {path}", each, "Correct the file that says so") for each in found)


def read_info(params: dict[str, Any], _warn: Callable[[str], None]) -> dict[str, Any]:
    """Return the table that is wanted, whether the server runs, and how what it exports differs."""
    plan = read_and_plan({**params, "reload": False}, lambda _text: None)
    running = is_running(plan.server, plan.path)
    differences = in_effect(plan.server, plan.path, plan.wanted, plan.text) if running else []
    return {**plan.result(), "running": running, "differences": differences, "pending": plan.lines()}
