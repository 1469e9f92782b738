# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kea's configuration for the site: two pieces of ours, and a main file that is ours, or another's that reads them."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..apply.addresses import local_addresses
from ..apply.commands import is_installed, run_command
from ..apply.files import read_bytes, write_file
from ..apply.scratch import scratch
from ..errors import Fault, SiteError, raise_faults
from ..nodes.servers import own_view
from ..nodes.site import Site
from ..tables.store import DEFAULT_SITE, open_store
from . import keaconfig, keadaemon, leases, linechanges
from .hosts import Host, hosts, interfaces, left_out, settings_faults
from .keaforeign import Foreign

SPEC: dict[str, Any] = {
    "dhcp": {"type": "bool", "default": True},
    "interfaces": {"type": "list", "elements": "str", "default": []},
    "lease": {"type": "str", "default": "infinite"},
    "boot_file": {"type": "str", "default": "lpxelinux.0"},
    "main_file": {"type": "path", "default": "/etc/kea/kea-dhcp4.conf"},
    "directory": {"type": "path", "default": "/etc/kea/statelite"},
    "lease_file": {"type": "path"},
    "take_over": {"type": "bool", "default": False},
    "own": {"type": "bool", "default": False},
    "reload": {"type": "bool", "default": True},
    "site": {"type": "str", "default": DEFAULT_SITE},
}
"""The options of the module."""

LIMIT = 120.0
TEST = 'mount --bind "$1" "$2" && { [ "$3" = "$4" ] || mount --bind "$3" "$4"; } && exec kea-dhcp4 -t "$4" 2>&1'
"""Kea reads what would be there in the places where it would be; nobody else sees the mounts."""


def of_the_package(path: str, text: bytes) -> bool:
    """Return whether a file is as its Debian package brought it, so that nobody's words are in it."""
    if not is_installed("dpkg-query"):
        return False
    try:
        owner = run_command(["dpkg-query", "--search", path], limit=LIMIT, mend="").partition(":")[0]
        said = run_command(["dpkg-query", "--showformat=${Conffiles}\n", "--show", owner], limit=LIMIT, mend="")
    except SiteError:
        return False  # no package has it
    sums = dict(line.split()[:2] for line in said.splitlines() if line.strip())
    return sums.get(path) == hashlib.md5(text, usedforsecurity=False).hexdigest()


