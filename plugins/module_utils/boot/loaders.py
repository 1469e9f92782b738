# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The boot loaders that the nodes' methods need, in their TFTP directories: GRUB made of its modules, iPXE with its script."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..apply.commands import is_installed, run_command
from ..apply.files import read_bytes, write_file
from ..apply.generations import current
from ..apply.scratch import scratch
from ..errors import Fault, raise_faults
from ..nodes.attributes import attribute
from ..nodes.images import Image, architecture, images
from ..nodes.servers import TFTP_ON_WEB, behind_server, tftp_directory
from ..nodes.site import Site
from ..tables.store import DEFAULT_SITE, open_store
from .grub import DIRECTORY, Grub, loader_name
from .ipxe import Xnba
from .methods import METHODS
from .pairs import no_directories

SPEC: dict[str, Any] = {
    "grub_directories": {"type": "list", "elements": "path", "default": ["/usr/lib/grub", "/usr/lib/statelite/grub"]},
    "ipxe_directory": {"type": "path", "default": "/usr/lib/ipxe"},
    "site": {"type": "str", "default": DEFAULT_SITE},
}
"""Options of the module boot_loader."""

PLATFORMS = {
    **dict.fromkeys(("aarch64", "arm64"), "arm64-efi"),
    **dict.fromkeys(("ppc64", "ppc64le"), "powerpc-ieee1275"),
    "x86_64": "x86_64-efi",
}
"""GRUB's name for the machines of an architecture."""

PROGRAM = "grub-mkstandalone"
MEND = "Install the package grub-common"
MODULES = "normal configfile echo linux net tftp http test regexp true sleep reboot halt gzio minicmd ls eval"
OF_PLATFORM = {"x86_64-efi": "efinet linuxefi", "arm64-efi": "efinet", "powerpc-ieee1275": "ofnet"}
SCRIPT = """\
if [ -z "$net_default_mac" ]; then
    for card in efinet0 efinet1 efinet2 efinet3; do
        if [ -z "$net_default_mac" ]; then
            if net_bootp "$card"; then
                set net_default_interface="${card}_dhcp"
                eval "set net_default_server=\\$net_${card}_dhcp_next_server"
            fi
        fi
    done
fi
set place="(tftp,$net_default_server)/boot/grub2"
if [ -n "$cmdpath" ]; then
    regexp --set=1:device --set=2:directory '\\(([^)]*)\\)/*(.*)' "$cmdpath"
    if [ -z "$directory" ]; then
        set directory="boot/grub2"
    fi
    set place="($device)/$directory"
fi
regexp --set=1:a --set=2:b --set=3:c --set=4:d --set=5:e --set=6:f '(..):(..):(..):(..):(..):(..)' "$net_default_mac"
set file="$place/grub.cfg-01-$a-$b-$c-$d-$e-$f"
echo "statelite: $file"
source "$file"
if [ -z "$default" ]; then
    echo "statelite: nothing to boot from here"
    sleep 3
    exit
fi
"""
"""What our GRUB does: the node's own file, and back to the firmware when that names nothing to boot.

Firmware that fetched it by HTTP tells it neither the card nor the server, so it asks for both.
Beside another DHCP server it hears of that one's answer alone, which names the next server but no file, so no directory.
"""

XNBA = "xcat/xnba"
LOADERS = ("undionly.kpxe", "snponly.efi")
IPXE_SCRIPT = "boot.ipxe"
LIMIT = 120.0


def ipxe_script(web: str) -> str:
    """Return the script by which iPXE finds the node's own: DHCP tells it the name; `web` is the port as it stands behind a server."""
    return (
        "#!ipxe\nset end\niseq ${platform} efi && set end .uefi ||\n"
        f"chain http://${{next-server}}{web}{TFTP_ON_WEB}/{XNBA}/nodes/${{hostname}}${{end}} || exit\n"
    )


@dataclass(frozen=True)
class Grub2:
    """One GRUB to be there: where its modules are, and what it is made of."""

    path: str
    arch: str
    platform: str
    modules: str

    @property
    def digest(self) -> str:
        """What stands for everything that the loader is made of."""
        made = hashlib.sha256(f"{SCRIPT}{self.names}".encode())
        for name in sorted(os.listdir(self.modules)):
            if name.endswith(".mod"):
                made.update(f"{name} {os.lstat(os.path.join(self.modules, name)).st_size}\n".encode())
        for name in ("modinfo.sh", "kernel.img"):
            made.update(read_bytes(os.path.join(self.modules, name)) or b"")
        return made.hexdigest()

    @property
    def names(self) -> str:
        """The names of the modules."""
        return f"{MODULES} {OF_PLATFORM[self.platform]}"

    def made(self) -> bytes:
        """Return the loader; grub-mkstandalone makes it."""
        with scratch("grub") as directory:
            config, image = os.path.join(directory, "grub.cfg"), os.path.join(directory, "image")
            write_file(config, SCRIPT.encode())
            words = [f"--directory={self.modules}", f"--format={self.platform}", f"--output={image}"]
            words += [f"--install-modules={self.names}", f"--modules={self.names}", "--locales=", "--fonts=", "--themes="]
            run_command([PROGRAM, *words, f"boot/grub/grub.cfg={config}"], limit=LIMIT, mend=MEND)
            return read_bytes(image) or b""


