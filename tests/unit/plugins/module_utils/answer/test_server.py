# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The answer service over real TLS: what nodes get, and what bad clients cannot do."""

from __future__ import annotations

import errno
import json
import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.answer import server
from ansible_collections.diskless.statelite.plugins.module_utils.answer.server import Limits, Published, plain_address
from ansible_collections.diskless.statelite.plugins.module_utils.answer.spool import Spool
from ansible_collections.diskless.statelite.plugins.module_utils.errors import Fault, raise_faults
from ansible_collections.diskless.statelite.plugins.module_utils.lite.entry import entries_for
from ansible_collections.diskless.statelite.plugins.module_utils.lite.treeplan import Wanted, plan_tree
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site

from .service import Answering, ask, connect, everything, make_pki, publish

Tables = Mapping[str, Sequence[Mapping[str, str]]]
NODES = 60


def tables(image: Path, files: int = 3) -> dict[str, list[dict[str, str]]]:
    """Return a site in which this machine is node n1, and other nodes that it must never hear of."""
    return {
        "policy": [
            {"priority": "4.7", "commands": "litefile", "rule": "allow"},
            {"priority": "4.8", "commands": "litetree", "rule": "allow"},
        ],
        "site": [{"key": "liteattach", "value": "bind"}],
        "nodelist": [{"node": f"n{number}", "groups": "all"} for number in range(1, NODES)],
        "hosts": [{"node": "n1", "ip": "127.0.0.1"}] + [{"node": f"n{number}", "ip": f"10.1.1.{number}"} for number in range(2, NODES)],
        "nodetype": [{"node": "all", "provmethod": "img1"}],
        "osimage": [{"imagename": "img1", "provmethod": "statelite"}],
        "linuximage": [{"imagename": "img1", "rootimgdir": str(image)}],
        "litefile": [{"image": "ALL", "file": f"/etc/ü{number}", "options": "tmpfs"} for number in range(files)],
        "litetree": [
            {"priority": "10", "directory": "10.9.0.1:/second"},
            {"priority": "2", "directory": "10.9.0.1:/lt/$node", "mntopts": "nolock"},
        ],
    }


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture()
def served(tmp_path: Path, pki: Path) -> Iterator[Answering]:
    rootimg = tmp_path / "image" / "rootimg"
    (rootimg / "etc").mkdir(parents=True)
    rows = tables(tmp_path / "image")
    publish(tmp_path / "published" / "site.json", rows)
    plan_tree(str(rootimg), Wanted("img1", entries_for(Site(rows), "img1"))).apply()
    with Answering(tmp_path / "published" / "site.json", tmp_path / "spool", pki) as service:
        yield service


def infos(answer: str) -> list[str]:
    assert answer.endswith("<serverdone></serverdone>\n</xcatresponse>\n"), answer
    return re.findall(r"  <info>(.*)</info>\n", answer)


def test_a_node_gets_its_own_rows(served: Answering, pki: Path) -> None:
    assert infos(ask(served.port, pki, "litefile")) == [
        "n1: link          /etc/mtab",
        "n1: tmpfs         /etc/ü0",
        "n1: tmpfs         /etc/ü1",
        "n1: tmpfs         /etc/ü2",
    ]
    assert infos(ask(served.port, pki, "litetree")) == ["n1: 10.9.0.1:/lt/n1 :nolock", "n1: 10.9.0.1:/second"]


def test_another_node_named_in_the_request_is_not_told_of(served: Answering, pki: Path) -> None:
    with connect(served.port, pki) as connection:
        connection.sendall(b"<xcatrequest><command>litetree</command><noderange>n2</noderange></xcatrequest>\n")
        assert infos(everything(connection)) == ["n1: 10.9.0.1:/lt/n1 :nolock", "n1: 10.9.0.1:/second"]


