# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A database of an earlier release lacks tables that came since: it is read without them, and has them after its next write."""

from __future__ import annotations

import json

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.tables.options import import_module
from ansible_collections.diskless.statelite.plugins.module_utils.tables.schema import LATER
from ansible_collections.diskless.statelite.plugins.module_utils.tables.snapshot import load_snapshot
from ansible_collections.diskless.statelite.plugins.module_utils.tables.store import open_store
from ansible_collections.diskless.statelite.plugins.module_utils.tables.transfer import plan_import

from .sites import declare, plan, tables_of

ONE, TWO = [{"file": "/tmp/"}], [{"file": "/srv/"}]
VPD = [{"node": "n1", "serial": "S1", "uuid": "4c4c4544-0052-3510-8051-b7c04f4d3232"}]


@pytest.fixture
def earlier(site):
    """Return a site as an earlier release left it."""
    declare(site, rows=ONE)
    for name in LATER:
        site.execute(f"DROP TABLE {name}")
    return site


def test_it_reads_as_if_the_tables_were_empty(earlier):
    with open_store(str(earlier)) as store:
        assert store.read() == (1, {**{name: [] for name in store.tables()}, "litefile": ONE})
        assert store.unpublished() == []
    assert plan(earlier, rows=ONE).lines() == []


def test_its_next_write_makes_them(earlier):
    declare(earlier, rows=TWO)
    assert load_snapshot(str(earlier.snapshot))[1]["vpd"] == []
    options = {name: option.get("default") for name, option in import_module()["argument_spec"].items()}
    asked = {**options, "site": str(earlier), "table": "vpd", "content": "#node,serial,uuid\n" + ",".join(VPD[0].values()) + "\n"}
    plan_import(asked, print).apply()
    assert tables_of(earlier)["vpd"] == VPD


def test_the_write_may_be_of_such_a_table_and_by_a_writer_that_was_overtaken(earlier):
    options = {name: option.get("default") for name, option in import_module()["argument_spec"].items()}
    content = "".join(json.dumps(row) + "\n" for row in VPD)
    waiting = plan_import({**options, "site": str(earlier), "table": "vpd", "content": content}, print)
    declare(earlier, rows=TWO)
    site = earlier
    for name in LATER:
        site.execute(f"DROP TABLE {name}")
    waiting.apply()
    assert tables_of(earlier)["vpd"] == VPD


def test_a_role_that_only_reads_reads_the_tables_that_come(on_server):
    declare(on_server, rows=ONE)
    on_server.execute(f'DROP TABLE {", ".join(LATER)}; CREATE ROLE "Look er"; GRANT "Look er" TO looker')
    on_server.execute('GRANT USAGE ON SCHEMA statelite TO "Look er"; GRANT SELECT ON ALL TABLES IN SCHEMA statelite TO "Look er"')
    declare(on_server, rows=TWO)
    with open_store(on_server.server.url(on_server.name, on_server.parent / "other", role="looker")) as store:
        assert store.read() == (2, {**{name: [] for name in store.tables()}, "litefile": ONE + TWO})
    on_server.execute('DROP SCHEMA statelite CASCADE; DROP ROLE "Look er"')


def test_a_database_that_lacks_another_table_is_none_of_ours(earlier):
    earlier.execute("DROP TABLE noderes")
    with pytest.raises(SiteError, match="no site database"):
        tables_of(earlier)
