# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A site on a PostgreSQL server: what its URL says, which driver is taken, and who may come in."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.module import invocation_of
from ansible_collections.diskless.statelite.plugins.module_utils.tables import postgresql
from ansible_collections.diskless.statelite.plugins.module_utils.tables.address import address_of, site_directory
from ansible_collections.diskless.statelite.plugins.module_utils.tables.store import open_store
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.postgresql import PASSWORD

from .sites import declare, plan, tables_of

ONE = [{"file": "/tmp/"}]
COLLECTIONS = Path(postgresql.__file__).parents[6]


@pytest.fixture
def site(on_server):
    return on_server


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(postgresql, "PATIENCE", 0.2)


def refusal(act, *arguments, **options):
    with pytest.raises(SiteError) as raised:
        act(*arguments, **options)
    (fault,) = raised.value.faults
    return fault


# What the URL says


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://statelite:geheim@db/site",
        "postgres://statelite:geheim@db/site",
        "postgresql://:geheim@db/site",
        "postgresql://statelite:ge/heim@db/site",
        "postgresql://statelite:ge@heim@db/site",
        "postgresql://statelite:ge?heim@db/site",
        "postgresql://statelite:geheim@one,two/site",
        "postgresql://db/site?password=geheim",
        "postgresql://db/site?user=x&PASSWORD=geheim",
        "postgresql://db/site?pass%77ord=geheim",
        "postgresql://db/site?sslpassword=geheim",
        "postgresql://db:geheim/site",
        "postgresql://db/site#geheim",
    ],
)
def test_a_url_with_a_password_is_refused_and_nowhere_shown(url):
    fault = refusal(open_store, url)
    shown = invocation_of({"site": url})["module_args"]
    assert fault.where == f"site {url.partition(':')[0]}://..."
    assert "heim" not in str(fault)
    assert shown == {"site": f"{url.partition(':')[0]}://..."}


@pytest.mark.parametrize(
    ("site", "where", "shown"),
    [
        ("postgressql://db/site?password=geheim", "site postgressql://...", "postgressql://..."),
        ("POSTGRESQL://statelite:ge/heim@db/site", "site POSTGRESQL://...", "POSTGRESQL://..."),
        ("sqlite://statelite:ge/heim@db", "site 'sqlite://...'", "sqlite://..."),
        ("postgresql:/statelite:geheim@db/site", "site 'postgresql...'", "postgresql..."),
        ("host=db password=geheim", "site 'host...'", "host..."),
    ],
)
def test_no_password_is_shown_of_what_only_looks_like_a_url_of_ours(site, where, shown):
    fault = refusal(open_store, site)
    assert fault.where == where
    assert "heim" not in str(fault)
    assert invocation_of({"site": site})["module_args"] == {"site": shown}


@pytest.mark.parametrize(
    ("url", "shown", "directory", "given", "hosts"),
    [
        ("postgresql://db/site", "postgresql://db/site", "/etc/statelite", "postgresql://db/site", 1),
        ("postgres://u@db:5433/site?directory=/srv/x/", "postgresql://u@db:5433/site", "/srv/x", "postgresql://u@db:5433/site", 1),
        (
            "postgresql://one,[fd00::1]:5433/site?sslmode=verify-full&directory=%2Fsrv%2Fx",
            "postgresql://one,[fd00::1]:5433/site",
            "/srv/x",
            "postgresql://one,[fd00::1]:5433/site?sslmode=verify-full",
            2,
        ),
        ("postgresql:///?service=site", "postgresql:///", "/etc/statelite", "postgresql:///?service=site", 1),
        ("postgresql:///site?host=/a,/b", "postgresql:///site", "/etc/statelite", "postgresql:///site?host=/a,/b", 2),
    ],
)
def test_the_directory_of_the_sites_own_files_is_ours_and_the_rest_is_libpqs(url, shown, directory, given, hosts):
    address = address_of(url)
    assert (address.shown, address.directory, address.url, address.hosts) == (shown, directory, given, hosts)
    assert site_directory(address.site) == directory
    assert address.snapshot == f"{directory}/published/site.json"


def test_a_directory_that_is_no_absolute_path_is_refused():
    assert "absolute path" in refusal(open_store, "postgresql://db/site?directory=here").what


# The driver


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
def test_either_driver_does(site, monkeypatch, driver):
    monkeypatch.setattr(postgresql, "DRIVERS", (driver,))
    odd = [{"file": "/a", "comments": "100 % \u00fc 'x' {y} \\ %s"}, {"file": "/b"}]
    assert len(declare(site, rows=odd)) == 3
    assert tables_of(site) == {"litefile": odd}
    assert len(declare(site, rows=[{"file": "/b"}], exclusive=True)) == 1
    assert declare(site, rows=[{"file": "/b"}], exclusive=True) == []
    with site.server.connected() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (site.name,))
    assert tables_of(site) == {"litefile": [{"file": "/b"}]}
    monkeypatch.setattr(postgresql, "PATIENCE", 0.2)
    url = str(site).replace("postgres@", "stranger@")
    fault = refusal(declare, url, rows=ONE)
    assert "stranger" in fault.what


