# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A site's BMCs, emulated: their names and addresses in this network namespace, and the servers that answer for them."""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import places
from processes import LabError, Server, run

HERE = Path(__file__).resolve().parent
PYTHON = places.BUILD / "power" / "venv" / "bin" / "python"
COLLECTIONS = places.BUILD / "power" / "collections"
USER = "operator"
REDFISH = "10.9.0.1"
"""Where one server answers for all BMCs that speak Redfish, each by its name."""
LIMIT = 60


@dataclass(frozen=True)
class Node:
    """A node, how its BMC is spoken to (redfish, ipmi, command), whether it is on, the password that the site has for it, and its BMC's."""

    name: str
    speaks: str
    on: bool = False
    known: str = ""
    password: str = ""
    silent: bool = False


def addresses(nodes: Sequence[Node]) -> dict[str, str]:
    """Return the address of each node's BMC."""
    own = {node.name: f"10.9.0.{number}" for number, node in enumerate(nodes, 11)}
    return own | {node.name: REDFISH for node in nodes if node.speaks == "redfish" and not node.silent}


def network(nodes: Sequence[Node], logs: Path) -> None:
    """Give this namespace the BMCs' addresses and names."""
    log = logs / "network.log"
    told = addresses(nodes)
    run(["ip", "link", "set", "lo", "up"], log=log, limit=LIMIT)
    for address in sorted(set(told.values())):
        run(["ip", "address", "add", f"{address}/32", "dev", "lo"], log=log, limit=LIMIT)
    hosts = logs / "hosts"
    hosts.write_text("127.0.0.1 localhost\n" + "".join(f"{address} {name}-bmc\n" for name, address in told.items()), encoding="utf-8")
    run(["mount", "--bind", str(hosts), "/etc/hosts"], log=log, limit=LIMIT)


def hang(nodes: Sequence[Node], ends: ExitStack) -> None:
    """Let the silent BMCs that speak Redfish take connections and say nothing; at the addresses of the other silent ones nothing is."""
    for node in nodes:
        if node.silent and node.speaks == "redfish":
            ends.enter_context(socket.create_server((addresses(nodes)[node.name], 443)))


def start(nodes: Sequence[Node], machine: Sequence[str], logs: Path, ends: ExitStack) -> None:
    """Start the BMCs and wait until they answer; each switches its node by the command `machine`."""
    told = addresses(nodes)
    key, certificate = logs / "bmc.key", logs / "bmc.pem"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    run([*words, "-subj", "/CN=bmc", "-keyout", str(key), "-out", str(certificate)], log=logs / "openssl.log", limit=LIMIT)
    for kind, served in (("redfish", ("redfish",)), ("ipmi", ("ipmi", "command"))):
        mine = [node for node in nodes if node.speaks in served and not node.silent]
        state = logs / kind
        state.mkdir(mode=0o700)
        boards = [
            {"address": f"{node.name}-bmc" if kind == "redfish" else told[node.name], "node": node.name}
            | {"user": USER, "password": node.password or node.known}
            for node in mine
        ]
        file = state / "boards.json"
        file.write_text(
            json.dumps(
                {
                    "boards": boards,
                    "machine": list(machine),
                    "state": str(state),
                    **{"listen": REDFISH} | {"certificate": str(certificate), "key": str(key)},
                }
            ),
            encoding="utf-8",
        )
        server = Server(f"the BMCs by {kind}", [str(PYTHON), str(HERE / f"{kind}_bmc.py"), str(file)], logs / f"{kind}.log")
        ends.callback(server.stop)
        answering(server, kind, told[mine[0].name])


def answering(server: Server, kind: str, address: str) -> None:
    """Wait until a server listens."""
    ends = time.monotonic() + LIMIT
    while time.monotonic() < ends:
        server.require_running()
        if kind == "ipmi":
            # The kernel's own table: a socket of UDP takes what comes before anybody reads it.
            if ":026F " in Path("/proc/net/udp").read_text(encoding="ascii"):
                return
        else:
            try:
                socket.create_connection((address, 443), 1).close()
                return
            except OSError:
                pass
        time.sleep(0.1)
    raise LabError(f"{server.name} do not listen after {LIMIT} s; their log is {server.log}")


def environment(home: Path) -> Mapping[str, str]:
    """Return the environment in which Ansible finds this collection and community.general."""
    return {
        "ANSIBLE_COLLECTIONS_PATH": f"{places.BUILD / 'workspace'}:{COLLECTIONS}",
        "ANSIBLE_HOME": str(home),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_DISPLAY_OK_HOSTS": "true",
        "PATH": f"{Path(sys.executable).parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    }
