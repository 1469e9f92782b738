# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the real dnsmasq in a network namespace and print the address it offers a card: DROP-IN LEASES MAC SECONDS (under unshare --net)."""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
import time

SERVER, NODE = "statelite0", "statelite1"


def discover(mac: bytes) -> bytes:
    """Return a DHCPDISCOVER of a card as a frame of Ethernet; the broadcast flag asks for an answer that all can hear."""
    bootp = struct.pack("!BBBBIHH16s16s192s", 1, 1, 6, 0, 0x1234, 0, 0x8000, b"", mac, b"") + bytes([99, 130, 83, 99, 53, 1, 1, 255])
    bootp = bootp.ljust(300, b"\0")
    udp = struct.pack("!HHHH", 68, 67, 8 + len(bootp), 0) + bootp
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, b"", b"\xff" * 4)
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    head = head[:10] + struct.pack("!H", ~total & 0xFFFF) + head[12:]
    return b"\xff" * 6 + mac + b"\x08\x00" + head + udp


def offer(card: socket.socket, mac: bytes, patience: float) -> str:
    """Return the address that the first offer to the card names, `none` when there is none in so many seconds."""
    deadline = time.monotonic() + patience
    asked = 0.0
    while time.monotonic() < deadline:
        if time.monotonic() - asked > 1:
            card.send(discover(mac))
            asked = time.monotonic()
        try:
            frame = card.recv(2048)
        except socket.timeout:
            continue
        bootp = frame[42:]
        if frame[12:14] == b"\x08\x00" and frame[23] == 17 and frame[34:38] == struct.pack("!HH", 67, 68) and bootp[28:34] == mac:
            return socket.inet_ntoa(bootp[16:20])
    return "none"


def main() -> None:
    """Make two ends of a wire, let dnsmasq answer on one and ask on the other."""
    drop_in, leases, written, patience = sys.argv[1:]
    for words in (
        "link set lo up",
        f"link add {SERVER} type veth peer name {NODE}",
        f"address add 10.77.0.1/24 dev {SERVER}",
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
            print(offer(card, bytes.fromhex(written.replace(":", "")), float(patience)))
    finally:
        daemon.terminate()
        daemon.wait()


if __name__ == "__main__":
    main()