def test_without_a_driver_the_packages_are_named(monkeypatch):
    monkeypatch.setattr(postgresql, "DRIVERS", ("no_such_driver",))
    fault = refusal(open_store, "postgresql://db/site")
    assert sys.executable in fault.what
    assert "python3-psycopg2" in fault.mend
    assert "python3-psycopg " in fault.mend


def test_the_driver_of_the_distribution_does_and_a_site_in_a_file_loads_none(site, tmp_path):
    program = (
        "import sys\n"
        "from ansible_collections.diskless.statelite.plugins.module_utils.tables.store import open_store\n"
        "with open_store(sys.argv[1]) as store:\n"
        "    print(store.version, store.tables(['litefile']), sorted({name.split('.')[0] for name in sys.modules if 'psycopg' in name}))\n"
    )
    declare(site, rows=ONE)
    declare(tmp_path / "site.db", rows=ONE)
    for place, driver in ((str(site), ["psycopg2"]), (str(tmp_path / "site.db"), [])):
        words = ["/usr/bin/python3", "-c", program, place]
        made = subprocess.run(words, capture_output=True, text=True, check=True, env={"PYTHONPATH": str(COLLECTIONS)})
        assert made.stdout == f"1 { ({'litefile': ONE}) } {driver}\n"


# Roles and passwords


def test_a_password_comes_from_a_file_and_stands_nowhere(site, tmp_path, monkeypatch, impatient):
    with site.server.connected(site.name) as cursor:
        cursor.execute("CREATE SCHEMA statelite AUTHORIZATION guarded")
    url = str(site).replace("postgres@", "guarded@")
    secret = tmp_path / "pgpass"
    secret.write_text(f"*:*:{site.name}:guarded:{PASSWORD}x\n")
    secret.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(secret))
    fault = refusal(declare, url, rows=ONE)
    assert "password" in fault.what
    assert PASSWORD not in str(fault)
    secret.write_text(f"*:*:{site.name}:guarded:{PASSWORD}\n")
    lines = declare(url, rows=ONE)
    assert lines[0].startswith("postgresql://guarded@/")
    assert declare(url, rows=ONE) == []
    shown = subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True, check=True).stdout
    assert PASSWORD not in shown + json.dumps(lines) + site.snapshot.read_text()
    monkeypatch.delenv("PGPASSFILE")
    service = tmp_path / "services"
    service.write_text(
        f"[site]\nhost={site.server.directory}\nport={site.server.port}\nuser=guarded\ndbname={site.name}\npassword={PASSWORD}\n"
    )
    monkeypatch.setenv("PGSERVICEFILE", str(service))
    assert declare(f"postgresql:///?service=site&directory={site.parent}", rows=ONE) == []


def test_a_role_that_may_only_look_reads_and_its_writes_are_refused_with_the_mend(site):
    declare(site, rows=ONE)
    site.execute("GRANT USAGE ON SCHEMA statelite TO looker; GRANT SELECT ON ALL TABLES IN SCHEMA statelite TO looker")
    url = str(site).replace("postgres@", "looker@")
    assert tables_of(url) == {"litefile": ONE}
    assert plan(url, rows=[{"file": "/b"}]).lines() == ["litefile ALL /b: added"]
    fault = refusal(declare, url, rows=[{"file": "/b"}])
    assert "permission denied" in fault.what
    assert "GRANT" in fault.mend
    assert tables_of(site) == {"litefile": ONE}
    site.execute("REVOKE ALL ON ALL TABLES IN SCHEMA statelite FROM looker")
    assert "permission denied" in refusal(tables_of, url).what


def test_a_fault_shows_no_row_of_a_statement_that_the_server_refused(site):
    declare(site, rows=ONE)
    site.execute("ALTER TABLE litefile ADD CHECK (comments <> 'geheim')")
    fault = refusal(declare, site, rows=[{"file": "/b", "comments": "geheim"}])
    assert "check constraint" in fault.what
    assert "geheim" not in str(fault)
    assert fault.where == site.shown


def test_a_database_of_another_encoding_is_refused_with_the_mend(site):
    name = site.server.new("latin", "ENCODING 'LATIN1' TEMPLATE template0")
    fault = refusal(declare, site.server.url(name, site.parent), rows=ONE)
    assert "LATIN1" in fault.what
    assert "createdb" in fault.mend


def test_tables_of_others_in_the_database_are_left_alone(site):
    with site.server.connected(site.name) as cursor:
        cursor.execute("CREATE TABLE site (x TEXT); INSERT INTO site VALUES ('theirs')")
    declare(site, rows=ONE)
    assert tables_of(site) == {"litefile": ONE}
    with site.server.connected(site.name) as cursor:
        cursor.execute("SELECT x FROM public.site")
        assert cursor.fetchall() == [("theirs",)]
        cursor.execute("DROP TABLE public.site")
