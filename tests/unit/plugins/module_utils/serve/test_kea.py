# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kea is told of the nodes of the tables beside what others have told it, and of nothing that it refuses."""

from __future__ import annotations

import json
import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site
from ansible_collections.diskless.statelite.plugins.module_utils.serve.kea import SPEC, KeaPlan, of_the_package, plan, read_and_plan
from ansible_collections.diskless.statelite.plugins.module_utils.serve.keaconfig import CLASSES, HEADER, SUBNETS

TABLES = {
    "site": [{"key": "master", "value": "10.77.0.1"}],
    "networks": [{"netname": "lab", "net": "10.77.0.0", "mask": "255.255.255.0", "gateway": "<xcatmaster>", "domain": "lab"}],
    "nodelist": [{"node": "n1"}, {"node": "n2"}],
    "noderes": [{"node": "n2", "netboot": "grub2", "tftpserver": "10.77.0.3"}],
    "mac": [{"node": "n1", "mac": "52:54:00:77:00:11"}, {"node": "n2", "mac": "52:54:00:77:00:12"}],
    "hosts": [{"node": "n1", "ip": "10.77.0.11"}, {"node": "n2", "ip": "10.77.0.12"}],
}
FOREIGN = """{
  "Dhcp4": {
    "interfaces-config": {"interfaces": ["lo"]},  # "interfaces": ["eth7"]
    "control-socket": {"socket-type": "unix", "socket-name": "%(root)s/socket"},
    "lease-database": {"type": "memfile", "name": "%(root)s/leases.csv"},
    "client-classes": [{"name": "//no comment"}, <?include "%(root)s/pieces/client-classes.json"?>],
    "subnet4": [<?include "%(root)s/pieces/subnet4.json"?>]
  }
}
"""
HEAD = "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context\n"


def planned(root: Path, tables: dict[str, Any] | None = None, **options: Any) -> KeaPlan:
    params = {name: spec.get("default") for name, spec in SPEC.items()}
    params.update(interfaces=["lo"], main_file=str(root / "kea-dhcp4.conf"), directory=str(root / "pieces"), reload=False)
    params.update(options)
    # Who answers nobody asks for no site: there may be none yet.
    return (
        plan(Site({**TABLES, **(tables or {})}), params, ["10.77.0.1"])
        if params["dhcp"]
        else read_and_plan({**params, "site": "/none"}, print)
    )


def foreign(root: Path) -> None:
    (root / "kea-dhcp4.conf").write_text(FOREIGN % {"root": root})


def piece(decided: KeaPlan, name: str) -> list[dict[str, Any]]:
    text = next(text for path, text in decided.texts.items() if path.endswith(name))
    found: list[dict[str, Any]] = json.loads(f"[{text.split(chr(10), 1)[1]}]")
    return found


def test_reservations_are_all_that_is_answered(tmp_path: Path) -> None:
    (subnet,) = piece(planned(tmp_path), "subnet4.json")
    assert (subnet["subnet"], subnet["id"], subnet["valid-lifetime"], "pools" in subnet) == ("10.77.0.0/24", 172818440, 4294967295, False)
    assert subnet["option-data"] == [{"name": "routers", "data": "10.77.0.1"}, {"name": "domain-name", "data": "lab"}]
    assert [(each["hw-address"], each["ip-address"], each["hostname"], each["client-classes"]) for each in subnet["reservations"]] == [
        ("52:54:00:77:00:11", "10.77.0.11", "n1", ["statelite-pxe-10.77.0.1"]),
        ("52:54:00:77:00:12", "10.77.0.12", "n2", ["statelite-grub2-10.77.0.3"]),
    ]


def test_a_node_with_another_tftp_server_is_sent_there(tmp_path: Path) -> None:
    classes = {each["name"]: each for each in piece(planned(tmp_path), "client-classes.json")}
    http = classes["statelite-grub2-10.77.0.3-http-x64"]
    assert (http["next-server"], http["boot-file-name"]) == ("10.77.0.3", "http://10.77.0.3/tftpboot/boot/grub2/grub2.x86_64")
    assert classes["statelite-pxe-10.77.0.1-bios"]["next-server"] == "10.77.0.1"


def test_what_only_this_server_could_say_is_asked_for_where_it_has_no_address(tmp_path: Path) -> None:
    far = [
        {"net": "10.77.0.0", "mask": "/24", "gateway": "<xcatmaster>"},
        {"net": "10.78.0.0", "mask": "/24", "nameservers": "<xcatmaster>"},
    ]
    hosts = [*TABLES["hosts"][:1], {"node": "n2", "ip": "10.78.0.12"}]
    with pytest.raises(SiteError) as error:
        planned(tmp_path, {"networks": far, "hosts": hosts})
    assert [fault.where for fault in error.value.faults] == ["table networks, net 10.78.0.0, column nameservers"]