@dataclass
class LoaderPlan:
    """What is to be made, copied and written; `foreign` are loaders that somebody else put there."""

    made: list[tuple[Grub2, dict[str, Any]]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    present: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return one line a file."""
        grubs = [f"+ {grub.path}: GRUB for {grub.arch}, made of {grub.modules}" for grub, _record in self.made]
        return grubs + [f"+ {path}" for path in sorted(self.files)]

    def result(self) -> dict[str, Any]:
        """Return the loaders, and those of others that stay."""
        return {"loaders": sorted(self.present), "foreign": self.foreign}

    def apply(self) -> None:
        """Write; a loader is in its record before it is in its place."""
        for grub, record in self.made:
            content = grub.made()
            os.makedirs(os.path.dirname(grub.path), exist_ok=True)
            ours = [*record.get("ours", [])[-1:], hashlib.sha256(content).hexdigest()]
            write_file(_record_of(grub.path), (json.dumps({"made_of": grub.digest, "ours": ours}) + "\n").encode())
            write_file(grub.path, content)
        for path, content in self.files.items():
            os.makedirs(os.path.dirname(path), exist_ok=True)
            write_file(path, content)


def _record_of(path: str) -> str:
    return f"{path}.made"


def _read_record(path: str) -> dict[str, Any]:
    try:
        found = json.loads(read_bytes(_record_of(path)) or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) and isinstance(found.get("ours", []), list) else {}


def _needs(site: Site) -> tuple[dict[tuple[str, str], str], set[str]]:
    """Return (TFTP directory, architecture) with the first node of each GRUB that nodes need, and the TFTP directories for iPXE."""
    grubs: dict[tuple[str, str], str] = {}
    ipxe: set[str] = set()
    for node in site.nodes():
        netboot = attribute(site, node, "noderes", "netboot")
        method = METHODS.get(netboot.text) if netboot else None
        if isinstance(method, Xnba):
            ipxe.add(tftp_directory(site, node))
        if isinstance(method, Grub):
            grubs.setdefault((tftp_directory(site, node), architecture(site, node, "x86_64")), node)
    return grubs, ipxe


def _modules(site: Site, arch: str, directories: list[str]) -> str | None:
    """Return where the modules for an architecture are: on this machine, else in a published image of that architecture."""
    platform = PLATFORMS[arch]
    for directory in directories:
        place = os.path.join(directory, platform)
        if os.path.isfile(os.path.join(place, "moddep.lst")):
            return place
    return next((place for image in images(site) if image.osarch == arch for place in _in_image(image, platform)), None)


def _in_image(image: Image, platform: str) -> list[str]:
    generation = current(image.rootimgdir)
    if generation is None:
        return []
    place = os.path.join(generation.rootimg, "usr/lib/grub", platform)
    inside = os.path.realpath(place) == os.path.join(os.path.realpath(generation.rootimg), "usr/lib/grub", platform)
    return [place] if inside and os.path.isfile(os.path.join(place, "moddep.lst")) else []


def plan_loaders(site: Site, params: Mapping[str, Any]) -> LoaderPlan:
    """Return what has to be done so that every node's method has its loader; raises SiteError with every one that can't be made."""
    grubs, ipxe = _needs(site)
    plan = LoaderPlan()
    faults: list[Fault] = []
    seen: set[str] = set()
    for (tftpdir, arch), node in sorted(grubs.items()):
        path = os.path.join(tftpdir, DIRECTORY, loader_name(arch))
        if path in seen:
            continue
        seen.add(path)
        if arch not in PLATFORMS:
            faults.append(Fault(f"node {node}", f"there is no GRUB for {arch}", "Give the node another boot method"))
            continue
        record, content = _read_record(path), read_bytes(path)
        ours: list[str] = record.get("ours", [])
        found = None if content is None else hashlib.sha256(content).hexdigest()
        if found is not None and found not in ours:
            plan.foreign.append(path)
            continue
        modules = _modules(site, arch, params["grub_directories"])
        if modules is None:
            faults.append(_no_modules(node, arch, params["grub_directories"]))
            continue
        plan.present.append(path)
        grub = Grub2(path, arch, PLATFORMS[arch], modules)
        if found is None or found != ours[-1] or record.get("made_of") != grub.digest:
            plan.made.append((grub, record))
    for tftpdir in sorted(ipxe):
        _ipxe(tftpdir, site, params["ipxe_directory"], plan, faults)
    faults += no_directories(os.path.dirname(path) for path in [*(grub.path for grub, _record in plan.made), *plan.files])
    if plan.made and not is_installed(PROGRAM):
        faults.append(Fault(PROGRAM, "is not installed", MEND))
    raise_faults(faults)
    return plan


def _no_modules(node: str, arch: str, directories: list[str]) -> Fault:
    platform = PLATFORMS[arch]
    mend = f"Install or unpack the package that has usr/lib/grub/{platform} there, or put it into the package list of an image for {arch}"
    return Fault(f"node {node}", f"GRUB's modules for {platform} are not in {', '.join(directories)}, nor in an image for {arch}", mend)


def _ipxe(tftpdir: str, site: Site, directory: str, plan: LoaderPlan, faults: list[Fault]) -> None:
    """Note what of iPXE is missing or differs in one TFTP directory."""
    wanted = {IPXE_SCRIPT: ipxe_script(behind_server(site.setting("httpport"))).encode()}
    for name in LOADERS:
        content = read_bytes(os.path.join(directory, name))
        if content is None:
            faults.append(Fault(os.path.join(directory, name), "is not there", "Install the package ipxe"))
        else:
            wanted[name] = content
    for name, content in wanted.items():
        path = os.path.join(tftpdir, XNBA, name)
        plan.present.append(path)
        if read_bytes(path) != content:
            plan.files[path] = content


def read_and_plan(params: Mapping[str, Any], _warn: Callable[[str], None]) -> LoaderPlan:
    """Read the site and plan; `params` are the options of the module."""
    with open_store(params["site"]) as store:
        site = Site(store.tables())
    return plan_loaders(site, params)
