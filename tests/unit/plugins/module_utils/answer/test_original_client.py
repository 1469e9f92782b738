# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client of the original, unmodified: its bytes over real TLS, however they are cut, and the bytes that it got then."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.answer.server import Limits
from ansible_collections.diskless.statelite.plugins.module_utils.tables.address import address_of
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils import imported, recorded

from .service import Answering, make_pki

LITEFILE = b"<xcatrequest><command>litefile</command></xcatrequest>\n"
LITETREE = b"<xcatrequest><command>litetree</command></xcatrequest>\n"
DONE = b"<xcatresponse>\n  <serverdone></serverdone>\n</xcatresponse>\n"
DENIED = b"<error>Permission denied for request</error>"
REFUSED = {
    "24_err_con_dir",
    "27_err_relative",
    "29_option_uppercase",
    "37_all_vs_image",
    "63_name_dotdot",
    "68_name_root",
    "74_litetree_vars",
}
"""No import takes these tables (nodes/test_queries.py)."""
BETTER = {"26_err_invalid_option", "38_groups_vs_all", "39_groups_two", "41_slash_and_noslash_same_dir"}
"""What the original answers is a fault (cases/README.md); what is right is in nodes/test_queries.py."""
NAMES = [name for name in recorded.names("liteimg") if "node_port3001_litefile.xml" in recorded.case("liteimg", name).get("queries", {})]
AROUND = {"hosts": '#node,ip\n"n1","127.0.0.1"\n"n2","10.1.1.2"\n'}


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pki(tmp_path_factory.mktemp("pki"))


@contextlib.contextmanager
def serving(work: Path, pki: Path, name: str = "07_all_link_kinds", limits: Limits | None = None) -> Iterator[Answering]:
    """Answer for the imported tables of a recorded case, from a server called as the recorded one."""
    case = recorded.case("liteimg", name)
    tables = {**case["tables"], "litefile.csv": imported.steps_of(case)[-1]["litefile.csv"]}
    site = imported.import_site(work / "site.db", tables, AROUND)
    with Answering(Path(address_of(str(site)).snapshot), work / "spool", pki, limits=limits) as service:
        service.service.source = "xcatmn"
        yield service