def test_kea_takes_a_main_file_of_ours_and_a_second_run_changes_nothing(tmp_path: Path) -> None:
    decided = planned(tmp_path)
    lines = decided.lines()
    assert not (tmp_path / "kea-dhcp4.conf").exists()
    decided.apply()
    assert sum(line.startswith("+ ") for line in lines) == len(lines) > 10
    assert planned(tmp_path).lines() == []


def test_a_file_that_kea_refuses_is_never_put_in_place(tmp_path: Path) -> None:
    foreign(tmp_path)
    planned(tmp_path).apply()
    main = tmp_path / "kea-dhcp4.conf"
    main.write_text(main.read_text().replace('"Dhcp4": {', '"Dhcp4": {"no-such-word": 1,'))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    with pytest.raises(SiteError, match="no-such-word"):
        planned(tmp_path, {"networks": [{**TABLES["networks"][0], "gateway": "10.77.0.9"}]}).apply()
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == before


def test_a_main_file_of_others_that_reads_our_pieces_stays_as_it_is(tmp_path: Path) -> None:
    foreign(tmp_path)
    decided = planned(tmp_path)
    assert sorted(os.path.basename(path) for path in decided.texts) == ["client-classes.json", "subnet4.json"]
    decided.apply()
    assert (tmp_path / "kea-dhcp4.conf").read_text() == FOREIGN % {"root": tmp_path}
    with pytest.raises(SiteError, match="does not name eth7"):
        planned(tmp_path, interfaces=["lo", "eth7"])


@pytest.mark.parametrize("others", [True, False])
def test_kea_that_is_to_answer_nobody_has_empty_pieces_which_it_takes_and_is_of_use_to_others_alone(others: bool, tmp_path: Path) -> None:
    assert planned(tmp_path, dhcp=False).lines() == []
    if others:
        foreign(tmp_path)
        assert planned(tmp_path, dhcp=False).lines() == []
    planned(tmp_path).apply()
    main = (tmp_path / "kea-dhcp4.conf").read_text()
    left = planned(tmp_path, dhcp=False)
    assert any("52:54:00:77:00:11" in line for line in left.lines())
    left.apply()
    assert (tmp_path / "pieces" / SUBNETS).read_text() == f"{HEADER}\n\n"
    assert (tmp_path / "pieces" / CLASSES).read_text() == f'{HEADER}\n{{"name": "statelite"}}\n'
    assert (tmp_path / "kea-dhcp4.conf").read_text() == main
    assert planned(tmp_path, dhcp=False).lines() == []
    assert left.result()["ours"] is not others
    assert left.result()["serves_others"] is False, "nothing runs it"
    again = planned(tmp_path)
    again.apply()
    assert len(again.found) == 2


def test_a_site_without_a_node_is_one_that_kea_takes(tmp_path: Path) -> None:
    nobody = planned(tmp_path, {"nodelist": [], "mac": [], "hosts": []})
    nobody.apply()
    assert nobody.found == []


def test_leases_of_nodes_that_kea_answers_no_more_are_ended(tmp_path: Path) -> None:
    foreign(tmp_path)
    planned(tmp_path).apply()
    held = "10.77.0.11,52:54:00:77:00:11,,4294967295,4294967295,1,0,0,n1,0,\n"
    office = "192.0.2.7,52:54:00:00:00:07,,7200,4294967295,2,0,0,phone,0,\n"
    (tmp_path / "leases.csv").write_text(HEAD + held + office)
    left = planned(tmp_path, dhcp=False)
    assert [lease.address for lease in left.stale] == ["10.77.0.11"]


def test_a_file_as_its_package_brought_it_is_nobodys() -> None:
    path = "/etc/kea/kea-dhcp4.conf"
    shipped = Path(f"{path}.dpkg-dist" if Path(f"{path}.dpkg-dist").exists() else path).read_bytes()
    assert of_the_package(path, shipped)
    assert not of_the_package(path, shipped + b" ")
    assert not of_the_package("/etc/statelite/nothing", shipped)


def lease(address: str, card: str, lifetime: int = 4294967295, expires: int | None = None) -> str:
    return f"{address},{card},,{lifetime},{expires or int(time.time()) + 9999},172818440,0,0,,0,\n"