def test_two_requests_on_one_connection_are_both_answered(served: Answering, pki: Path) -> None:
    with connect(served.port, pki) as connection:
        connection.sendall(b"<xcatrequest><command>litefile</command></xcatrequest>\n<xcatrequest><command>litetree</command></xcatreq")
        time.sleep(0.1)
        connection.sendall(b"uest>\n")
        answer = everything(connection)
    assert answer.count("<serverdone></serverdone>") == 2
    assert len(infos(answer)) == 6


def test_the_boot_plan_comes_whole_and_the_connection_ends(served: Answering, pki: Path) -> None:
    served.service.limits = Limits(idle=60)
    with connect(served.port, pki) as connection:
        connection.sendall(b"<xcatrequest>\n<command>bootplan</command>\n<arg>image=img1</arg>\n</xcatrequest>\n")
        began = time.monotonic()
        lines = re.findall(r"  <data>(.*)</data>\n", everything(connection))
    assert time.monotonic() - began < 30
    assert lines[0] == "statelite-plan\t1"
    assert lines[-1] == f"end\t{len(lines) - 1}"
    assert "level\t1\t10.9.0.1\t/lt/n1\tvers=4.2,hard,actimeo=3,nolock,ro\toptional" in lines


def test_a_path_with_a_character_that_some_take_for_a_new_line_stays_one_line(tmp_path: Path, pki: Path) -> None:
    names = [f"/etc/a{character}b" for character in ("\u2028", "\u2029")]
    rows = {**tables(tmp_path / "image"), "litefile": [{"image": "ALL", "file": name} for name in names]}
    (tmp_path / "image/rootimg/etc").mkdir(parents=True)
    publish(tmp_path / "published/site.json", rows)
    plan_tree(str(tmp_path / "image/rootimg"), Wanted("img1", entries_for(Site(rows), "img1"))).apply()
    with Answering(tmp_path / "published/site.json", tmp_path / "spool", pki) as service:
        lines = re.findall(r"  <data>(.*)</data>\n", ask(service.port, pki, "bootplan", "image=img1"))
        assert infos(ask(service.port, pki, "litefile"))[:2] == [f"n1: tmpfs,rw      {name}" for name in names]
    assert [line.split("\t")[1] for line in lines if line.startswith("entry\t")] == names
    assert lines[-1] == f"end\t{len(lines) - 1}"


def test_what_the_policy_does_not_allow_is_denied(served: Answering, pki: Path, tmp_path: Path) -> None:
    assert "Permission denied for request" in ask(served.port, pki, "tabdump", "passwd")
    publish(tmp_path / "published" / "site.json", {**tables(tmp_path / "image"), "policy": []}, 2)
    for command in ("litefile", "litetree", "bootplan", "bootreport"):
        assert "Permission denied for request" in ask(served.port, pki, command)


def test_an_address_of_no_node_is_told_so(served: Answering, pki: Path, tmp_path: Path) -> None:
    publish(tmp_path / "published" / "site.json", {**tables(tmp_path / "image"), "hosts": []}, 2)
    assert "127.0.0.1 is the address of no node" in ask(served.port, pki, "litefile")


def test_a_variable_that_is_unset_is_an_answer_with_its_row(served: Answering, pki: Path, tmp_path: Path) -> None:
    rows = [{"priority": "1", "directory": "10.9.0.1:/$nodepos.room"}]
    publish(tmp_path / "published" / "site.json", {**tables(tmp_path / "image"), "litetree": rows}, 2)
    answer = ask(served.port, pki, "bootplan")
    assert "table litetree, priority 1" in answer
    assert "$nodepos.room is not set for node n1" in answer