def said(port: int, *parts: bytes, documents: int = 1, pause: float = 0.0) -> bytes:
    """Send some bytes as `openssl s_client -quiet` does, and return what comes until so many answers are whole or the server closes."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    received = b""
    with context.wrap_socket(socket.create_connection(("127.0.0.1", port), 10)) as connection:
        for part in parts:
            connection.sendall(part)
            time.sleep(pause)
        while received.count(DONE) < documents:
            piece = connection.recv(65536)
            if not piece:
                break
            received += piece
    return received


@pytest.mark.parametrize("name", [name for name in NAMES if name not in REFUSED | BETTER])
def test_a_node_gets_the_bytes_that_it_got_from_the_original(name: str, tmp_path: Path, pki: Path) -> None:
    queries = recorded.case("liteimg", name)["queries"]
    with serving(tmp_path, pki, name) as service:
        assert said(service.port, LITEFILE).decode() == queries["node_port3001_litefile.xml"]
        assert said(service.port, LITETREE).decode() == queries["node_port3001_litetree.xml"]


def test_an_option_that_the_original_does_not_know_comes_in_its_own_word(tmp_path: Path, pki: Path) -> None:
    with serving(tmp_path, pki, "26_err_invalid_option") as service:
        assert b"<info>n1: tmpfs         /root/</info>" in said(service.port, LITEFILE)


def test_there_are_recorded_answers() -> None:
    assert len(NAMES) > 40


@pytest.mark.parametrize("name", ["xml_denied", "xml_liteimg_denied", "xml_noderange_cmd"])
def test_recorded_denials_are_the_same(name: str, tmp_path: Path, pki: Path) -> None:
    answer = recorded.answer(name)
    request = re.findall(r"<<<'(.*)'", answer["cmd"], re.DOTALL)[0]
    with serving(tmp_path, pki) as service:
        assert said(service.port, f"{request}\n".encode()).decode() == answer["out"]


@pytest.mark.parametrize(
    "parts",
    [
        [LITEFILE[:5], LITEFILE[5:]],
        [bytes([byte]) for byte in LITEFILE],
        [LITEFILE.rstrip()],
        [b"\n\n  " + LITEFILE],
        [LITEFILE.replace(b"><", b">\r\n   <")],
        [b'<?xml version="1.0"?>\n' + LITEFILE],
        [b"<xcatrequest><command>lite&#102;ile</command><clienttype>cli</clienttype><cwd>/root</cwd></xcatrequest>\n"],
        [b"<xcatrequest>\n  <noderange>n2</noderange>\n  <command>litefile</command>\n  <arg></arg>\n</xcatrequest>\n"],
    ],
    ids=["two writes", "byte by byte", "no newline", "blanks before", "lines", "declaration", "entity", "another node's"],
)
def test_a_request_means_the_same_however_it_comes(parts: Sequence[bytes], tmp_path: Path, pki: Path) -> None:
    right = recorded.case("liteimg", "07_all_link_kinds")["queries"]["node_port3001_litefile.xml"]
    with serving(tmp_path, pki) as service:
        assert said(service.port, *parts, pause=0.002).decode() == right


def test_requests_on_one_connection_are_answered_one_after_the_other(tmp_path: Path, pki: Path) -> None:
    queries = recorded.case("liteimg", "07_all_link_kinds")["queries"]
    files, trees = (queries[f"node_port3001_{name}.xml"].encode() for name in ("litefile", "litetree"))
    with serving(tmp_path, pki) as service:
        assert said(service.port, LITEFILE + LITETREE + LITEFILE, documents=3) == files + trees + files
        assert said(service.port, LITEFILE[:-3], LITEFILE[-3:] + LITETREE, documents=2, pause=0.05) == files + trees
        unknown = b"<xcatrequest><command>nosuch</command></xcatrequest>\n"
        assert said(service.port, LITEFILE + unknown).startswith(files)


@pytest.mark.parametrize("command", ["nosuch", "getdestiny", "getpostscript", "tabdump", "litefile litetree", "LITEFILE", "../litefile"])
def test_what_is_no_command_here_is_denied(command: str, tmp_path: Path, pki: Path) -> None:
    with serving(tmp_path, pki) as service:
        assert DENIED in said(service.port, f"<xcatrequest><command>{command}</command></xcatrequest>\n".encode())


def test_what_is_no_request_gets_no_answer_and_disturbs_nobody(tmp_path: Path, pki: Path) -> None:
    limits = Limits(idle=0.5, request=1.0, handshake=1.0, sending=1.0, size=100_000)
    with serving(tmp_path, pki, limits=limits) as service:
        assert said(service.port, b"hello\n") == b""
        assert said(service.port, LITEFILE[:-5]) == b""
        service.service.limits = Limits(size=100_000)
        with contextlib.suppress(OSError):
            assert said(service.port, *[b"<xcatrequest>" + b"x" * 65536] * 4) == b""
        for cut in (1, 20, len(LITEFILE)):
            with contextlib.suppress(OSError):
                said(service.port, LITEFILE[:cut], documents=0)
        assert said(service.port, LITEFILE).endswith(DONE)
        assert b"<error>" in said(service.port, b"<xcatrequest><command>litefile</xcatrequest>\n")
        assert said(service.port, LITETREE).endswith(DONE)


def test_names_are_encoded_once_and_whole(tmp_path: Path, pki: Path) -> None:
    names = ["/etc/a&b", "/etc/<x>", "/etc/q'uote", '/etc/dq"uote', "/etc/gr\u00fcn", "/etc/two words", "/etc/&amp;", "/etc/a:b"]
    table = imported.csv_text(("image", "file", "options"), [("img1", name, "tmpfs") for name in names])
    with serving(tmp_path, pki) as service:
        imported.import_table(tmp_path / "site.db", "litefile", table)
        text = said(service.port, LITEFILE).decode()
    found = [line.split(" ", 1)[1].strip() for line in re.findall(r"  <info>n1: (.*)</info>\n", text)]
    encoded = [name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;") for name in sorted(names)]
    assert [name for name in found if name != "/etc/mtab"] == encoded