@dataclass
class KeaPlan:
    """Our files as they are and as they have to be, the main file of others that goes aside, and leases in the way."""

    main: str
    directory: str
    present: dict[str, str | None]
    texts: dict[str, str]
    aside: bool
    found: list[Host]
    lease_file: str
    stale: list[leases.Lease]
    socket: str
    reload: bool
    unread: bool
    ours: bool
    serves_others: bool

    def lines(self) -> list[str]:
        """Return the lines that come and go, by file, and the leases that are ended."""
        found = [f"- {self.main} (kept beside it)"] if self.aside else []
        for path, text in self.texts.items():
            present = self.present[path]
            if present == text:
                continue
            gone, new = linechanges.gone_and_new(present, text)
            lost = [] if self.aside and path == self.main else [f"- {path}: {line}" for line in gone]
            found += lost + [f"+ {path}: {line}" for line in new] or [f"~ {path}"]
        found += [f"- {self.lease_file}: {lease.line}" for lease in self.stale]
        return found or (["~ kea-dhcp4 has not read its configuration since it was written"] if self.unread else [])

    def result(self) -> dict[str, Any]:
        """Return the files and the hosts in them."""
        files = sorted([*self.texts, self.main] if self.main not in self.texts else self.texts)
        named = {host.name: {"mac": host.mac, "ip": host.address} for host in self.found}
        return {"files": files, "hosts": named, "ours": self.ours, "serves_others": self.serves_others}

    def validate(self) -> None:
        """Have Kea test the whole configuration as it would be, in the place where it would be."""
        os.makedirs(self.directory, exist_ok=True)
        with scratch("kea") as stage:
            os.chmod(stage, 0o755)
            shutil.copytree(self.directory, f"{stage}/pieces", symlinks=True)
            for path, text in self.texts.items():
                if path != self.main:
                    write_file(f"{stage}/pieces/{os.path.basename(path)}", text.encode())
            main = self.main
            if main in self.texts:
                write_file(f"{stage}/main.conf", self.texts[main].encode())
                main = f"{stage}/main.conf"
            there = self.main if os.path.exists(self.main) else main
            command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", TEST, "kea-dhcp4"]
            mend = "Correct the line that Kea names; nothing was changed"
            run_command([*command, f"{stage}/pieces", self.directory, main, there], limit=LIMIT, mend=mend, name="kea-dhcp4")

    def apply(self) -> None:
        """Put our files in place after Kea has accepted them, and have it read them once; what it then refuses goes back.

        Leases are ended while the daemon is stopped, and before our files change: cut off in between, the next run
        still finds in them whose leases were to go.
        """
        self.validate()
        stopped = bool(self.stale) and keadaemon.is_unit_running()
        if stopped:
            keadaemon.control("stop")
        try:
            if self.stale:
                keadaemon.drop(self.lease_file, self.stale)
            if self.aside:
                stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
                write_file(f"{self.main}.{stamp}.statelite~", read_bytes(self.main) or b"", *_attributes(self.main))
            self._write(self.texts)
        finally:
            if stopped:
                keadaemon.control("start")
        if self.reload and not stopped:
            try:
                keadaemon.reload(self.socket)
            except SiteError as error:
                self._write(self.present)
                keadaemon.reload(self.socket)
                restored = Fault(self.main, "has been put back as it was, with our pieces", "Mend the faults above, then run again")
                raise SiteError(*error.faults, restored) from error

    def _write(self, texts: dict[str, str | None] | dict[str, str]) -> None:
        for path, text in texts.items():
            if text is None:
                os.unlink(path)
            elif (read_bytes(path) or b"").decode("utf-8", "surrogateescape") != text:
                write_file(path, text.encode("utf-8", "surrogateescape"), *_attributes(path))


def _attributes(path: str) -> tuple[int, int, int]:
    """Return mode, owner and group of a file, which it keeps: a main file of others may hold passwords that only Kea may read."""
    if not os.path.exists(path):
        return 0o644, -1, -1
    found = os.stat(path)
    return stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid


def _text(path: str) -> str | None:
    raw = read_bytes(path)
    return None if raw is None else raw.decode("utf-8", "surrogateescape")


def _main_fault(main: str, paths: Iterable[str]) -> Fault:
    classes, subnets = (keaconfig.inclusion(path) for path in paths)
    mend = (
        f"Put {classes} into its list client-classes and {subnets} into its list subnet4 (a comma before each that is not the first),"
        " or set take_over to have it replaced, with a backup"
    )
    return Fault(main, "is somebody else's and does not read our files", mend)


