# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many nodes at once, and what keeps clients that do harm from delaying them."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import ssl
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.answer.connections import Limits
from ansible_collections.diskless.statelite.plugins.module_utils.answer.spool import Spool, sweep
from ansible_collections.diskless.statelite.plugins.module_utils.lite.entry import entries_for
from ansible_collections.diskless.statelite.plugins.module_utils.lite.treeplan import Wanted, plan_tree
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site

from .asking import Serving
from .crowd import Client, Crowd
from .service import Answering, ask, connect, make_pki, publish

NODES = 600
PATIENCE = 60.0
"""Seconds for what takes a moment, on a machine that does other things too."""
MEMORY = 300
"""MiB that the service may take, all its processes together."""
BEGIN = b"<xcatrequest><command>bootreport</command><arg>"


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture()
def site(tmp_path: Path) -> Path:
    """A site of many nodes, each with an address of this machine; the last one is called n1."""
    rows = {
        "policy": [{"priority": "1", "commands": "litefile,litetree", "noderange": "all", "rule": "allow"}],
        "nodelist": [{"node": f"n{number}", "groups": "all"} for number in range(1, NODES)],
        "hosts": [{"node": f"n{number}", "ip": f"127.0.{number >> 8}.{number & 255}"} for number in range(1, NODES)],
        "nodetype": [{"node": "all", "provmethod": "img1"}],
        "noderes": [{"node": "all", "nfsserver": "10.0.0.9"}],
        "statelite": [{"node": "all", "statemnt": "/srv/state"}],
        "osimage": [{"imagename": "img1", "provmethod": "statelite"}],
        "linuximage": [{"imagename": "img1", "rootimgdir": f"{tmp_path}/image"}],
        "litefile": [{"file": f"/etc/file{number}", "options": ("persistent", "")[number % 2]} for number in range(20)],
        "litetree": [{"priority": "1", "directory": "10.0.0.9:/lt/$node"}],
    }
    (tmp_path / "image/rootimg/etc").mkdir(parents=True)
    plan_tree(f"{tmp_path}/image/rootimg", Wanted("img1", entries_for(Site(rows), "img1"))).apply()
    publish(tmp_path / "published/site.json", rows)
    return tmp_path / "published/site.json"


@pytest.fixture()
def serving(site: Path, tmp_path: Path, pki: Path) -> Iterator[Serving]:
    with Serving(site, tmp_path / "spool", pki, processes=2) as service:
        yield service


def node(number: int) -> Client:
    """Return a node that must get its own plan: its name, its level and its own state."""
    words = (f"<data>node\tn{number}</data>", f"\t/lt/n{number}\t", f"\tpersistent/n{number}/etc/file0\t")

    def good(answer: bytes) -> bool:
        return all(word.encode() in answer for word in words) and answer.endswith(b"<serverdone></serverdone>\n</xcatresponse>\n")

    return Client(f"127.0.{number >> 8}.{number & 255}", b"<xcatrequest><command>bootplan</command></xcatrequest>\n", good)


def test_every_node_of_a_crowd_gets_its_own_plan(serving: Serving, pki: Path) -> None:
    outcome = Crowd(serving.port, pki, 128).run([node(number) for number in range(1, NODES)])
    assert outcome.faults == []
    assert len(outcome.seconds) == NODES - 1
    assert serving.peak() < MEMORY
    assert len(serving.processes()) == 3


def plain_from(address: str, port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), 10, (address, 0))


def hello(pki: Path) -> bytes:
    """Return the first message of a TLS client."""
    sent = ssl.MemoryBIO()
    client = ssl.create_default_context(cafile=str(pki / "ca.pem")).wrap_bio(ssl.MemoryBIO(), sent, server_hostname="127.0.0.1")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return sent.read()


class Hostile:
    """Clients from addresses of their own that hold connections and send what is no request, until `stop`."""

    def __init__(self, port: int, pki: Path) -> None:
        self.port, self.pki = port, pki
        self.sent = 0
        self._held: list[socket.socket] = []
        self._stop = threading.Event()
        first = hello(pki)
        for number in range(150):
            self._hold(f"127.8.0.{number + 1}", b"")
            self._hold(f"127.8.1.{number + 1}", first[: 1 + number % len(first)])
            self._hold(f"127.8.2.{number + 1}", first)
            self._hold(f"127.8.3.{number + 1}", os.urandom(200))
        self._threads = [threading.Thread(target=self._over_and_over, args=(each, kind), daemon=True) for each, kind in enumerate("edgdhe")]
        for thread in self._threads:
            thread.start()

    def _hold(self, address: str, content: bytes) -> None:
        held = plain_from(address, self.port)
        with contextlib.suppress(OSError):
            held.sendall(content)
        self._held.append(held)

    def _over_and_over(self, number: int, kind: str) -> None:
        does = {"e": self._endless, "d": self._drips, "g": self._garbage, "h": self._huge}[kind]
        while not self._stop.is_set():
            with contextlib.suppress(OSError), plain_from(f"127.8.4.{number + 1}", self.port) as plain:
                context = ssl.create_default_context(cafile=str(self.pki / "ca.pem"))
                with context.wrap_socket(plain, server_hostname="127.0.0.1") as used:
                    does(used)
            self.sent += 1

    def _endless(self, used: ssl.SSLSocket) -> None:
        used.sendall(BEGIN)
        while not self._stop.wait(0.01):
            used.sendall(b"x" * 65536)

    def _drips(self, used: ssl.SSLSocket) -> None:
        while not self._stop.wait(0.05):
            used.sendall(b"<")

    def _garbage(self, used: ssl.SSLSocket) -> None:
        used.sendall(os.urandom(20_000) + b"</xcatrequest>")
        self._stop.wait(0.05)

    def _huge(self, used: ssl.SSLSocket) -> None:
        used.sendall(BEGIN + b"<a/>" * 900_000 + b"</arg></xcatrequest>")
        used.recv(100)
        self._stop.wait(0.05)

    def stop(self) -> None:
        self._stop.set()
        for each in self._held:
            each.close()
        for thread in self._threads:
            thread.join(PATIENCE)


