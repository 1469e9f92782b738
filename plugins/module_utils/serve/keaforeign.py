# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What others say in Kea's main file: whether it reads our pieces, and what of theirs is in the way of our hosts (pure)."""

from __future__ import annotations

import bisect
import ipaddress
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ..errors import Fault
from .hosts import Host

TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|<\?include.*?\?>|//[^\n]*|#[^\n]*|/\*.*?\*/', re.DOTALL)
"""A string, an inclusion or a comment of Kea's JSON."""

INCLUDE = re.compile(r'<\?include\s*"([^"]*)"\s*\?>')
HELD = re.compile(r'"(hw-address|ip-address|pool)"\s*:\s*"([^"]*)"')
NAMED = re.compile(r'"interfaces"\s*:\s*\[([^\]]*)\]')
LEASES = re.compile(r'"lease-database"\s*:\s*\{([^}]*)\}')
CONTROL = re.compile(r'"control-socket"\s*:\s*\{([^}]*)\}')
EVERY = "*"


def _blank(found: re.Match[str]) -> str:
    """Leave strings and inclusions, and of a comment its line ends alone, so that lines keep their numbers."""
    word = found.group()
    return word if word.startswith(('"', "<")) else "\n" * word.count("\n")


@dataclass(frozen=True)
class Foreign:
    """A main file of others: its path, and its text without comments."""

    path: str
    text: str

    @staticmethod
    def of(path: str, text: str) -> Foreign:
        """Return the file with its comments taken out."""
        return Foreign(path, TOKEN.sub(_blank, text))

    def includes(self) -> list[tuple[str, str]]:
        """Return (place, path) of each file that is read with it."""
        return [(place, found.group(1)) for place, found in self._found(INCLUDE)]

    def socket(self) -> str:
        """Return the path of its control socket, empty for none."""
        return self._word(CONTROL, "socket-name")

    def lease_file(self) -> str:
        """Return where it says that leases are kept, empty where it does not."""
        return self._word(LEASES, "name")

    def keeps_leases_in_file(self) -> bool:
        """Return whether leases are in a file, and not in a database."""
        return self._word(LEASES, "type") in ("", "memfile")

    def _word(self, block: re.Pattern[str], key: str) -> str:
        inside = block.search(self.text)
        found = re.search(rf'"{key}"\s*:\s*"([^"]*)"', inside.group(1)) if inside else None
        return found.group(1) if found else ""

    def _found(self, pattern: re.Pattern[str]) -> Iterator[tuple[str, re.Match[str]]]:
        ends = [match.end() for match in re.finditer("\n", self.text)]
        for match in pattern.finditer(self.text):
            yield f"{self.path} line {bisect.bisect_right(ends, match.start()) + 1}", match

    def conflicts(self, hosts: Iterable[Host]) -> list[Fault]:
        """Return a fault for each reservation and pool of theirs that has an address of our hosts."""
        found = list(hosts)
        by_word = {word: host for host in found for word in (host.mac, host.address)}
        addresses = [int(ipaddress.IPv4Address(host.address)) for host in found]
        faults = []
        for place, match in self._found(HELD):
            key, word = match.groups()
            if key == "pool":
                host = next((found[at] for at in _within(word, addresses)), None)
            else:
                host = by_word.get(word.lower().replace("-", ":"))
            if host is not None:
                what = f"has {key} {word}, which {'holds the address of' if key == 'pool' else 'is that of'} {host.name}"
                faults.append(Fault(place, what, "Take it out, or the node"))
        return faults

    def unlistened(self, interfaces: Iterable[str]) -> list[Fault]:
        """Return a fault for each interface of ours that it does not have Kea listen on."""
        said = [word.split("/")[0] for _place, match in self._found(NAMED) for word in re.findall(r'"([^"]*)"', match.group(1))]
        return [
            Fault(f"{self.path}, interfaces-config", f"does not name {name}", f"Add {name} to its interfaces: the nodes ask there")
            for name in interfaces
            if EVERY not in said and name not in said
        ]


def _within(pool: str, addresses: Sequence[int]) -> list[int]:
    """Return which of the addresses, by position, a pool holds (`first - last`, or a prefix); none for what is no pool."""
    first, dash, last = (word.strip() for word in pool.partition("-"))
    try:
        network = None if dash else ipaddress.IPv4Network(first, strict=False)
        low, high = (network[0], network[-1]) if network else (ipaddress.IPv4Address(first), ipaddress.IPv4Address(last))
    except ValueError:
        return []
    return [at for at, address in enumerate(addresses) if int(low) <= address <= int(high)]
