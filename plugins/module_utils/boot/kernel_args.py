# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel command line of a statelite node, word by word in the original's order (behaviour.md e.4)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..errors import SiteError
from ..nodes.attributes import attribute
from ..nodes.disk import disk_of
from ..nodes.identity import machine_id
from ..nodes.images import rank
from ..nodes.interfaces import ADDRESS, boot_mac
from ..nodes.mounts import state_of
from ..nodes.servers import image_server, network_of, xcatmaster
from ..tables.lite import LOCALDISK

if TYPE_CHECKING:
    from ..apply.generations import Generation
    from ..nodes.images import Image
    from ..nodes.site import Site

NO_SELINUX = re.compile(r"fedora1[23]|(?:rhels|rhel|ol|alma|rocky)(?:7|8|9|10)(?:\D|$)")
"""Releases whose kernel line says `selinux=0`; centos is not among them (behaviour.md e.4)."""

NO_DRACUT = re.compile(r"sles|suse|opensuse|leap|(?:rhels|rhel|rhelc|rhelhpc|centos|ol|sl)5(?:\D|$)")
"""Releases whose initramfs knows `NFSROOT=` only."""

SUSE = re.compile(r"sles|suse|opensuse|leap")
DEBIAN = re.compile(r"debian|ubuntu")
OUR_NFS = ("vers=3", "nolock")
"""How a root of our own generations is mounted while nfsrootopts is unset.

Not version 4: nfs-ganesha answers an OPEN for writing of a symbolic link in a read-only NFSv4 export with EROFS, where the
client waits for NFS4ERR_SYMLINK to follow the link, so a node could not write entries in link attachment (seen in the lab).
"""

WORD = re.compile(r"[^\s\x00-\x1f\x7f\"]+")
NODEATTRIB = re.compile(r"#NODEATTRIB:(\w+):(\w+)#")
TABLE = re.compile(r"#TABLE:(\w+):\$NODE:(\w+)#")


def bracketed(address: str) -> str:
    """Return an address as it stands before a colon: an IPv6 one in brackets."""
    return f"[{address}]" if ":" in address else address


def root_options(image: Image, generation: Generation) -> list[str]:
    """Return the mount options of the root: `ro`, then nfsrootopts without `ro`, else our own default.

    Raises SiteError for an empty item, a blank, `rw` and `defaults` (behaviour.md e.4).
    """
    where = f"table osimage, imagename {image.name}, column nfsrootopts"
    written = image.column("nfsrootopts")
    if not written:
        return ["ro", *(OUR_NFS if generation.number is not None else ())]
    options = written.split(",")
    for option in options:
        if not option or re.search(r"\s", option):
            raise SiteError.of(where, f"'{written}' has a blank or an empty option", "Separate the options by single commas")
        if option.split("=")[0].lower() in ("rw", "defaults"):
            raise SiteError.of(where, f"'{option}' would make the root writable", "Take it out: the root of a statelite node is read-only")
    return ["ro", *(option for option in options if option != "ro")]


def served_path(site: Site, node: str, image: Image, generation: Generation) -> str:
    """Return the directory above `rootimg` as the node's NFS server exports it (noderes.nfsdir, behaviour.md e.4).

    A generation keeps its place below the install directory, as the document has it (4.1); a plain image gets the
    path that the original computes.
    """
    value = attribute(site, node, "noderes", "nfsdir")
    if value is None:
        return generation.path
    nfsdir = value.text.rstrip("/")
    if generation.number is not None and image.rootimgdir.startswith(f"{image.installdir}/"):
        below = generation.path[len(image.installdir) :]
    else:
        below = "" if nfsdir.startswith("//") else f"/netboot/{image.osvers}/{image.osarch}/{image.profile}"
        if generation.number is not None:
            below += f"/generations/{generation.number}"
    return (nfsdir[1:] if nfsdir.startswith("//") else nfsdir) + below


def _root(site: Site, node: str, image: Image, generation: Generation) -> str:
    server = bracketed(image_server(site, node))
    path = served_path(site, node, image, generation)
    options = ",".join(root_options(image, generation))
    if NO_DRACUT.match(image.osvers):
        return f"NFSROOT={server}:{path}"
    return f"root=nfs:{server}:{path}/rootimg:{options}"


def state_word(site: Site, node: str, image: Image) -> tuple[str, str]:
    """Return what STATEMNT= and MNTOPTS= say; both empty when the node has no place for state."""
    state = state_of(site, node, image)
    if state is None:
        return "", ""
    if state.written_server:
        return f"{bracketed(state.server)}:{state.directory}", state.mntopts
    return state.directory, state.mntopts


def _interface(site: Site, node: str, image: Image) -> str | None:
    """Return `netdev=NIC` or `BOOTIF=MAC`, or None when the boot loader says it (behaviour.md e.4)."""
    installnic = attribute(site, node, "noderes", "installnic")
    primarynic = attribute(site, node, "noderes", "primarynic")
    written = installnic.text if installnic else primarynic.text if primarynic else ""
    if ADDRESS.fullmatch(written):
        return f"BOOTIF={written}"
    name = written if written and written != "mac" else image.column("nodebootif")
    if name:
        return f"netdev={name}"
    if "ppc" in image.osarch:
        return f"BOOTIF={boot_mac(site, node) or ''}"
    return None


def _driver(site: Site, node: str) -> str | None:
    """Return the driver word of a node in a network on an `hf` interface."""
    address = site.address(node)
    network = network_of(site, address) if address else None
    if network is None:
        return None
    for row in site.rows("networks"):
        if row.get("net") == str(network.network_address) and "hf" in (row.get("mgtifname") or ""):
            return "rdloaddriver=hf_if"
    return None


