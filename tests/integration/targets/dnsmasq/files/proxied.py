# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask the real dnsmasq beside another server, as a card does: DROP-IN LEASES MAC ARCHITECTURE QUESTION... (under unshare --net).

A question is MAC/NUMBER, a PXE client of that architecture; MAC/NUMBER/ipxe, one that runs iPXE; MAC/plain, who is none;
MAC/inform, who asks for options alone. Printed is for each `none`, or the address in the offer, the server and the file.
The card of the first two words is one that is answered: whoever asks before it and is not answered when it is, is told nothing.
"""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
import time

from offered import ADDRESS, SERVER, answer, discover, question, served

TAKEN = "10.77.0.11"
PATIENCE = 120.0
FIRST, TOLD, KNOWN = 100, 1000, 2000
"""Numbers of questions, each of its own: on a slow machine a late second answer to one is no answer to the next."""


def option(number: int, value: bytes) -> bytes:
    """Return one option."""
    return bytes([number, len(value)]) + value


def options(bootp: bytes) -> dict[int, bytes]:
    """Return the options of an answer."""
    return parts(bootp[240:])


def parts(text: bytes) -> dict[int, bytes]:
    """Return the parts of options, or of what is packed into one."""
    found = {}
    while text and text[0] != 255:
        if text[0] == 0:
            text = text[1:]
            continue
        found[text[0]] = text[2 : 2 + text[1]]
        text = text[2 + text[1] :]
    return found


def client(kind: str, ipxe: bool) -> bytes:
    """Return the options of a PXE client of an architecture."""
    said = option(60, f"PXEClient:Arch:{int(kind):05}:UNDI:003016".encode()) + option(93, struct.pack("!H", int(kind)))
    return said + option(97, bytes(17)) + (option(77, b"iPXE") if ipxe else b"")


def answered(card: socket.socket, frames: list[bytes], wanted: int) -> dict[int, bytes]:
    """Send questions until the one with the wanted number is answered; return the answers until then by number."""
    found: dict[int, bytes] = {}
    deadline = time.monotonic() + PATIENCE
    asked = 0.0
    while wanted not in found:
        if time.monotonic() > deadline:
            sys.exit(f"question {wanted} was not answered")
        if time.monotonic() - asked > 2:
            for frame in frames:
                card.send(frame)
            asked = time.monotonic()
        bootp = answer(card)
        if bootp:
            found[struct.unpack("!I", bootp[4:8])[0]] = bootp
    return found


def told(card: socket.socket, mac: bytes, said: bytes, offer: bytes, number: int) -> str:
    """Return what a client hears in the end: it asks the boot server, for the only entry of the menu where there is one."""
    menu = parts(options(offer).get(43, b"")).get(9)
    item = option(43, option(71, menu[:2] + b"\0\0") + b"\xff") if menu else b""
    asking = question(mac, bytes([53, 1, 3]) + said + item, number, TAKEN, ADDRESS, 4011)
    bootp = answered(card, [asking], number)[number]
    server, file = socket.inet_ntoa(bootp[20:24]), bootp[108:236].split(b"\0")[0].decode()
    return f"{socket.inet_ntoa(offer[16:20])} {server} {file or 'nothing'}"


def main() -> None:
    """Ask for each card."""
    drop_in, leases, known, kind, *questions = sys.argv[1:]
    with served(drop_in, leases) as card:
        for number, each in enumerate(questions, FIRST):
            written, asks, *rest = each.split("/")
            mac = bytes.fromhex(written.replace(":", ""))
            said = client(asks, bool(rest)) if asks.isdecimal() else b""
            first = discover(mac, said, number)
            if asks == "inform":
                first = question(mac, bytes([53, 1, 8]), number, TAKEN, ADDRESS)
            subprocess.run(["ip", "neigh", "replace", TAKEN, "lladdr", written, "dev", SERVER, "nud", "permanent"], check=True)
            one = discover(bytes.fromhex(known.replace(":", "")), client(kind, False), KNOWN + number)
            offer = answered(card, [first, one], KNOWN + number).get(number)
            print(each, told(card, mac, said, offer, TOLD + number) if offer and said else "none" if offer is None else "answered")


if __name__ == "__main__":
    main()
