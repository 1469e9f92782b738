# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel command line of a diskless node, word by word in the original's order, each with where it comes from (behaviour.md e.4)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..errors import SiteError
from ..nodes.attributes import attribute
from ..nodes.disk import disk_of
from ..nodes.identity import machine_id
from ..nodes.images import rank
from ..nodes.interfaces import ADDRESS, boot_mac
from ..nodes.mounts import state_of
from ..nodes.servers import XCATMASTER, bracketed, image_server, network_of, xcatmaster
from ..nodes.values import parts
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
NETDEV = "netdev="
ONE_NETDEV = re.compile(rf"{NETDEV}([A-Za-z0-9_.-]+)")
"""Of one interface by its name: several, or an address, are nothing that dracut's ip= takes."""
OUR_NFS = ("vers=3", "nolock")
"""How a root of our own generations is mounted while nfsrootopts is unset.

Not version 4: nfs-ganesha answers an OPEN for writing of a symbolic link in a read-only NFSv4 export with EROFS, where the
client waits for NFS4ERR_SYMLINK to follow the link, so a node could not write entries in link attachment (seen in the lab).
"""

WORD = re.compile(r"[^\s\x00-\x1f\x7f\"]+")
UNFIT = re.compile(r"[^\S ]|[\x00-\x1f\x7f\"]")
NODEATTRIB = re.compile(r"#NODEATTRIB:(\w+):(\w+)#")
TABLE = re.compile(r"#TABLE:(\w+):\$NODE:(\w+)#")


TOLD = re.compile(r"statelite\.(image|generation)=([^\s\"]+)")
"""By what a boot file of any loader tells what it boots: these words of its kernel line."""


class Word(NamedTuple):
    """One word of the line, and the tables that it comes from."""

    text: str
    source: str


class Root(NamedTuple):
    """What a node of an image boots into: `packed` is the file that it fetches, None where the NFS server has the tree.

    The `digest` of that file, as `sha256:<hex>`, is in the line where it is known. `stateless` says that the file is the tree
    without its layout, whatever the image is for; `partitioned` that linuximage.partitionfile has the original's client divide disks.
    """

    image: Image
    generation: Generation
    packed: str | None = None
    digest: str | None = None
    stateless: bool = False
    partitioned: bool = False

    @property
    def statelite(self) -> bool:
        """Whether litefile is carried out on it."""
        return not self.stateless


OURS = "nodeset"
"""Where a word comes from that no table has a say in."""


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


def _root(site: Site, node: str, root: Root, facing: str | None) -> Word:
    image, generation = root.image, root.generation
    server = bracketed(image_server(site, node, facing))
    told = f"image {image.name}{'' if generation.number is None else f', generation {generation.number}'}"
    source = f"{told}; server: {_server_source(site, node)}"
    if root.packed is not None:
        method, port = site.setting("httpmethod"), site.setting("httpport")
        return Word(f"imgurl={method}://{server}:{port}/{generation.path}/{root.packed}", source)
    path = served_path(site, node, image, generation)
    options = ",".join(root_options(image, generation))
    if NO_DRACUT.match(image.osvers):
        return Word(f"NFSROOT={server}:{path}", source)
    return Word(f"root=nfs:{server}:{path}/rootimg:{options}", source)


def _source(site: Site, node: str, table: str, column: str) -> str | None:
    value = attribute(site, node, table, column)
    return f"{table}.{column} of {value.source}" if value and value.text != XCATMASTER else None


def _server_source(site: Site, node: str, *columns: str) -> str:
    """Return the row that names a server of the node, the first of `columns` (by default those of its root) that is set."""
    told = (_source(site, node, "noderes", column) for column in (*(columns or ("nfsserver", "tftpserver")), "xcatmaster", "servicenode"))
    return next((each for each in told if each), "site.master" if site.setting("master") else "this server")


