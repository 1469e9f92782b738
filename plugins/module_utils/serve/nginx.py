# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nginx's drop-in: packed images and boot files to read, under the addresses by which nodes know this server."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..apply.addresses import local_addresses
from ..apply.commands import run_command
from ..apply.files import read_bytes, write_file
from ..apply.listeners import Listener, listeners
from ..apply.scratch import scratch
from ..errors import Fault, SiteError, raise_faults
from ..nodes.images import images
from ..nodes.servers import TFTP_ON_WEB, image_server, network_of, tftp_directory, tftpserver
from ..nodes.site import Site
from ..tables.store import DEFAULT_SITE, open_store
from . import linechanges

SPEC: dict[str, Any] = {
    "names": {"type": "list", "elements": "str", "default": []},
    "path": {"type": "path", "default": "/etc/nginx/conf.d/statelite.conf"},
    "main_file": {"type": "path", "default": "/etc/nginx/nginx.conf"},
    "site": {"type": "str", "default": DEFAULT_SITE},
}
"""The options of the module."""

HEADER = "# Written by diskless.statelite (module nginx). Changes made here are lost."
NAME = re.compile(r"[A-Za-z0-9_.-]+|\[[0-9a-fA-F:.]+\]")
DIRECTORY = re.compile(r"/[^\x00-\x1f\x7f\"\\$]+")
HIDDEN = r"/(?:rootimg|\.[^/]*)(?:/|$)"
"""Not given out below a directory: root trees, whose links lead to files of this machine, and what is at work beside them."""

PROGRAMS = "application/efi efi x86_64 aarch64"
"""Boot loaders by the ends of their names: UEFI boots by HTTP only what it is told to be one (UEFI specification, HTTP Boot)."""

LIMIT = 30.0
PROGRAM = "nginx"
TEST = 'mount --bind "$1" "$2" && exec nginx -T -c "$3" 2>&1'
"""nginx reads its own main file, with copies of all drop-ins in their place; nobody else sees the mount."""


def names(site: Site, own: Sequence[str]) -> list[str]:
    """Return the addresses of this server at which nodes look for images and boot files, sorted.

    Those that the tables name, and those in declared networks: a boot loader asks the address that answered it.
    """
    here = set(own)
    found: set[str] = set()
    for node in site.nodes():
        for server in (image_server, tftpserver):
            try:
                found.add(server(site, node))
            except SiteError:
                continue  # nodeset tells it, for the nodes that it is asked for
    found.update(address for address in here if network_of(site, address))
    return sorted(found & here)


def directories(site: Site) -> list[str]:
    """Return what is given out: the directory of images, those of images elsewhere, and the directories of boot files."""
    found = {
        site.setting("installdir"),
        site.setting("tftpdir"),
        *(image.rootimgdir for image in images(site)),
        *(tftp_directory(site, node) for node in site.nodes()),
    }
    plain = sorted({directory.rstrip("/") for directory in found if directory.strip("/")})
    return [directory for directory in plain if not any(directory.startswith(f"{other}/") for other in plain)]


def boot_directory(site: Site, places: Iterable[str]) -> str:
    """Return the TFTP directory when it is to be given out at TFTP_ON_WEB as well, by which boot files name it; empty when it is there."""
    tftpdir = site.setting("tftpdir").rstrip("/")
    return "" if any(f"{TFTP_ON_WEB}/".startswith(f"{place}/") for place in (tftpdir, *places)) else tftpdir


def _faults(addresses: Sequence[str], places: Iterable[str], port: str) -> list[Fault]:
    faults = []
    if not addresses:
        mend = "Set names, or the table networks: nodes ask this server by an address of its own"
        faults.append(Fault("names", "this server has no address in a network of the nodes", mend))
    faults += [
        Fault(f"names, {name!r}", "is no host name and no address", "Correct it") for name in addresses if not NAME.fullmatch(_host(name))
    ]
    faults += [
        Fault(f"directory {place!r}", "can't be given out under its own name", "Use a path without quotes, backslashes and dollar signs")
        for place in places
        if not DIRECTORY.fullmatch(place)
    ]
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) < 65536:
        faults.append(Fault("table site, key httpport", f"'{port}' is no port", "Write a number from 1 to 65535"))
    return faults


def _method_faults(site: Site) -> list[Fault]:
    """Return the fault of a site whose nodes would ask in another way than this server answers."""
    method = site.setting("httpmethod")
    mend = "Set it to http, or have a web server of the site's own (pxe_http: false in the role pxe)"
    return [] if method == "http" else [Fault("table site, key httpmethod", f"'{method}' is not what is served here", mend)]


def taken(found: Iterable[Listener], addresses: Iterable[str]) -> list[Fault]:
    """Return a fault for each program but nginx that listens where nginx would have to: on any IPv4 address of the port, or on one of `::`.

    nginx listens on all IPv4 addresses, and on all IPv6 ones when it answers to one; other sockets of the port hinder it.
    """
    every = any(":" in address for address in addresses)
    in_the_way = [each for each in found if each.program != PROGRAM and (every or ":" not in each.address or each.address == "::")]
    mend = "Stop it and see that it does not start again (a live xCAT's httpd serves nodes there), set another httpport in the table site,"
    return [
        Fault(
            f"table site, key httpport, port {each.port}",
            f"is taken by {each}",
            f"{mend} or leave HTTP to it (pxe_http: false in the role pxe)",
        )
        for each in in_the_way
    ]