def test_leases_in_the_way_are_ended(tmp_path: Path) -> None:
    foreign(tmp_path)
    planned(tmp_path).apply()
    older = lease("10.77.0.11", "52:54:00:77:00:99") + lease("10.77.0.12", "52:54:00:77:00:98")
    newer = (
        lease("10.77.0.12", "52:54:00:77:00:98", lifetime=0)
        + lease("10.77.0.13", "52:54:00:77:00:97")
        + lease("10.77.0.12", "52:54:00:77:00:96", expires=7)
    )
    (tmp_path / "leases.csv.2").write_text(HEAD + older)
    (tmp_path / "leases.csv").write_text(HEAD + newer)
    decided = planned(tmp_path)
    assert [line.split(": ")[1].split(",,")[0] for line in decided.lines()] == ["10.77.0.11,52:54:00:77:00:99"]
    decided.apply()
    assert planned(tmp_path).lines() == []
    gone = {"nodelist": TABLES["nodelist"][:1]}
    with (tmp_path / "leases.csv").open("a") as stream:
        stream.write(lease("10.77.0.12", "52:54:00:77:00:12"))
    assert f"- {tmp_path}/leases.csv: {lease('10.77.0.12', '52:54:00:77:00:12').rstrip()}" in planned(tmp_path, gone).lines()


@contextmanager
def daemon(path: Path, answers: dict[str, dict[str, Any]]) -> Iterator[list[str]]:
    """Answer commands on a control socket as Kea does, and note them."""
    asked: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(path))
        server.listen()

        def serve() -> None:
            while True:
                try:
                    talk, _peer = server.accept()
                except OSError:
                    return
                with talk:
                    asked.append(json.loads(talk.recv(4096))["command"])
                    talk.sendall(json.dumps(answers[asked[-1]]).encode())

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield asked
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_running_daemon_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    foreign(tmp_path)
    with daemon(tmp_path / "socket", {"status-get": {"arguments": {"reload": 0}}, "config-reload": {"result": 0}}) as asked:
        planned(tmp_path, reload=True).apply()
        assert planned(tmp_path, reload=True).lines() == []
    assert asked.count("config-reload") == 1


def test_what_a_running_daemon_refuses_goes_back(tmp_path: Path) -> None:
    foreign(tmp_path)
    planned(tmp_path).apply()
    before = {path: path.read_bytes() for path in (tmp_path / "pieces").iterdir()}
    refused = {"result": 1, "text": "interface lo has no address"}
    with daemon(tmp_path / "socket", {"status-get": {"arguments": {"reload": 0}}, "config-reload": refused}):
        changed = planned(tmp_path, {"nodelist": TABLES["nodelist"][:1]}, reload=True)
        with pytest.raises(SiteError, match=re.escape("interface lo has no address")):
            changed.apply()
    assert {path: path.read_bytes() for path in (tmp_path / "pieces").iterdir()} == before


def test_a_daemon_that_has_not_read_its_configuration_is_told(tmp_path: Path) -> None:
    foreign(tmp_path)
    planned(tmp_path).apply()
    with daemon(tmp_path / "socket", {"status-get": {"arguments": {"reload": 100}}, "config-reload": {"result": 0}}) as asked:
        decided = planned(tmp_path, reload=True)
        assert decided.lines() == ["~ kea-dhcp4 has not read its configuration since it was written"]
        decided.apply()
    assert asked[-1] == "config-reload"


def test_a_lease_that_kea_is_just_writing_is_no_lease_yet(tmp_path: Path) -> None:
    foreign(tmp_path)
    whole = lease("10.77.0.12", "52:54:00:77:00:98")
    (tmp_path / "leases.csv").write_text(HEAD + whole + "10.77.0.11,52:54:00:77:00:99,,3600,")
    assert [stale.address for stale in planned(tmp_path).stale] == ["10.77.0.12"]


def test_networks_that_begin_alike_are_two_to_kea(tmp_path: Path) -> None:
    wide = {"net": "10.77.0.0", "mask": "255.255.0.0"}
    hosts = [*TABLES["hosts"][:1], {"node": "n2", "ip": "10.77.9.12"}]
    decided = planned(tmp_path, {"networks": [*TABLES["networks"], wide], "hosts": hosts})
    assert len({subnet["id"] for subnet in piece(decided, "subnet4.json")}) == 2
    decided.validate()


def test_a_main_file_of_others_that_comes_back_is_read_by_nobody_else(tmp_path: Path) -> None:
    main = tmp_path / "kea-dhcp4.conf"
    main.write_text(FOREIGN.replace("pieces", "others") % {"root": tmp_path})
    main.chmod(0o640)
    planned(tmp_path, take_over=True).apply()
    (kept,) = tmp_path.glob("*.statelite~")
    assert [path.stat().st_mode & 0o777 for path in (main, kept)] == [0o640, 0o640]
