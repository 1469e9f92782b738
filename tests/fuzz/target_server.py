# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The answer service in a process of its own, over real sockets: hostile connections side by side, then an honest node.

Hypothesis makes up the connections: what is sent, in which pieces, with which pauses, with TLS or without, and how it ends. After
each set of them the honest node gets exactly what it got before, the service holds no more memory and files than it may, and its
log tells of no exception. It says nothing of other nodes. The words of the command line are those of the other targets.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import struct
import sys
import tempfile
import time
from pathlib import Path

from ansible_collections.diskless.statelite.plugins.module_utils.lite.entry import entries_for
from ansible_collections.diskless.statelite.plugins.module_utils.lite.treeplan import Wanted, plan_tree
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.answer.asking import Asking, Serving
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.answer.service import make_pki, publish
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

MEMORY = 400
"""MiB of all processes of the service at their highest."""
FILES = 200
"""Files of each process."""
QUESTIONS = [("litefile",), ("litetree",), ("bootplan", "image=img1")]
SECRET = b"other-secret"
WORDS = [
    *("<xcatrequest>", "</xcatrequest>", "<command>", "</command>", "<arg>", "</arg>", "<noderange>n2</noderange>"),
    *("litefile", "litetree", "bootplan", "bootreport", "bootfailure", "image=img1", "generation=1", "generation=../../..", "stage=a"),
    *("<![CDATA[", "]]>", "<!--", "-->", "&amp;", "&b;", "&#0;", "&#x110000;", "<!DOCTYPE a [<!ENTITY b 'c'>]>"),
    *("<?xml version='1.0' encoding='utf-16'?>", "\x00", "\n", "\ufffe", "{}", "[", "<a>", "</a>", "<a b='c'/>"),
]
REQUEST = "<xcatrequest><command>{}</command>{}</xcatrequest>\n"

commands = st.sampled_from(["litefile", "litetree", "bootplan", "bootreport", "bootfailure", "tabdump", "", "x" * 70_000])
arguments = st.lists(st.text(st.characters(codec="utf-8"), max_size=30).map(lambda text: f"<arg>{text}</arg>"), max_size=4).map("".join)
repeated = st.builds(lambda word, count: word * count, st.sampled_from(WORDS), st.sampled_from([1, 40, 3_000, 300_000]))
scrambled = st.lists(st.one_of(st.sampled_from(WORDS), repeated), max_size=14).map("".join)
requests = st.one_of(
    st.builds(REQUEST.format, commands, arguments),
    st.builds(REQUEST.format, commands, scrambled),
    st.builds(REQUEST.format, st.just("bootreport"), repeated.map(lambda text: f"<arg>{text}</arg>")),
    scrambled,
)
contents = st.one_of(st.binary(max_size=200), requests.map(lambda text: text.encode("utf-8", "replace")))
connections = st.fixed_dictionaries({
    "tls": st.integers(0, 5).map(bool),
    "content": contents,
    "pieces": st.integers(1, 6),
    "pause": st.sampled_from([0, 0, 0.001, 0.02]),
    "end": st.sampled_from(["read", "read", "close", "reset", "half", "stay"]),
})  # fmt: skip