def test_hostile_clients_do_not_delay_the_others(serving: Serving, pki: Path) -> None:
    calm = Crowd(serving.port, pki, 16).run([node(number) for number in range(300, NODES)])
    hostile = Hostile(serving.port, pki)
    try:
        outcome = Crowd(serving.port, pki, 16).run([node(number) for number in range(1, 300)])
    finally:
        hostile.stop()
    assert outcome.faults == []
    # Beside the same crowd without them: this machine may have other things to do.
    assert statistics.median(outcome.seconds) < 10 * statistics.median(calm.seconds) + 1
    assert serving.peak() < MEMORY
    assert "Traceback" not in serving.log.read_text()


def test_who_waits_longest_without_asking_makes_room(site: Path, tmp_path: Path, pki: Path) -> None:
    limits = Limits(connections=10, handshake=60, idle=60)
    with Answering(site, tmp_path / "spool", pki, limits=limits) as service:
        silent = [plain_from(f"127.8.0.{number}", service.port) for number in range(1, 26)]
        began = time.monotonic()
        assert Crowd(service.port, pki, 4).run([node(number) for number in range(1, 9)]).faults == []
        assert time.monotonic() - began < PATIENCE
        assert service.service.open_connections <= 10
        silent[0].settimeout(PATIENCE)
        assert silent[0].recv(1) == b""
        for each in silent:
            each.close()


def test_requests_that_together_take_too_much_memory_are_given_up_the_largest_first(site: Path, tmp_path: Path, pki: Path) -> None:
    limits = Limits(handshake=60, idle=60, memory=1_000_000)
    with Answering(site, tmp_path / "spool", pki, limits=limits) as service:
        held = []
        for number in range(8):
            used = connect(service.port, pki)
            with contextlib.suppress(OSError):
                used.sendall(BEGIN + b"x" * (150_000 + number))
            held.append(used)
        assert Crowd(service.port, pki, 1).run([node(2)]).faults == []
        until(lambda: service.service.open_connections < 8)
        assert 0 < service.service.reception.held <= 1_000_000
        for each in held:
            each.close()
        until(lambda: service.service.open_connections == 0)
        assert service.service.reception.held == 0


def until(reached: Callable[[], bool]) -> None:
    ends = time.monotonic() + PATIENCE
    while not reached():
        assert time.monotonic() < ends
        time.sleep(0.01)


def test_a_disk_that_is_slow_to_take_a_report_delays_no_plan(
    site: Path, tmp_path: Path, pki: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing, goes_on = threading.Event(), threading.Event()
    write = Spool._write

    def slow(*words: object) -> None:
        writing.set()
        goes_on.wait(PATIENCE)
        write(*words)

    monkeypatch.setattr(Spool, "_write", slow)
    with Answering(site, tmp_path / "spool", pki, limits=Limits()) as service:
        told: list[str] = []
        reporter = threading.Thread(target=lambda: told.append(ask(service.port, pki, "bootreport", "{}")))
        reporter.start()
        assert writing.wait(PATIENCE)
        assert Crowd(service.port, pki, 8).run([node(number) for number in range(2, 20)]).faults == []
        assert told == []
        goes_on.set()
        reporter.join(PATIENCE)
    assert "<data>taken</data>" in told[0]


def test_a_process_that_ends_is_replaced_and_the_others_answer_meanwhile(serving: Serving, pki: Path) -> None:
    crowd = Crowd(serving.port, pki, 4)
    first = serving.processes()
    os.kill(first[1], signal.SIGKILL)
    for _turn in range(3):
        assert crowd.run([node(number) for number in range(1, 20)]).faults == []
    until(lambda: len(serving.processes()) == 3 and serving.processes() != first)
    os.kill(first[2], signal.SIGKILL)
    assert crowd.run([node(number) for number in range(1, 20)]).faults == []


def gone(process: int) -> bool:
    """Return whether a process is no more, or only waits for whoever shall hear of its end."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_no_process_outlives_the_one_that_started_it(serving: Serving) -> None:
    own, *others = serving.processes()
    os.kill(own, signal.SIGKILL)
    until(lambda: all(gone(process) for process in others))


def test_the_service_ends_when_it_is_told_to(serving: Serving) -> None:
    others = serving.processes()[1:]
    assert serving.stop() == 0
    assert all(gone(process) for process in others)


def test_what_a_killed_writer_left_goes_at_the_next_start(tmp_path: Path) -> None:
    for name in ("n1.json", "n1.json.17-4.new"):
        (tmp_path / name).write_text("{}")
    sweep(str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["n1.json"]
