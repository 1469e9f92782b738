# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What litefile, ilitefile, litetree and lslite tell: byte for byte what the original printed, or what is right instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.nodes import queries
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.images import osimage
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site
from ansible_collections.diskless.statelite.plugins.module_utils.tables import things
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils import imported, recorded
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.tables.sites import declare

REFUSED = {
    "24_err_con_dir": "can't be concatenated",
    "27_err_relative": "no absolute path",
    "29_option_uppercase": "has capitals",
    "37_all_vs_image": "the same key",
    "63_name_dotdot": "'..' as a part",
    "68_name_root": "the whole root",
    "74_litetree_vars": "asks for a command",
}
MTAB, HOSTS = "link          /etc/mtab", "tmpfs         /etc/hosts"
KEYS, STEP = "ro            /etc/ntp/keys", "con           /etc/ntp/step"
BETTER = {
    "38_groups_vs_all": [HOSTS, MTAB, KEYS, STEP],
    "39_groups_two": [HOSTS, MTAB, KEYS],
}
"""Cases where the original's answer is a fault (cases/README.md), and the files of the right one."""


def database_of(name: str, work: Path) -> Path:
    """Return the database of a recorded case, its tables imported whole and the last step's litefile."""
    case = recorded.case("liteimg", name)
    return imported.import_site(work / "site.db", {**case["tables"], "litefile.csv": imported.steps_of(case)[-1]["litefile.csv"]})


def asked_of(name: str, work: Path) -> dict[str, str]:
    """Return the texts that litefile_info and litetree_info give for a recorded case."""
    place = database_of(name, work)
    of_image = queries.read_litefile(asked(place, osimage="img1"), print)
    of_node = queries.read_litefile(asked(place, noderange="n1"), print)
    levels = queries.read_litetree(asked(place, noderange="n1"), print)
    return {
        "ilitefile_img1.out": of_image["text"],
        "litefile_n1.out": of_node["text"],
        "litetree_n1.out": levels["text"],
        "lslite_n1.out": of_node["lslite"],
    }


def asked(place: Path, **options: Any) -> dict[str, Any]:
    return {"site": str(place), "noderange": None, "osimage": None, "image": None, "file": None, "priority": None, **options}


ASKED = [name for name in recorded.names("liteimg") if recorded.case("liteimg", name).get("queries")]
SAME = [name for name in ASKED if name not in {*REFUSED, *BETTER, "41_slash_and_noslash_same_dir"}]


def test_there_are_recorded_answers() -> None:
    assert len(SAME) > 30


@pytest.mark.parametrize("name", SAME)
def test_the_commands_print_what_the_original_printed(name: str, tmp_path: Path) -> None:
    found = asked_of(name, tmp_path)
    assert found == {key: recorded.case("liteimg", name)["queries"][key] for key in found}


@pytest.mark.parametrize("name", sorted(BETTER))
def test_image_beats_group_beats_all_and_nothing_is_forced(name: str, tmp_path: Path) -> None:
    found = asked_of(name, tmp_path)
    assert found["litefile_n1.out"] == "".join(f"n1: {line}\n" for line in BETTER[name])
    assert found["ilitefile_img1.out"] == "".join(f"img1: {line}\n" for line in BETTER[name])
    assert "".join(f"        {line}\n" for line in BETTER[name]) in found["lslite_n1.out"]


def test_two_spellings_of_one_directory_are_one_line(tmp_path: Path) -> None:
    assert asked_of("41_slash_and_noslash_same_dir", tmp_path)["litefile_n1.out"].count("/var/log") == 1


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_can_not_be_meant_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(SiteError, match=REFUSED[name]):
        database_of(name, tmp_path)


def test_a_variable_that_is_not_set_is_no_path() -> None:
    case = recorded.case("liteimg", "74_litetree_vars")
    tables = {table.removesuffix(".csv"): recorded.rows(text) for table, text in case["tables"].items()}
    site = Site({**tables, "nodelist": [{"node": "n1"}]}, ("10.1.0.1",))
    with pytest.raises(SiteError) as refused:
        queries.effective_levels(site, "n1", osimage(site, "img1"))
    assert [fault.where for fault in refused.value.faults] == [f"table litetree, priority {number}, image img1" for number in (4, 5, 6, 10)]


def test_an_address_with_colons_is_told_apart_from_its_directory() -> None:
    assert queries.litetree_text("n1", [{"server": "fd00::1", "directory": "/lt", "mntopts": "soft"}]) == "n1: [fd00::1]:/lt :soft\n"


NODES = [{"name": name, "groups": ["compute"], "nodetype": {"provmethod": image}} for name, image in (("n1", "img1"), ("n2", "img2"))]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Return a site with two nodes and two images."""
    place = tmp_path / "site.db"
    declare(place, things.OSIMAGE, rows=[{"imagename": name, "provmethod": "statelite"} for name in ("img1", "img2")])
    declare(place, things.NODE, rows=[{"node": row["name"], "groups": row["groups"], "nodetype": row["nodetype"]} for row in NODES])
    rows = [{"file": "/etc/motd", "options": "persistent"}, {"image": "img2", "file": "/etc/motd", "options": "ro", "required": True}]
    declare(place, things.LITEFILE, rows=rows)
    declare(place, things.LITETREE, rows=[{"priority": "1", "directory": "10.0.0.1:/lt/$node"}])
    return place


def test_rows_that_hold_for_nodes_and_images(database: Path) -> None:
    found = queries.read_litefile(asked(database, noderange="compute"), print)
    assert [(one["name"], one["rows"][0]["storage"], one["rows"][0]["required"]) for one in found["effective"]] == [
        ("n1", "persistent", False),
        ("n2", "ro", True),
    ]
    assert found["text"].splitlines() == [
        "n1: persistent    /etc/motd",
        "n1: link          /etc/mtab",
        "n2: ro            /etc/motd",
        "n2: link          /etc/mtab",
    ]
    assert ">>>Node: n2" in found["lslite"]
    of_image = queries.read_litefile(asked(database, osimage="img2"), print)
    assert of_image["text"].splitlines()[0] == "img2: ro            /etc/motd"
    assert of_image["lslite"].splitlines()[0] == "        ro            /etc/motd"
    assert len(queries.read_litefile(asked(database), print)["rows"]) == 2


def test_levels_of_nodes(database: Path) -> None:
    found = queries.read_litetree(asked(database, noderange="n1,n2"), print)
    assert found["text"] == "n1: 10.0.0.1:/lt/n1\nn2: 10.0.0.1:/lt/n2\n"
    assert [one["levels"][0]["directory"] for one in found["effective"]] == ["/lt/n1", "/lt/n2"]
    assert [row["priority"] for row in queries.read_litetree(asked(database), print)["rows"]] == ["1"]


def test_every_node_without_an_image_is_named(database: Path) -> None:
    declare(database, things.NODE, rows=[{"node": name, "groups": ["compute"], "nodetype": {}} for name in ("n3", "n4")])
    with pytest.raises(SiteError) as refused:
        queries.read_litefile(asked(database, noderange="compute"), print)
    assert [fault.where for fault in refused.value.faults] == ["table nodetype, node n3", "table nodetype, node n4"]