def test_reports_and_failures_are_spooled_and_counted(served: Answering, pki: Path, tmp_path: Path) -> None:
    for count in ("1", "2"):
        assert f"<data>{count}</data>" in ask(served.port, pki, "bootfailure", "stage=levels", "message=10.0.0.9:/x is &amp; stays away")
    told = json.loads((tmp_path / "spool" / "n1.failure.json").read_text())
    assert (told["attempts"], told["stage"], told["message"]) == (2, "levels", "10.0.0.9:/x is & stays away")
    assert "<data>taken</data>" in ask(served.port, pki, "bootreport", json.dumps({"done": 3}).replace('"', "&quot;"))
    kept = json.loads((tmp_path / "spool" / "n1.json").read_text())
    assert (kept["node"], kept["report"], kept["failed_before"]) == ("n1", {"done": 3}, 2)
    assert not (tmp_path / "spool" / "n1.failure.json").exists()
    assert "is not JSON" in ask(served.port, pki, "bootreport", "nonsense")


def test_bad_clients_lose_only_their_own_connection(served: Answering, pki: Path) -> None:
    served.service.limits = Limits(idle=2, handshake=2)
    silent = connect(served.port, pki)
    no_tls = socket.create_connection(("127.0.0.1", served.port), 10)
    half = connect(served.port, pki)
    half.sendall(b"<xcatrequest><command>lite")
    garbage = connect(served.port, pki)
    garbage.sendall(b"\x00\xff garbage </xcatrequest>")
    gone = connect(served.port, pki)
    gone.sendall(b"<xcatrequest><command>litefile</command></xcatrequest>")
    gone.close()
    plain = socket.create_connection(("127.0.0.1", served.port), 10)
    plain.sendall(b"GET / HTTP/1.0\r\n\r\n")
    assert len(infos(ask(served.port, pki, "litetree"))) == 2
    assert "<error>" in everything(garbage)
    for connection in (silent, half):
        connection.settimeout(120)
        assert everything(connection) == ""
    no_tls.settimeout(120)
    assert no_tls.recv(100) == b""
    for each in (silent, half, garbage, plain, no_tls):
        each.close()
    assert len(infos(ask(served.port, pki, "litetree"))) == 2


def test_a_request_that_never_ends_is_cut_off(served: Answering, pki: Path) -> None:
    served.service.limits = Limits(idle=2, request=5, size=200_000)
    connection = connect(served.port, pki)
    with pytest.raises((ConnectionError, ssl.SSLError)):
        for _part in range(10_000):
            connection.sendall(b"x" * 65536)
    connection.close()
    assert infos(ask(served.port, pki, "litetree"))


def test_a_client_that_never_reads_is_given_up(tmp_path: Path, pki: Path) -> None:
    publish(tmp_path / "published" / "site.json", tables(tmp_path / "image", 40_000))
    limits = Limits(idle=2, request=5, sending=1)
    with Answering(tmp_path / "published" / "site.json", tmp_path / "spool", pki, limits=limits) as served:
        plain = socket.socket()
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.connect(("127.0.0.1", served.port))
        context = ssl.create_default_context(cafile=str(pki / "ca.pem"))
        lazy = context.wrap_socket(plain, server_hostname="127.0.0.1")
        lazy.sendall(b"<xcatrequest><command>litefile</command></xcatrequest>")
        end = time.monotonic() + 120
        while served.service.open_connections and time.monotonic() < end:
            time.sleep(0.1)
        assert served.service.open_connections == 0
        lazy.close()


def test_answers_are_whole_while_the_snapshot_is_replaced_under_load(served: Answering, pki: Path, tmp_path: Path) -> None:
    served.service.limits = Limits()
    faults: list[Any] = []
    versions = {count: tables(tmp_path / "image", count) for count in (10, 400)}
    stop = threading.Event()

    def replace() -> None:
        number = 2
        while not stop.is_set():
            for rows in versions.values():
                publish(tmp_path / "published" / "site.json", rows, number)
                number += 1
            time.sleep(0.002)

    def load() -> None:
        for _turn in range(8):
            try:
                lines = infos(ask(served.port, pki, "litefile"))
            except (OSError, AssertionError) as error:
                faults.append(error)
                continue
            if len(lines) not in (4, 11, 401):
                faults.append(len(lines))

    writer = threading.Thread(target=replace)
    clients = [threading.Thread(target=load) for _client in range(12)]
    writer.start()
    for client in clients:
        client.start()
    for client in clients:
        client.join(300)
    stop.set()
    writer.join(60)
    assert faults == []


