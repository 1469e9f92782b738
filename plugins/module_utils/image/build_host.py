# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which machine may build which image: not one that runs another major release of the image's own operating system.

The document on building stateless images: "needs to be run on a node with the same hardware architecture and major Operating
System release". A machine of another distribution brings its own tools, which install into a root of any release: Debian's dnf and
zypper are made for no particular one. The tools of a release of the same system are: they know the files, defaults and signature
rules of their own release. Source of os-release: os-release(5).
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping

from ..apply.files import read_bytes
from ..errors import Fault
from .systems import ENTERPRISE_LINUX, FEDORA, SUSE, family, major, version

OS_RELEASE = ("/etc/os-release", "/usr/lib/os-release")
EL, FED, SUS, DEB, UBU = "Enterprise Linux", "Fedora", "SUSE Linux", "Debian", "Ubuntu"
HOSTS = {
    **dict.fromkeys(("rhel", "centos", "rocky", "almalinux", "ol", "scientific"), EL),
    "fedora": FED,
    **dict.fromkeys(("sles", "sled", "sles_sap", "opensuse-leap"), SUS),
    "debian": DEB,
    "ubuntu": UBU,
}
"""What os-release calls a system, and what is said for it; clones are one system."""


def system_of_image(osvers: str) -> str:
    """Return the operating system that an image holds, '' for one that has no releases."""
    system = family(osvers)
    for known, name in ((ENTERPRISE_LINUX, EL), (FEDORA, FED), (SUSE, SUS), (("debian",), DEB), (("ubuntu",), UBU)):
        if system in known:
            return name if major(version(osvers)) else ""
    return ""


def release(system: str, text: str) -> str:
    """Return the release as it counts: Ubuntu's is a year and a month, every other one's a number."""
    found = re.match(r"[0-9]+\.[0-9]+" if system == UBU else r"[0-9]+", text)
    return found.group() if found else ""


def read_host() -> dict[str, str]:
    """Return the words of this machine's os-release; none when it has no such file."""
    for path in OS_RELEASE:
        content = read_bytes(path)
        if content is not None:
            return parse_os_release(content.decode("utf-8", "replace"))
    return {}


def parse_os_release(text: str) -> dict[str, str]:
    """Return the assignments of an os-release file; a line that is none is passed over."""
    found = {}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and re.fullmatch(r"[A-Z][A-Z0-9_]*", name):
            try:
                found[name] = "".join(shlex.split(value))
            except ValueError:
                continue
    return found


def system_of_host(words: Mapping[str, str]) -> tuple[str, str]:
    """Return (system, release) of a machine from its os-release; ('', '') for a system that no image is built of."""
    system = HOSTS.get(words.get("ID", ""), "")
    if not system and "rhel" in words.get("ID_LIKE", "").split():
        system = EL
    return (system, release(system, words.get("VERSION_ID", ""))) if system else ("", "")


def release_faults(osvers: str, words: Mapping[str, str], where: str) -> list[Fault]:
    """Return the fault of a machine, told by its os-release `words`, that runs another major release of the image's own system."""
    wanted_system = system_of_image(osvers)
    wanted = release(wanted_system, version(osvers))
    system, here = system_of_host(words)
    if not wanted or not here or system != wanted_system or here == wanted:
        return []
    shown = words.get("PRETTY_NAME") or f"{system} {here}"
    what = f"'{osvers}' is {system} {wanted}, and this machine ({os.uname().nodename}) runs {shown}, another major release of it"
    mend = (
        f"Build it on a machine of {system} {wanted} or of another distribution (role build_host, or genimage with dryrun), "
        "or say other_release: true"
    )
    return [Fault(where, what, mend)]
