# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Operating systems by the name in osimage.osvers: which release it is, and which names its lists may have."""

from __future__ import annotations

import re

ENTERPRISE_LINUX = ("rhels", "rhel", "rhelc", "rhelw", "centos", "centos-stream", "rocky", "alma", "ol", "SL", "el")
"""One distribution under several names: a list for `el9` serves all of them."""

FEDORA = ("fedora",)
SUSE = ("sles", "sle", "opensuse-leap", "leap", "opensuse", "opensuse-tumbleweed", "tumbleweed")
DEBIAN = ("debian", "ubuntu")


def family(osvers: str) -> str:
    """Return the operating system without its version: debian12 -> debian, opensuse-leap15.6 -> opensuse-leap."""
    return re.sub(r"[0-9.]+$", "", osvers).rstrip("-_")


def version(osvers: str) -> str:
    """Return the version alone: debian12.5 -> 12.5; empty for a system that rolls."""
    return osvers[len(family(osvers)) :].lstrip("-_")


def major(text: str) -> int:
    """Return the first number of a version; 0 when there is none."""
    found = re.match(r"[0-9]+", text)
    return int(found.group()) if found else 0


def system_names(osvers: str) -> list[str]:
    """Return the names that lists may call a system, the most particular first.

    Less particular names lose the last digits: debian12.5, debian12, debian. A clone of Enterprise Linux also takes a
    list for `el9`, and a release of SUSE one for `sles15`.
    """
    names = [osvers]
    while re.search(r"[0-9]$", names[-1]):
        names.append(re.sub(r"[._-]?[0-9]+$", "", names[-1]))
    system, release = family(osvers), major(version(osvers))
    if system in ENTERPRISE_LINUX:
        names += [f"el{release}", "el"]
    elif system in SUSE and release:
        names += [f"sles{release}", "sles"]
    return list(dict.fromkeys(names))


def list_directories(osvers: str) -> list[str]:
    """Return the directories below `custom/netboot` that a site's lists of this system may lie in: its own name, then the
    one that the original uses for the whole family (behaviour.md f.1).
    """
    system = family(osvers)
    shared = {**dict.fromkeys(ENTERPRISE_LINUX, "rh"), **dict.fromkeys(SUSE, "sles")}.get(system, system)
    return list(dict.fromkeys([system, shared]))