def state_word(site: Site, node: str, image: Image) -> tuple[str, str, str]:
    """Return what STATEMNT= and MNTOPTS= say, and where it is written; all empty when the node has no place for state."""
    state = state_of(site, node, image)
    if state is None:
        return "", "", ""
    if state.written_server:
        return f"{bracketed(state.server)}:{state.directory}", state.mntopts, state.where
    return state.directory, state.mntopts, state.where


def _interface(site: Site, node: str, image: Image) -> Word | None:
    """Return `netdev=NIC` or `BOOTIF=MAC`, or None when the boot loader says it (behaviour.md e.4)."""
    for column in ("installnic", "primarynic"):
        value = attribute(site, node, "noderes", column)
        if value:
            break
    written, source = (value.text, f"noderes.{column} of {value.source}") if value else ("", "")
    if ADDRESS.fullmatch(written):
        return Word(f"BOOTIF={written}", source)
    if written and written != "mac":
        return Word(f"{NETDEV}{written}", source)
    if image.column("nodebootif"):
        return Word(f"{NETDEV}{image.column('nodebootif')}", f"linuximage.nodebootif of image {image.name}")
    if "ppc" in image.osarch:
        return Word(f"BOOTIF={boot_mac(site, node) or ''}", f"mac.mac of node {node}")
    return None


def _driver(site: Site, node: str) -> Word | None:
    """Return the driver word of a node in a network on an `hf` interface."""
    if not any("hf" in (row.get("mgtifname") or "") for row in site.rows("networks")):
        return None
    address = site.address(node)
    network = network_of(site, address) if address else None
    if network is None:
        return None
    for row in site.rows("networks"):
        if row.get("net") == str(network.network_address) and "hf" in (row.get("mgtifname") or ""):
            return Word("rdloaddriver=hf_if", "networks.mgtifname")
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


def added_words(site: Site, node: str, image: Image) -> Iterator[Word]:
    """Yield the words of bootparams.addkcmdline and linuximage.addkcmdline, without those marked `R::`."""
    written = [(each.text, f"bootparams.addkcmdline of {each.source}") for each in parts(site, node, "bootparams", "addkcmdline")]
    if not image.column("boottarget"):
        written.append((image.column("addkcmdline"), f"linuximage.addkcmdline of image {image.name}"))

    def value(match: re.Match[str]) -> str:
        found = attribute(site, node, match.group(1), match.group(2))
        return found.text if found else ""

    for line, source in written:
        for word in line.split():
            text = TABLE.sub(value, NODEATTRIB.sub(value, word)) if "#" in word else word
            if text and not word.startswith("R::"):
                yield Word(text, source)


def _template_words(site: Site, node: str, image: Image) -> Iterator[Word]:
    """Yield what the image's plan template leaves open, for a boot without the answer service (decisions.md, The node).

    A node with levels has no use for it: the template names none.
    """

    def of_image() -> tuple[bool, bool]:
        levels = any(row.get("directory") and rank(row, image) is not None for row in site.rows("litetree"))
        files = site.rows("litefile")
        return levels, any(LOCALDISK in (row.get("options") or "").split(",") and rank(row, image) is not None for row in files)

    levels, on_disk = site.once(("template words", image.name), of_image)
    if not levels:
        yield Word("statelite.levels=none", "litetree")
    yield _machine_id(site, node)
    if on_disk:
        disk = disk_of(site)
        yield Word(f"statelite.disk={disk.label},{disk.options}", "site.litedisklabel, site.litediskopts")


def _machine_id(site: Site, node: str) -> Word:
    return Word(f"statelite.machine-id={machine_id(site, node)}", f"name of node {node}, site.litemachineseed")