def test_a_broken_snapshot_leaves_the_old_one_in_force(served: Answering, pki: Path, tmp_path: Path) -> None:
    assert len(infos(ask(served.port, pki, "litetree"))) == 2
    (tmp_path / "published" / "site.json").write_text("{")
    assert len(infos(ask(served.port, pki, "litetree"))) == 2
    (tmp_path / "published" / "site.json").unlink()
    assert len(infos(ask(served.port, pki, "litetree"))) == 2


def test_without_any_snapshot_the_answer_says_so(tmp_path: Path, pki: Path) -> None:
    with Answering(tmp_path / "none.json", tmp_path / "spool", pki) as served:
        assert "there is no published snapshot of the site" in ask(served.port, pki, "litefile")
        publish(tmp_path / "none.json", tables(tmp_path))
        assert infos(ask(served.port, pki, "litetree"))


@pytest.mark.parametrize(
    ("peer", "address"),
    [("10.1.1.1", "10.1.1.1"), ("::ffff:10.1.1.1", "10.1.1.1"), ("fe80::1%eth0", "fe80::1"), ("FD00::0:1", "fd00::1")],
)
def test_a_peer_is_known_by_the_address_that_the_hosts_table_has(peer: str, address: str) -> None:
    assert plain_address(peer) == address


def test_a_report_that_no_disk_takes_is_answered_with_the_path(served: Answering, pki: Path, tmp_path: Path) -> None:
    (tmp_path / "spool").rename(tmp_path / "elsewhere")
    for command, words in (("bootreport", "{}"), ("bootfailure", "stage=levels")):
        answer = ask(served.port, pki, command, words)
        assert f"{tmp_path}/spool/n1." in answer
        assert "No such file or directory" in answer


def test_a_disk_that_fills_up_is_told_and_keeps_no_part(
    served: Answering, pki: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    assert "No space left on device" in ask(served.port, pki, "bootreport", "{}")
    assert os.listdir(tmp_path / "spool") == []


def test_an_answer_that_fails_in_its_thread_ends_the_connection_at_once(
    served: Answering, pki: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_words: object) -> None:
        raise RuntimeError("nobody foresaw this")

    monkeypatch.setattr(Spool, "_write", fails)
    served.service.limits = Limits()
    assert ask(served.port, pki, "bootreport", "{}") == ""
    assert infos(ask(served.port, pki, "litefile"))


def test_a_report_that_comes_twice_at_a_time_is_taken_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(str(tmp_path))
    spool.take_failure("n1", "10.1.1.1", {"stage": "levels"})
    unlink = os.unlink

    def overtaken(path: str) -> None:
        unlink(path)
        unlink(path)

    monkeypatch.setattr(os, "unlink", overtaken)
    spool.take_report("n1", "10.1.1.1", {"done": 1})
    assert os.listdir(tmp_path) == ["n1.json"]


def test_a_snapshot_that_could_not_be_read_is_read_as_soon_as_it_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "site.json"
    publish(path, {"nodelist": [{"node": "n1"}]})
    published = Published(str(path))
    assert published.site("").nodes() == ["n1"]
    publish(path, {"nodelist": [{"node": "n2"}]}, 2)
    with monkeypatch.context() as closed:
        closed.setattr(server, "load_snapshot", lambda path: raise_faults([Fault(path, "can't be read", "Give it a group")]))
        assert published.site("").nodes() == ["n1"]
    time.sleep(0.02)
    path.chmod(0o644)
    assert published.site("").nodes() == ["n2"]
