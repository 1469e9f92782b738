# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the real dnsmasq in a network namespace and print the address it offers a card: DROP-IN LEASES MAC SECONDS (under unshare --net)."""

from __future__ import annotations

import contextlib
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator

SERVER, NODE = "statelite0", "statelite1"
ADDRESS, NOBODY, ALL = "10.77.0.1", "0.0.0.0", "255.255.255.255"
PLAIN = 0x1234


def question(mac: bytes, options: bytes, number: int = PLAIN, source: str = NOBODY, to: str = ALL, port: int = 67) -> bytes:
    """Return a question of a card as a frame of Ethernet, `number` being its own; with no source, an answer is one that all can hear."""
    flags = 0x8000 if source == NOBODY else 0
    asking = socket.inet_aton(source)
    bootp = struct.pack("!BBBBIHH4s12s16s192s", 1, 1, 6, 0, number, 0, flags, asking, b"", mac, b"") + bytes([99, 130, 83, 99])
    bootp = (bootp + options + b"\xff").ljust(300, b"\0")
    udp = struct.pack("!HHHH", 68, port, 8 + len(bootp), 0) + bootp
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, asking, socket.inet_aton(to))
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    head = head[:10] + struct.pack("!H", ~total & 0xFFFF) + head[12:]
    return b"\xff" * 6 + mac + b"\x08\x00" + head + udp


def discover(mac: bytes, options: bytes = b"", number: int = PLAIN) -> bytes:
    """Return a DHCPDISCOVER of a card."""
    return question(mac, bytes([53, 1, 1]) + options, number)


def answer(card: socket.socket) -> bytes | None:
    """Return the next answer of a DHCP server that comes to the card, None when there is none for a moment."""
    try:
        frame = card.recv(2048)
    except socket.timeout:
        return None
    told = frame[12:14] == b"\x08\x00" and frame[23] == 17 and frame[36:38] == struct.pack("!H", 68) and frame[42:43] == b"\x02"
    return frame[42:] if told else b""


def offer(card: socket.socket, mac: bytes, patience: float) -> str:
    """Return the address that the first offer to the card names, `none` when there is none in so many seconds."""
    deadline = time.monotonic() + patience
    asked = 0.0
    while time.monotonic() < deadline:
        if time.monotonic() - asked > 1:
            card.send(discover(mac))
            asked = time.monotonic()
        bootp = answer(card)
        if bootp and bootp[28:34] == mac:
            return socket.inet_ntoa(bootp[16:20])
    return "none"


@contextlib.contextmanager
def served(drop_in: str, leases: str) -> Iterator[socket.socket]:
    """Make two ends of a wire and let dnsmasq answer on one; the other is yielded."""
    for words in (
        "link set lo up",
        f"link add {SERVER} type veth peer name {NODE}",
        f"address add {ADDRESS}/24 dev {SERVER}",
        f"link set {SERVER} up",
        f"link set {NODE} up",
    ):
        subprocess.run(["ip", *words.split()], check=True)
    command = ["dnsmasq", "--keep-in-foreground", "--user=root", "--group=root", f"--conf-file={drop_in}", f"--dhcp-leasefile={leases}"]
    daemon = subprocess.Popen([*command, "--pid-file=", "--port=0", "--log-facility=-"], stderr=subprocess.DEVNULL)
    try:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as card:
            card.bind((NODE, 0))
            card.settimeout(0.2)
            yield card
    finally:
        daemon.terminate()
        daemon.wait()


def main() -> None:
    """Ask for one card."""
    drop_in, leases, written, patience = sys.argv[1:]
    with served(drop_in, leases) as card:
        print(offer(card, bytes.fromhex(written.replace(":", "")), float(patience)))


if __name__ == "__main__":
    main()