def _host(name: str) -> str:
    """Return a name as a request has it: an IPv6 address in brackets."""
    return f"[{name}]" if ":" in name and not name.startswith("[") else name


def listens_of_others(main: str, own: str) -> list[str]:
    """Return the `address:port` that servers of others listen on, as nginx itself reads its files; none where it can't."""
    if not shutil.which("nginx") or not os.path.isfile(main):
        return []
    try:
        said = run_command(["nginx", "-T", "-q", "-c", main], limit=LIMIT, mend="")
    except SiteError:
        return []  # told when the drop-in is tested
    parts = re.split(r"^# configuration file (.*):$", said, flags=re.MULTILINE)[1:]
    foreign = (text for path, text in zip(parts[::2], parts[1::2]) if path != own)
    return [listen for text in foreign for listen in re.findall(r"^[^#\n]*?\blisten\s+([^\s;]+:\d+)[\s;]", text, re.MULTILINE)]


def render(addresses: Sequence[str], places: Sequence[str], port: str, others: Sequence[str] = (), tftpdir: str = "") -> str:
    """Return the text of the drop-in; `others` are the addresses with ports that servers of others listen on.

    `tftpdir` is given out at TFTP_ON_WEB too, if it is not empty.

    Where one of them listens on an address of ours, nginx asks nobody who listens on all addresses.
    """
    shared = [f"{_host(name)}:{port}" for name in addresses if f"{_host(name)}:{port}" in others]
    every = [port, *([f"[::]:{port}"] if any(":" in name for name in addresses) else [])]
    listens = [f"    listen {listen};" for listen in (*every, *shared)]
    lines = [HEADER, "server {", *listens, f"    server_name {' '.join(_host(name) for name in addresses)};", "    autoindex off;"]
    lines += ["    types {", f"        {PROGRAMS};", "    }", "    default_type application/octet-stream;"]
    lines += ["    location / {", "        return 404;", "    }"]
    found = [(place, 'root "/"') for place in places]
    found += [(TFTP_ON_WEB, f'alias "{tftpdir}/"')] if tftpdir else []
    for place, below in found:
        lines += [
            f'    location "{place}/" {{',
            f"        {below};",
            "        limit_except GET {",
            "            deny all;",
            "        }",
            f'        location ~ "^{re.escape(place)}(?:/.*)?{HIDDEN}" {{',
            "            return 404;",
            "        }",
            "    }",
        ]
    return "".join(f"{line}\n" for line in [*lines, "}"])


@dataclass
class NginxPlan:
    """The drop-in as it is and as it has to be."""

    path: str
    main: str
    present: str | None
    text: str
    addresses: list[str]
    places: list[str]

    def lines(self) -> list[str]:
        """Return the lines that come and go."""
        return linechanges.told(self.path, self.present, self.text)

    def result(self) -> dict[str, Any]:
        """Return the file, and what is given out under which names."""
        return {"path": self.path, "names": self.addresses, "directories": self.places}

    def validate(self) -> None:
        """Have nginx test the whole configuration as it would be, our drop-in among copies of the others'.

        Raises SiteError for what it refuses, for a main file that does not read drop-ins, and where somebody else has the name.
        """
        directory, name = os.path.split(self.path)
        with scratch("nginx") as stage:
            os.chmod(stage, 0o755)
            shutil.copytree(directory, stage, symlinks=True, dirs_exist_ok=True)
            write_file(os.path.join(stage, name), self.text.encode())
            command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", TEST, "nginx", stage, directory, self.main]
            said = run_command(command, limit=LIMIT, mend="Correct the line that nginx names; nothing was changed", name="nginx")
        if f"# configuration file {self.path}:" not in said:
            what = f"does not read {directory}/*.conf"
            raise SiteError.of(self.main, what, f"Have its http block include {directory}/*.conf, or name another path")
        clash = re.search(r'conflicting server name "([^"]*)" on (\S+), ignored', said)
        if clash:
            what = f"another server of nginx has the name {clash.group(1)} on {clash.group(2)}"
            raise SiteError.of(self.main, what, "Take the name away there, set another httpport in the table site, or other names")

    def apply(self) -> None:
        """Put the drop-in in place after nginx has accepted it."""
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        self.validate()
        write_file(self.path, self.text.encode())


def plan(site: Site, params: dict[str, Any], own: Sequence[str]) -> NginxPlan:
    """Return the plan for the declared site; raises SiteError with every fault."""
    addresses, places, port = params["names"] or names(site, own), directories(site), site.setting("httpport")
    faults = [*_faults(addresses, places, port), *_method_faults(site)]
    raise_faults(faults or taken(listeners(int(port)), addresses))
    raw = read_bytes(params["path"])
    present = None if raw is None else raw.decode(errors="replace")
    text = render(addresses, places, port, listens_of_others(params["main_file"], params["path"]), boot_directory(site, places))
    return NginxPlan(params["path"], params["main_file"], present, text, addresses, places)


def read_and_plan(params: dict[str, Any], _warn: Callable[[str], None]) -> NginxPlan:
    """Read the site and plan; `params` are the options of the module."""
    with open_store(params["site"]) as store:
        site = Site(store.tables(), local_addresses())
    return plan(site, params, local_addresses())