def plan(site: Site, params: dict[str, Any], own: Sequence[str]) -> KeaPlan:
    """Return the plan for the declared site; raises SiteError with every fault of options, tables and the files of others."""
    params = {**params, "interfaces": params["interfaces"] or interfaces(site)}
    main, directory = params["main_file"], params["directory"].rstrip("/")
    raise_faults(settings_faults(params))
    found = hosts(site, own)
    pieces = keaconfig.pieces(site, found, own, params["lease"], params["boot_file"])
    texts = {f"{directory}/{name}": text for name, text in pieces.by_name().items()}
    raw = _text(main)
    said = Foreign.of(main, raw or "")
    read = {path for _place, path in said.includes()}
    is_ours = raw is None or raw.startswith(keaconfig.HEADER) or (not read >= set(texts) and of_the_package(main, raw.encode()))
    aside = not is_ours and not read >= set(texts) and params["take_over"]
    if not is_ours and not aside:
        faults = said.conflicts(found) + said.unlistened(params["interfaces"])
        raise_faults(faults if read >= set(texts) else [_main_fault(main, texts)])
    lease_file = params["lease_file"] or ("" if is_ours else said.lease_file()) or keadaemon.LEASES
    if is_ours or aside:
        texts[main] = keaconfig.main_text(params["interfaces"], directory, lease_file)
    present = {path: _text(path) for path in texts}
    before = keaconfig.reserved(present[f"{directory}/{keaconfig.SUBNETS}"] or "")
    stale = []
    if is_ours or aside or said.keeps_leases_in_file():
        wanted = [(host.mac, host.address) for host in found]
        stale = leases.stale(keadaemon.leases(lease_file, time.time()), wanted, before)
    socket = said.socket() or (keaconfig.SOCKET if raw is None or aside else "")
    return KeaPlan(
        main,
        directory,
        present,
        texts,
        aside,
        found,
        lease_file,
        stale,
        socket,
        params["reload"],
        params["reload"] and _unread(socket, texts),
        is_ours or aside,
        not is_ours and not aside,
    )


def plan_nobody(params: dict[str, Any]) -> KeaPlan:
    """Return the plan by which Kea answers none of our nodes, as another server does: our pieces, where they are, get empty.

    What others have in the main file stays in effect. Whether the daemon is of use to anybody then is told by `serves_others`.
    """
    main, directory = params["main_file"], params["directory"].rstrip("/")
    raw = _text(main)
    said = Foreign.of(main, raw or "")
    pieces = {f"{directory}/{name}": text for name, text in keaconfig.NOTHING.by_name().items()}
    present = {path: _text(path) for path in pieces}
    is_read = raw is not None and is_installed("kea-dhcp4")
    ours = is_read and (raw or "").startswith(keaconfig.HEADER)
    texts = {path: text for path, text in pieces.items() if is_read and present[path] is not None}
    lease_file = params["lease_file"] or ("" if ours else said.lease_file()) or keadaemon.LEASES
    stale = []
    if texts and (ours or said.keeps_leases_in_file()):
        before = keaconfig.reserved(present[f"{directory}/{keaconfig.SUBNETS}"] or "")
        stale = leases.stale(keadaemon.leases(lease_file, time.time()), [], before)
    others = is_read and not ours and {path for _place, path in said.includes()} >= set(pieces) and keadaemon.is_unit_running()
    unread = params["reload"] and _unread(said.socket(), texts)
    return KeaPlan(
        main=main,
        directory=directory,
        present=present,
        texts=texts,
        aside=False,
        found=[],
        lease_file=lease_file,
        stale=stale,
        socket=said.socket(),
        reload=params["reload"],
        unread=unread,
        ours=ours,
        serves_others=others,
    )


def _unread(socket: str, paths: Iterable[str]) -> bool:
    """Return whether a running daemon has not read its configuration since one of our files was written."""
    read = keadaemon.read_at(socket)
    return read is not None and any(os.path.exists(path) and os.stat(path).st_mtime > read + 1 for path in paths)


def read_and_plan(params: dict[str, Any], warn: Callable[[str], None]) -> KeaPlan:
    """Read the site and the files of Kea and plan; `params` are the options of the module."""
    if not params["dhcp"]:
        return plan_nobody(params)
    with open_store(params["site"]) as store:
        site = Site(store.tables(), local_addresses())
    if params["own"]:
        site = own_view(site)
    decided = plan(site, params, local_addresses())
    said = Foreign.of(decided.main, _text(decided.main) or "")
    if decided.main not in decided.texts:
        for place, path in said.includes():
            if path not in decided.texts:
                warn(f"{place}: {path} is not looked through; look there yourself for reservations and pools with addresses of our nodes")
        if not said.keeps_leases_in_file():
            warn(f"{decided.main}: leases are kept in a database; end those of removed nodes there")
    for sentence in left_out(site, decided.found):
        warn(sentence)
    return decided
