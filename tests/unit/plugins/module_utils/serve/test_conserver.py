# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The consoles of nodes in conserver's words, read back by conserver itself."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site
from ansible_collections.diskless.statelite.plugins.module_utils.serve.conserver import ConserverPlan, Console, consoles, render

COMMAND = ["/usr/local/bin/sol", "--by", "{method}", "{node}", 'a "b" \\c; $d']


def site(*rows: dict[str, str], **settings: str) -> Site:
    nodes = [row["node"] for row in rows if row["node"] != "rack"]
    return Site({
        "nodelist": [{"node": node, "groups": "rack" if "rack" in node else "all"} for node in nodes],
        "nodehm": list(rows),
        "site": [{"key": key, "value": value} for key, value in settings.items()],
    })  # fmt: skip


def read_back(tmp_path: Path, text: str) -> dict[str, str]:
    """Return what conserver reads of each console."""
    (tmp_path / "main.cf").write_text("default * { rw *; }\n")
    (tmp_path / "own.cf").write_text(text)
    done = subprocess.run(["conserver", "-S", "-S", "-C", str(tmp_path / "own.cf")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {found[1]: found[2] for found in re.finditer(r"\{([^:{}]+):(.*)\}$", done.stdout, re.MULTILINE)}


def test_conserver_reads_what_was_meant(tmp_path: Path) -> None:
    found = consoles(
        site(
            {"node": "n1", "cons": "ipmi"},
            {"node": "n2", "termserver": "10.0.0.5", "termport": "2002", "cons": "ipmi"},
            {"node": "n3", "cons": "ipmi", "consoleenabled": "0"},
            {"node": "n4", "mgt": "hmc", "serialport": "0", "conserver": "10.9.9.9"},
            {"node": "n5", "mgt": "hmc"},
        ),
        COMMAND,
    )
    read = read_back(tmp_path, render(found, str(tmp_path / "main.cf")))
    assert set(read) == {"n1", "n2", "n4"}
    assert read["n1"] == """localhost::|:/usr/local/bin/sol --by ipmi n1 'a "b" \\c; $d'"""
    assert read["n2"] == "localhost::!:10.0.0.5,2002"
    assert read["n4"].startswith("10.9.9.9:")


def test_a_console_is_connected_on_demand_where_node_or_site_say_so() -> None:
    (own,) = consoles(site({"node": "n1", "cons": "x", "consoleondemand": "yes"}), COMMAND)
    (of_site,) = consoles(site({"node": "n1", "cons": "x"}, consoleondemand="yes"), COMMAND)
    (spared,) = consoles(site({"node": "n1", "cons": "x", "consoleondemand": "no"}, consoleondemand="yes"), COMMAND)
    assert (own.ondemand, of_site.ondemand, spared.ondemand) == (True, True, False)


def test_what_a_group_says_holds_for_its_nodes() -> None:
    rows = ({"node": "rack-n7"}, {"node": "rack", "termserver": "ts1", "termport": r"|\D+(\d+)|(2000+$1)|"})
    (found,) = consoles(site(*rows), [])
    assert (found.node, found.host, found.port) == ("rack-n7", "ts1", "2007")


def test_all_faults_are_told_at_once() -> None:
    rows = [{"node": "n1", "cons": "ipmi"}, {"node": "n2", "termserver": "a b"}, {"node": "n3", "termserver": "ts", "termport": "70000"}]
    with pytest.raises(SiteError) as refused:
        consoles(site(*rows), [])
    assert [fault.where for fault in refused.value.faults] == [
        "table nodehm, node n1",
        "table nodehm, node n2, column termserver",
        "table nodehm, node n2, column termport",
        "table nodehm, node n3, column termport",
    ]


def test_another_command_for_thousands_of_nodes_is_told_in_moments() -> None:
    names = [f"n{number}" for number in range(3000)]
    old, new = (render([Console(name, "localhost", command=(word, name)) for name in names], "/main") for word in "ab")
    begun = time.process_time()
    assert len(ConserverPlan("/own", old, new, []).lines()) == 6000
    assert time.process_time() - begun < 1
