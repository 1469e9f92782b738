# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An ssh server of the test's own, on a port of this machine: python server.py start|stop DIRECTORY

DIRECTORY gets host keys, a client's key and the server's settings; `port` there holds its port. It lets root in by that key alone.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

SSHD = "/usr/sbin/sshd"


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def make_keys(directory: Path) -> None:
    """Make the host's key and the client's."""
    for name in ("host", "client"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(directory / name)], check=True)


def start(directory: Path) -> None:
    """Start the server and return when it answers."""
    directory.mkdir(parents=True)
    make_keys(directory)
    port = free_port()
    settings = {
        "Port": port,
        "ListenAddress": "127.0.0.1",
        "HostKey": directory / "host",
        "AuthorizedKeysFile": directory / "client.pub",
        "PidFile": directory / "pid",
        "PermitRootLogin": "prohibit-password",
        "PasswordAuthentication": "no",
        "StrictModes": "no",
        "UsePAM": "no",
    }
    (directory / "settings").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    subprocess.run([SSHD, "-f", str(directory / "settings"), "-E", str(directory / "log")], check=True)
    (directory / "port").write_text(str(port))
    for _attempt in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    sys.exit((directory / "log").read_text())


if __name__ == "__main__":
    place = Path(sys.argv[2])
    if sys.argv[1] == "start":
        start(place)
    elif (place / "pid").exists():
        os.kill(int((place / "pid").read_text()), signal.SIGTERM)
