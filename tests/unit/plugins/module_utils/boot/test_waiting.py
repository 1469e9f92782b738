# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a node came that does not report, told from lines as the daemons write them; and the wait for those that do."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.boot import evidence, waiting
from ansible_collections.diskless.statelite.plugins.module_utils.boot.evidence import Trace, cause, traces
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.tables.plan import Change
from ansible_collections.diskless.statelite.plugins.module_utils.tables.schema import TABLES
from ansible_collections.diskless.statelite.plugins.module_utils.tables.store import open_store

MAC = "52:54:00:77:00:11"
DNSMASQ = [
    f"DHCPDISCOVER(eth1) {MAC} ",
    f"DHCPOFFER(eth1) 10.77.0.11 {MAC} ",
    f"DHCPREQUEST(eth1) 10.77.0.11 {MAC} ",
    f"DHCPACK(eth1) 10.77.0.11 {MAC} n1",
    "sent /tftpboot/lpxelinux.0 to 10.77.0.11",
    "file /tftpboot/pxelinux.cfg/7d0f2d2c-0000 not found for 10.77.0.11",
    "sent /tftpboot/pxelinux.cfg/01-52-54-00-77-00-11 to 10.77.0.11",
    "sent /tftpboot/xcat/osimage/compute/3/kernel to 10.77.0.11",
    "sent /tftpboot/xcat/osimage/compute/3/initrd-statelite.gz to 10.77.0.11",
    "INFO n1 (10.77.0.11) asks bootplan",
]
KEA = [
    f"2026-11-22 14:20:00.123 INFO  [kea-dhcp4.leases/77.140] DHCP4_LEASE_ADVERT [hwtype=1 {MAC}], cid=[], tid=0x1: lease 10.77.0.11",
    f"2026-11-22 14:20:00.456 INFO  [kea-dhcp4.leases/77.140] DHCP4_LEASE_ALLOC [hwtype=1 {MAC}], cid=[], tid=0x1: lease 10.77.0.11",
]
OTHERS = ["sent /tftpboot/kernel to 10.77.0.12", "DHCPACK(eth1) 10.77.0.12 52:54:00:77:00:12", "INFO n2 (10.77.0.12) asks bootplan"]


def told(lines: list[str], requests: list[str] | None = None) -> str:
    found = traces([*OTHERS, *lines], requests or [], {MAC: "n1"}, {"10.77.0.11": "n1"})
    assert set(found) <= {"n1"}
    return cause(found.get("n1", Trace()), MAC, logged=True)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (0, f"no DHCP request of {MAC} came: is it switched on"),
        (1, f"asks for an address ({MAC}) and takes none"),
        (4, "has its address and fetched nothing"),
        (5, "fetched /tftpboot/lpxelinux.0, and no kernel after it"),
        (6, "no kernel after it; not found: /tftpboot/pxelinux.cfg/7d0f2d2c-0000"),
        (8, "/3/kernel, and no initramfs after it"),
        (9, "fetched kernel and initramfs and asks for no plan"),
        (10, "asked for its plan and has not reported: look at its console"),
    ],
)
def test_the_farthest_step_is_told(lines: int, words: str) -> None:
    assert words in told(DNSMASQ[:lines])


def test_kea_tells_of_addresses_too() -> None:
    assert "takes none" in told(KEA[:1])
    assert "has its address" in told(KEA)


def test_a_card_that_the_server_does_not_know_is_told_of() -> None:
    assert "has none for 52:54:00:77:00:11 (no address available)" in told([f"DHCPDISCOVER(eth1) {MAC} no address available"])


def test_a_node_without_a_card_in_the_tables_is_told_of() -> None:
    assert "the table mac has no card for it" in cause(Trace(), "", logged=True)


def test_without_a_journal_nothing_is_claimed() -> None:
    assert "the journal of this server can't be read" in cause(Trace(), MAC, logged=False)


def test_what_comes_over_http_is_read_from_the_log_of_nginx() -> None:
    line = '10.77.0.11 - - [22/Nov/2026:14:20:00 +0000] "GET {} HTTP/1.1" {} 1 "-" "iPXE/1.21.1"'
    assert "xnba/nodes/n1, and no kernel" in told(DNSMASQ[:4], [line.format("/tftpboot/xcat/xnba/nodes/n1", 200)])
    assert "kernel, and no initramfs" in told(DNSMASQ[:4], [line.format("/tftpboot/xcat/osimage/compute/3/kernel", 206)])
    assert "fetched nothing; not found: /tftpboot/xnba.efi" in told(DNSMASQ[:4], [line.format("/tftpboot/xnba.efi", 404)])