class Fuzzed:
    """The service, its honest node, and the connections that hostile ones left open."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.pki = make_pki(work / "pki")
        rows = site(work)
        (work / "image/rootimg/etc").mkdir(parents=True)
        plan_tree(f"{work}/image/rootimg", Wanted("img1", entries_for(Site(rows), "img1"))).apply()
        publish(work / "published/site.json", rows)
        self.service = Serving(work / "published/site.json", work / "spool", self.pki)
        self.honest = Asking(self.service.port, self.pki, QUESTIONS)
        self.told = self.honest.now()
        self.processes = self.service.processes()
        self.failed = False
        self.open: list[socket.socket] = []
        self.read = self.peak = 0
        self.context = ssl.create_default_context(cafile=str(self.pki / "ca.pem"))

    def connect(self, tls: bool, content: bytes, pieces: int, pause: float, end: str) -> None:
        """Be one hostile client; whatever the service does to the connection is its right, but for what it says."""
        plain = socket.create_connection(("127.0.0.1", self.service.port), 5)
        used = plain
        with contextlib.suppress(OSError):
            used = self.context.wrap_socket(plain, server_hostname="127.0.0.1") if tls else plain
            size = max(1, -(-len(content) // pieces))
            for start in range(0, len(content), size):
                used.sendall(content[start : start + size])
                time.sleep(pause)
            if end == "half":
                used.shutdown(socket.SHUT_WR)
            if end in ("read", "half"):
                used.settimeout(0.1)
                self.heard(used)
        if end == "stay" and len(self.open) < FILES // 2:
            self.open.append(used)
            return
        if end == "reset":
            with contextlib.suppress(OSError):
                used.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        used.close()

    def heard(self, used: socket.socket) -> None:
        """Read for a while; fail when it is about another node."""
        received = b""
        with contextlib.suppress(OSError):
            while len(received) < 1_000_000:
                part = used.recv(65536)
                if not part:
                    break
                received += part
        self.read += bool(received)
        assert SECRET not in received, received

    def look(self) -> None:
        """Fail unless the honest node is answered as before and the service is within its bounds."""
        assert self.service.process.poll() is None, self.service.log.read_text()[-2000:]
        began = time.monotonic()
        assert self.honest.now() == self.told
        assert time.monotonic() - began < 60
        processes = self.service.processes()
        assert processes == self.processes, "a process of the service ended"
        self.peak = self.service.peak()
        assert self.peak < MEMORY, f"{self.peak} MiB"
        assert all(len(os.listdir(f"/proc/{process}/fd")) < FILES for process in processes)
        log = self.service.log.read_text(errors="replace")
        assert "Traceback" not in log, log[log.index("Traceback") - 500 :][:3000]
        os.truncate(self.service.log, 0)
        while len(self.open) > FILES // 4:
            self.open.pop(0).close()


def site(work: Path) -> dict[str, list[dict[str, str]]]:
    return {
        "policy": [{"priority": "1", "commands": "litefile,litetree", "rule": "allow"}],
        "nodelist": [{"node": "n1", "groups": "all"}, {"node": "n2", "groups": "all"}],
        "hosts": [{"node": "n1", "ip": "127.0.0.1"}, {"node": "n2", "ip": "10.99.0.2"}],
        "nodetype": [{"node": "all", "provmethod": "img1"}],
        "nodepos": [{"node": "n1", "room": "here"}, {"node": "n2", "room": SECRET.decode()}],
        "osimage": [{"imagename": "img1", "provmethod": "statelite"}],
        "linuximage": [{"imagename": "img1", "rootimgdir": f"{work}/image"}],
        "litefile": [{"file": f"/etc/file{number}"} for number in range(50)],
        "litetree": [{"priority": "1", "directory": "10.0.0.9:/lt/$nodepos.room"}],
    }


def main() -> None:
    words = dict(word.lstrip("-").split("=", 1) for word in sys.argv[1:] if word.startswith("-") and "=" in word)
    ends = time.monotonic() + float(words.get("max_total_time", 60))
    number = int(words.get("seed", time.time_ns() % 2**32))
    with tempfile.TemporaryDirectory(prefix="server-") as directory:
        fuzzed = Fuzzed(Path(directory))
        sets = clients = 0

        @settings(max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(st.lists(connections, min_size=1, max_size=6))
        def hostile(those: list[dict[str, object]]) -> None:
            nonlocal sets, clients
            if time.monotonic() > ends and not fuzzed.failed:
                return
            sets, clients = sets + 1, clients + len(those)
            fuzzed.failed = True
            for each in those:
                fuzzed.connect(**each)
            fuzzed.look()
            fuzzed.failed = False

        try:
            while time.monotonic() < ends:
                number += 1
                seed(number)(hostile)()
        finally:
            print(f"seed {number}")
            print(f"told: {sets} times side by side, {fuzzed.read} of them were answered, the service took at most {fuzzed.peak} MiB")
            fuzzed.service.stop()
    print(f"stat::number_of_executed_units: {clients}")


if __name__ == "__main__":
    main()
