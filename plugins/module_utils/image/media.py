# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which distribution a medium holds, told by the medium's own files (behaviour.md h.4); pure."""

from __future__ import annotations

import configparser
import re
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import Fault, SiteError, raise_faults

MARKERS = (".treeinfo", ".discinfo", ".disk/info", "media.1/media", "media.1/products", "media.2/media", "content")
"""The files that tell what a medium is."""

ReadMarker = Callable[[str], "str | None"]
"""Gives the text of a marker, or None where the medium has none."""

ARCHITECTURES = {"amd64": "x86_64", "arm64": "aarch64", "ppc64el": "ppc64le", "i386": "x86", "i586": "x86", "i686": "x86"}
"""Debian's and old names of architectures, and what the tables call them."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
"""What osvers and osarch may be: parts of paths, and of names of images. A medium's files are not to be trusted."""

RPM_FAMILIES = (
    (r"red hat enterprise linux", "rhels"),
    (r"centos stream", "centos-stream"),
    (r"centos", "centos"),
    (r"rocky( linux)?", "rocky"),
    (r"alma(linux)?", "alma"),
    (r"oracle linux( server)?", "ol"),
    (r"fedora", "fedora"),
)
"""How a distribution with .treeinfo or .discinfo calls itself, and the beginning of its osvers."""

ARCH = r"(?P<arch>amd64|arm64|ppc64el|i386|riscv64|s390x)"
DEBIAN = re.compile(rf"Debian GNU/Linux (?P<version>\d+)\S* .*?{ARCH}(?: .*?Binary-(?P<disc>\d+))?")
UBUNTU = re.compile(rf"Ubuntu\S* (?P<version>\d+\.\d+)\S* .*?{ARCH}")
SLES = re.compile(r"(?:SLES?|SUSE[- ]Linux[- ]Enterprise)[- ](?:Server[- ])?(?P<major>\d+)(?:[- .](?:SP)?(?P<minor>\d+))?")
LEAP = re.compile(r"openSUSE(?:-Leap)?[- ](?P<major>\d+)\.(?P<minor>\d+)")
TUMBLEWEED = re.compile(r"openSUSE-(?:Tumbleweed|\d{8})\b")
SUSE_ARCH = re.compile(r"(?<![a-z0-9])(x86_64|aarch64|ppc64le|s390x)(?![a-z0-9])")


@dataclass(frozen=True)
class Medium:
    """One medium: the osvers and osarch of the distribution, the number of the disc, and its own description."""

    osvers: str
    osarch: str
    disc: int
    title: str


def recognise(read: ReadMarker, where: str, osvers: str | None = None, osarch: str | None = None) -> Medium:
    """Return what a medium holds; `osvers` and `osarch` take the place of what its files say.

    Raises SiteError when its files don't say both and neither was given.
    """
    found = _rpm(read) or _debian(read) or _suse(read) or Medium("", "", 1, "")
    medium = Medium(osvers or found.osvers, osarch or found.osarch, found.disc, found.title)
    missing = [name for name, value in (("os", medium.osvers), ("arch", medium.osarch)) if not value]
    if missing:
        what = f"its files ({', '.join(MARKERS)}) don't tell {' and '.join(missing)}" + (f": {found.title}" if found.title else "")
        raise SiteError.of(where, what, f"Give {' and '.join(missing)}, or another medium")
    raise_faults(
        Fault(f"{where}: {name}", f"{value!r} is no name of a directory", f"Give {name} as a plain name, such as {example}")
        for name, value, example in (("os", medium.osvers, "debian12"), ("arch", medium.osarch, "x86_64"))
        if not NAME.fullmatch(value)
    )
    return medium


def _family(text: str) -> str | None:
    """Return the beginning of the osvers of a distribution that calls itself so."""
    for pattern, name in RPM_FAMILIES:
        if re.match(pattern, text.strip(), re.IGNORECASE):
            return name
    return None


def _rpm(read: ReadMarker) -> Medium | None:
    """Read .treeinfo (an INI file), else the lines of .discinfo: time, description, architecture, discs."""
    tree = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        tree.read_string(read(".treeinfo") or "")
    except configparser.Error:
        tree.clear()
    # The section general is kept for old readers of the file; release and tree are its newer form.
    name = tree.get("general", "family", fallback="") or tree.get("release", "name", fallback="")
    version = tree.get("general", "version", fallback="") or tree.get("release", "version", fallback="")
    arch = tree.get("general", "arch", fallback="") or tree.get("tree", "arch", fallback="")
    disc = tree.get("media", "discnum", fallback="1")
    lines = [line.strip() for line in (read(".discinfo") or "").splitlines()]
    if name and version.isdecimal() and len(lines) > 1 and re.fullmatch(rf"{version}\.[0-9.]+", lines[1]):
        version = lines[1]  # CentOS 7 has only the major release in .treeinfo
    if not (name and version and arch):
        if len(lines) < 3:
            return None
        found = re.match(r"(?P<name>.*?)\s*(?P<version>\d+(?:\.\d+)?)", lines[1])
        if found is None:
            return None
        name, version, arch = found["name"], found["version"], lines[2]
        disc = lines[3].partition(",")[0] if len(lines) > 3 else "1"
    family = _family(name)
    version = ".".join(version.split(".")[:2])
    return Medium(f"{family}{version}" if family else "", ARCHITECTURES.get(arch, arch), _disc(disc), f"{name} {version}".strip())


def _debian(read: ReadMarker) -> Medium | None:
    title = (read(".disk/info") or "").strip()
    for pattern, name in ((DEBIAN, "debian"), (UBUNTU, "ubuntu")):
        found = pattern.match(title)
        if found:
            disc = found.groupdict().get("disc") or "1"
            return Medium(name + found["version"], ARCHITECTURES.get(found["arch"], found["arch"]), _disc(disc), title)
    return Medium("", "", 1, title) if title else None


def _suse(read: ReadMarker) -> Medium | None:
    """Read media.N/media (vendor, title with version and architecture, number of discs), media.1/products and the old content."""
    disc = 2 if read("media.1/media") is None and read("media.2/media") is not None else 1
    texts = [read(f"media.{disc}/media") or "", read("media.1/products") or "", read("content") or ""]
    if not any(texts):
        return None
    whole = "\n".join(texts)
    arch = SUSE_ARCH.search(whole)
    version = ""
    leap, sles = LEAP.search(whole), SLES.search(whole)
    if leap:
        version = f"opensuse{leap['major']}.{leap['minor']}"
    elif TUMBLEWEED.search(whole):
        version = "opensuse-tumbleweed"
    elif sles:
        version = f"sles{sles['major']}" + (f".{sles['minor']}" if sles["minor"] else "")
    return Medium(version, arch.group(1) if arch else "", disc, next(line.strip() for line in whole.splitlines() if line.strip()))


def _disc(text: str) -> int:
    return int(text) if text.isdecimal() and int(text) > 0 else 1
