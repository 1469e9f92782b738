# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a DHCP server as machines of many kinds do, and print what each is offered, as JSON: INTERFACE UNANSWERED... (run in the server's
network). Those whom nobody should answer are named; they ask all at once, and are not waited for as long as the others.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import time
from contextlib import suppress

PATIENCE, SHORT = 60.0, 2.5
COOKIE = bytes([99, 130, 83, 99])
WANTED = (1, 3, 6, 15, 26, 42, 51, 60, 66, 67, 210)
CARD = "525400770000"
UNKNOWN = "525400770099"
NAMES = {3: "router", 6: "dns", 15: "domain", 26: "mtu", 42: "ntp", 51: "lease", 60: "class", 210: "prefix"}
ADDRESSES = (3, 6, 42)
BIOS, X64, X64_OLD, ARM64, HTTP_X64, HTTP_ARM64 = 0, 7, 9, 11, 16, 19
"""Kinds of machines (option 93)."""

ASKED = (
    ("pxe BIOS", 1, BIOS, ""),
    ("pxe UEFI", 1, X64, ""),
    ("xnba BIOS", 2, BIOS, ""),
    ("xnba UEFI", 2, X64, ""),
    ("xnba UEFI of the other number", 2, X64_OLD, ""),
    ("xnba BIOS by iPXE", 2, BIOS, "iPXE"),
    ("xnba UEFI by xNBA", 2, X64, "xNBA"),
    ("grub2 BIOS", 3, BIOS, ""),
    ("grub2 UEFI", 3, X64, ""),
    ("grub2 arm64", 3, ARM64, ""),
    ("grub2 HTTP", 3, HTTP_X64, ""),
    ("grub2 HTTP arm64", 3, HTTP_ARM64, ""),
    ("petitboot", 4, None, ""),
    ("grub2 POWER", 5, None, ""),
)
"""Who asks: a name, the node whose card it has, its kind, and its user class."""


def discover(mac: bytes, number: int, kind: int | None, user: str) -> bytes:
    """Return a DHCPDISCOVER of a card as a frame of Ethernet; the broadcast flag asks for an answer that all can hear."""
    options = bytes([53, 1, 1, 55, len(WANTED), *WANTED, 61, 7, 1, *mac])
    if kind is not None:
        vendor = f"{'HTTPClient' if kind in (HTTP_X64, HTTP_ARM64) else 'PXEClient'}:Arch:{kind:05d}:UNDI:003016".encode()
        options += bytes([93, 2]) + struct.pack("!H", kind) + bytes([60, len(vendor)]) + vendor
    if user:
        options += bytes([77, len(user)]) + user.encode()
    bootp = struct.pack("!BBBBIHH16s16s192s", 1, 1, 6, 0, number, 0, 0x8000, b"", mac, b"") + COOKIE + options + b"\xff"
    bootp = bootp.ljust(300, b"\0")
    udp = struct.pack("!HHHH", 68, 67, 8 + len(bootp), 0) + bootp
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, b"", b"\xff" * 4)
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    head = head[:10] + struct.pack("!H", ~total & 0xFFFF) + head[12:]
    return b"\xff" * 6 + mac + b"\x08\x00" + head + udp


def options_of(bootp: bytes) -> dict[int, bytes]:
    """Return the options of a message."""
    found: dict[int, bytes] = {}
    at = bootp.index(COOKIE) + len(COOKIE)
    while bootp[at] != 255:
        if bootp[at] == 0:
            at += 1
            continue
        found[bootp[at]] = bootp[at + 2 : at + 2 + bootp[at + 1]]
        at += 2 + bootp[at + 1]
    return found


def shown(code: int, value: bytes) -> str:
    """Return the value of an option in words."""
    if code in ADDRESSES:
        return ", ".join(socket.inet_ntoa(value[at : at + 4]) for at in range(0, len(value), 4))
    return str(int.from_bytes(value, "big")) if code in (26, 51) else value.rstrip(b"\0").decode()


def offered(frame: bytes, mac: bytes, number: int) -> dict[str, str] | None:
    """Return what an offer to the card says; None for any other frame."""
    bootp = frame[42:]
    if frame[12:14] != b"\x08\x00" or frame[23] != 17 or frame[34:38] != struct.pack("!HH", 67, 68):
        return None
    if bootp[28:34] != mac or struct.unpack_from("!I", bootp, 4)[0] != number:
        return None
    options = options_of(bootp)
    file = options.get(67, b"") or bootp[108:236]
    said = {"address": socket.inet_ntoa(bootp[16:20]), "file": file.split(b"\0")[0].decode()}
    if said["file"]:
        said["server"] = socket.inet_ntoa(bootp[20:24])
    said.update({name: shown(code, options[code]) for code, name in NAMES.items() if code in options})
    return said


def ask(wire: socket.socket, card: str, number: int, kind: int | None, user: str) -> dict[str, str] | None:
    """Return what the first offer to the card says, None when there is none."""
    mac = bytes.fromhex(card)
    deadline = time.monotonic() + PATIENCE
    again = 0.0
    while time.monotonic() < deadline:
        if time.monotonic() > again:
            wire.send(discover(mac, number, kind, user))
            again = time.monotonic() + 1
        try:
            said = offered(wire.recv(2048), mac, number)
        except socket.timeout:
            continue
        if said is not None:
            return said
    return None


def ask_at_once(wire: socket.socket, asked: dict[str, tuple[str, int, int | None, str]]) -> dict[str, dict[str, str] | None]:
    """Return what each of several is offered that ask side by side, again and again for a short while."""
    found: dict[str, dict[str, str] | None] = dict.fromkeys(asked)
    deadline = time.monotonic() + SHORT
    again = 0.0
    while time.monotonic() < deadline:
        if time.monotonic() > again:
            for card, number, kind, user in asked.values():
                wire.send(discover(bytes.fromhex(card), number, kind, user))
            again = time.monotonic() + 1
        with suppress(socket.timeout):
            frame = wire.recv(2048)
            for name, (card, number, _kind, _user) in asked.items():
                found[name] = found[name] or offered(frame, bytes.fromhex(card), number)
    return found


def main() -> None:
    """Ask as each of them, and as a machine that nobody knows."""
    known = [(name, CARD[:-2] + f"1{node}", kind, user) for name, node, kind, user in ASKED]
    known += [("unknown", UNKNOWN, BIOS, ""), ("new", CARD[:-2] + "16", BIOS, "")]
    asked = {name: (card, number, kind, user) for number, (name, card, kind, user) in enumerate(known, 1)}
    unanswered = {name: asked.pop(name) for name in sys.argv[2:]}
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as wire:
        wire.bind((sys.argv[1], 0))
        wire.settimeout(0.2)
        found = {name: ask(wire, *words) for name, words in asked.items()} | ask_at_once(wire, unanswered)
    print(json.dumps({name: found[name] for name, *_card in known}))


if __name__ == "__main__":
    main()