def test_only_requests_since_the_moment_are_read(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    lines = [f'10.0.0.1 - - [22/Nov/2026:14:{minute}:00 +0000] "GET /x{minute} HTTP/1.1" 200 1 "-" "-"' for minute in (10, 20)]
    log.write_text("\n".join(["nonsense", *lines]) + "\n")
    since = int(evidence._moment(lines[1]))
    assert evidence._requests(since, str(log)) == lines[1:]
    assert evidence._requests(since, str(tmp_path / "none")) == []


@pytest.fixture()
def params(tmp_path: Path) -> dict[str, object]:
    """The options of a wait for three nodes of a site."""
    with open_store(str(tmp_path / "site.db")) as store:
        store.write([Change(TABLES["nodelist"], None, {"node": f"n{number}", "groups": "all"}) for number in (1, 2, 3)])
    (tmp_path / "reports").mkdir()
    given = {name: option.get("default") for name, option in waiting.SPEC.items()}
    given |= {"access_log": str(tmp_path / "access.log"), "spool": str(tmp_path / "reports"), "site": str(tmp_path / "site.db")}
    return {**given, "noderange": "all", "since": int(time.time()), "timeout": 600, "poll": 1}


def report(spool: object, node: str, **more: object) -> None:
    path = Path(str(spool)) / f"{node}.json"
    path.with_suffix(".x").write_text(json.dumps({"received": int(time.time()), "node": node, "report": {"image": "c", **more}}))
    path.with_suffix(".x").rename(path)


def test_the_wait_ends_when_the_last_one_has_reported(params: dict[str, object]) -> None:
    for node in ("n1", "n2"):
        report(params["spool"], node)
    late = threading.Timer(
        0.3, report, (params["spool"], "n3"), {"entries": [{"path": "/etc/x", "status": "failed", "message": "no room"}]}
    )
    late.start()
    began = time.monotonic()
    found = waiting.read_boots(params, print)
    assert time.monotonic() - began < 300
    assert [each["state"] for each in found["nodes"].values()] == ["booted"] * 3
    assert (found["troubled"], found["nodes"]["n3"]["cause"]) == (["n3"], "/etc/x: no room")


def test_a_report_of_an_earlier_boot_is_not_taken_for_this_one(params: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "read_logs", lambda _since, _log: (["INFO n1 (10.0.0.1) asks bootplan"], [], True))
    for node in ("n1", "n2", "n3"):
        report(params["spool"], node)
        os.utime(Path(str(params["spool"])) / f"{node}.json", (1, 1))
    found = waiting.read_boots({**params, "timeout": 0}, print)
    assert [each["state"] for each in found["nodes"].values()] == ["missing"] * 3


def test_a_file_that_is_no_report_is_told_of_its_node_and_hides_no_other_one(params: dict[str, object]) -> None:
    for node in ("n1", "n2"):
        report(params["spool"], node)
    broken = Path(str(params["spool"])) / "n3.json"
    broken.write_text("no json", encoding="utf-8")
    found = waiting.read_boots(params, print)
    assert [each["state"] for each in found["nodes"].values()] == ["booted", "booted", "missing"]
    assert f"{broken}: is no report" in found["nodes"]["n3"]["cause"]


@pytest.mark.parametrize(("name", "value"), [("timeout", -1), ("poll", 0)])
def test_seconds_that_are_none_are_refused(params: dict[str, object], name: str, value: int) -> None:
    with pytest.raises(SiteError, match=f"option {name}"):
        waiting.read_boots({**params, name: value}, print)


def test_who_serves_a_node_is_told_by_the_names_of_the_inventory() -> None:
    served = {"n1": "10.0.1.1", "n2": "sn2,10.0.1.1", "n3": "10.0.1.9"}
    tables = {
        "nodelist": [{"node": node} for node in ("n1", "n2", "n3", "n4")],
        "noderes": [{"node": node, "servicenode": servers} for node, servers in served.items()],
        "hosts": [{"node": "sn2", "ip": "10.0.1.2"}],
    }
    site = waiting.Site(tables)
    found = waiting.serving(site, ["n1", "n2", "n3", "n4"], {"one": ["nobody", "10.0.1.1"], "two": ["10.0.1.2"]})
    assert found == {"n1": ["one"], "n2": ["two", "one"], "n3": ["10.0.1.9"], "n4": []}
    assert waiting.serving(site, ["n2"], {"two": ["sn2"]}) == {"n2": ["two", "10.0.1.1"]}
    sixth = waiting.Site({"nodelist": [{"node": "n1"}], "noderes": [{"node": "n1", "servicenode": "FD00:0::1"}]})
    assert waiting.serving(sixth, ["n1"], {"one": ["fd00:00::01"]}) == {"n1": ["one"]}
    with pytest.raises(SiteError, match="the server 'sn2' has no address"):
        waiting.serving(waiting.Site({**tables, "hosts": []}), ["n2"], {})


@pytest.mark.parametrize("words", ["10.0.1.1", None, [1]])
def test_names_that_are_no_list_are_refused(params: dict[str, object], words: object) -> None:
    with pytest.raises(SiteError, match=r"option service_nodes, sn1: .* is no list of names"):
        waiting.read_boots({**params, "service_nodes": {"sn1": words}}, print)