def _who(site: Site, node: str, root: Root, server: str) -> Iterator[Word]:
    """Yield the words that say who the node is and who serves it, in the order of its kind of system."""
    osvers = root.image.osvers
    suse, debian = bool(SUSE.match(osvers)), bool(DEBIAN.match(osvers))
    flow = "1" if site.setting("useflowcontrol").lower() in ("1", "yes", "y") else "0"
    name = Word(f"NODE={node}", f"name of node {node}")
    control = Word(f"FC={flow}", "site.useflowcontrol")
    yield Word(f"XCAT={bracketed(server)}:{site.setting('xcatdport')}", f"{_server_source(site, node, 'xcatmaster')}; site.xcatdport")
    if not suse:
        yield name
        if debian or not root.statelite:
            yield control
    if site.setting("nodestatus") in ("n", "N", "0"):
        yield Word("nonodestatus", "site.nodestatus")
    yield Word(f"XCATHTTPPORT={site.setting('httpport')}", "site.httpport")
    for text in _debug(site, server):
        yield Word(text, "site.xcatdebugmode")
    if suse:
        yield from (name, control, Word("ip=dhcp", OURS))


def _words(site: Site, node: str, root: Root, facing: str | None) -> Iterator[Word]:
    image, generation = root.image, root.generation
    server = xcatmaster(site, node, facing)
    added = list(added_words(site, node, image))
    statemnt, mntopts, where = state_word(site, node, image) if root.statelite else ("", "", "")
    yield _root(site, node, root, facing)
    if root.statelite:
        yield Word(f"STATEMNT={statemnt}", where or "statelite.statemnt, not set")
    yield from _who(site, node, root, server)
    interface = _interface(site, node, image)
    yield from (word for word in (interface, _driver(site, node)) if word)
    for text in console_words(site, node, image.osarch):
        yield Word(text, _source(site, node, "nodehm", "serialport") or OURS)
    if NO_SELINUX.match(image.osvers):
        yield Word("selinux=0", f"osimage.osvers of image {image.name}")
    for text in _dump(image, server):
        yield Word(text, f"linuximage.dump of image {image.name}")
    if root.partitioned and not DEBIAN.match(image.osvers):
        word = f"PARTITION{'' if root.statelite else '_DOMOUNT'}_{'SLES' if SUSE.match(image.osvers) else 'RH'}"
        yield Word(word, f"linuximage.partitionfile of image {image.name}")
    if root.statelite and (mntopts or not SUSE.match(image.osvers)):
        yield Word(f"MNTOPTS={mntopts}", where or "statelite.mntopts, not set")
    if not NO_DRACUT.match(image.osvers):
        if not any(word.text.startswith("ip=") for word in added):
            # Said of no interface, NetworkManager in an initramfs gives addresses to the others too.
            card = ONE_NETDEV.fullmatch(interface.text) if interface else None
            named = f"{card.group(1)}:" if card else ""
            yield Word(f"ip={named}dhcp{'6' if ':' in image_server(site, node, facing) else ''}", OURS)
        yield Word("rd.neednet=1", OURS)
    yield Word(f"statelite.image={image.name}", f"image {image.name}")
    if generation.number is not None:
        yield Word(f"statelite.generation={generation.number}", f"image {image.name}")
    if root.digest is not None:
        yield Word(f"statelite.digest={root.digest}", f"image {image.name}, its packed root")
    if root.statelite:
        yield from _template_words(site, node, image)
    else:
        yield _machine_id(site, node)
    yield from added


def kernel_words(site: Site, node: str, root: Root, facing: str | None = None) -> list[Word]:
    """Return the words of the node's kernel line with where each comes from.

    `facing` is the boot loader's own word for the server that answers it. Raises SiteError when a word cannot be computed or
    holds a blank, a quote or a control character.
    """
    words = list(_words(site, node, root, facing))
    line = line_of(words)
    if UNFIT.search(line) or line.count(" ") != len(words) - 1:
        for word in words:
            if not WORD.fullmatch(word.text):
                what = f"the word {word.text!r} has a blank, a quote or a control character"
                raise SiteError.of(f"kernel line of node {node}", what, f"Take it out of {word.source}")
    return words


def line_of(words: Sequence[Word]) -> str:
    """Return the words as one line, separated by single blanks."""
    return " ".join([word.text for word in words])