def console_words(site: Site, node: str, osarch: str) -> list[str]:
    """Return the console words of nodehm.serialport, serialspeed, serialflow; none without a serial port.

    Raises SiteError when the speed is missing.
    """
    port, speed, flow = (attribute(site, node, "nodehm", column) for column in ("serialport", "serialspeed", "serialflow"))
    if port is None:
        return []
    if speed is None:
        raise SiteError.of(f"table nodehm, node {node}", "serialport is set and serialspeed is not", "Set serialspeed, such as 115200")
    device = "hvc" if osarch.startswith("ppc64") else "ttyS"
    handshake = "n8r" if flow and re.search("hard|tcs|ctsrts", flow.text) else ""
    return ["console=tty0", f"console={device}{port.text},{speed.text}{handshake}"]


def _dump(image: Image, server: str) -> list[str]:
    """Return the crash dump words of linuximage.dump and crashkernelsize (behaviour.md e.4)."""
    written, size = image.column("dump"), image.column("crashkernelsize")
    if not written:
        return []
    target = written.removeprefix("fadump:").replace(":///", f"://{bracketed(server)}/", 1)
    if written.startswith("fadump:") and image.osarch.startswith("ppc64"):
        kind, _colon, place = target.partition("://")
        host, _slash, directory = place.partition("/")
        net = f"net,{host}:/{directory}" if kind == "nfs" else f"{kind},{place}"
        return ["fadump=on", f"fadump_reserve_mem={size or '512M'}", f"fadump_target={net}", "fadump_default=noreboot", f"dump={target}"]
    if not size:
        size = {"ppc64": "256M@64M", "x86_64": "128M", "x86": "128M"}.get(image.osarch, "")
    return [f"crashkernel={size}", f"dump={target}"] if size else []


def _debug(site: Site, server: str) -> list[str]:
    mode = site.setting("xcatdebugmode")
    if mode not in ("1", "2"):
        return []
    return [
        f"LOGSERVER={server}",
        f"syslog.server={server}",
        "syslog.type=rsyslogd",
        "syslog.filter=*.*",
        f"xcatdebugmode={mode}",
    ]


def added_words(site: Site, node: str, image: Image) -> Iterator[str]:
    """Yield the words of bootparams.addkcmdline and linuximage.addkcmdline, without those marked `R::`."""
    own = attribute(site, node, "bootparams", "addkcmdline")
    written = [own.text if own else "", "" if image.column("boottarget") else image.column("addkcmdline")]

    def value(match: re.Match[str]) -> str:
        found = attribute(site, node, match.group(1), match.group(2))
        return found.text if found else ""

    for word in " ".join(written).split():
        if not word.startswith("R::"):
            yield TABLE.sub(value, NODEATTRIB.sub(value, word))


def _template_words(site: Site, node: str, image: Image) -> Iterator[str]:
    """Yield what the image's plan template leaves open, for a boot without the answer service (decisions.md, The node).

    A node with levels has no use for it: the template names none.
    """
    if not any(row.get("directory") and rank(row, image) is not None for row in site.rows("litetree")):
        yield "statelite.levels=none"
    yield f"statelite.machine-id={machine_id(site, node)}"
    if any(LOCALDISK in (row.get("options") or "").split(",") and rank(row, image) is not None for row in site.rows("litefile")):
        disk = disk_of(site)
        yield f"statelite.disk={disk.label},{disk.options}"


def _words(site: Site, node: str, image: Image, generation: Generation) -> Iterator[str]:
    server = xcatmaster(site, node)
    suse, debian = bool(SUSE.match(image.osvers)), bool(DEBIAN.match(image.osvers))
    statemnt, mntopts = state_word(site, node, image)
    late = [f"NODE={node}", "FC=0", "ip=dhcp"] if suse else []
    yield _root(site, node, image, generation)
    yield f"STATEMNT={statemnt}"
    yield f"XCAT={bracketed(server)}:{site.setting('xcatdport')}"
    if not suse:
        yield f"NODE={node}"
    if debian:
        yield "FC=0"
    if site.setting("nodestatus") in ("n", "N", "0"):
        yield "nonodestatus"
    yield f"XCATHTTPPORT={site.setting('httpport')}"
    yield from _debug(site, server)
    yield from late
    yield from (word for word in (_interface(site, node, image), _driver(site, node)) if word)
    yield from console_words(site, node, image.osarch)
    if NO_SELINUX.match(image.osvers):
        yield "selinux=0"
    yield from _dump(image, server)
    if not suse or mntopts:
        yield f"MNTOPTS={mntopts}"
    if not NO_DRACUT.match(image.osvers):
        yield from ("ip=dhcp", "rd.neednet=1")
    yield f"statelite.image={image.name}"
    if generation.number is not None:
        yield f"statelite.generation={generation.number}"
    yield from _template_words(site, node, image)
    yield from added_words(site, node, image)


def kernel_line(site: Site, node: str, image: Image, generation: Generation) -> str:
    """Return the words of the node's kernel line, separated by single blanks.

    Raises SiteError when a word cannot be computed or holds a blank, a quote or a control character.
    """
    words = list(_words(site, node, image, generation))
    for word in words:
        if not WORD.fullmatch(word):
            raise SiteError.of(
                f"kernel line of node {node}", f"the word {word!r} has a blank, a quote or a control character", "Take it out of the tables"
            )
    return " ".join(words)
