# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the site exports, how both servers are told, and that nothing else opens it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site
from ansible_collections.diskless.statelite.plugins.module_utils.serve import exports as exports_module
from ansible_collections.diskless.statelite.plugins.module_utils.serve import ganesha, kernelexports
from ansible_collections.diskless.statelite.plugins.module_utils.serve.exports import SPEC, read_and_plan
from ansible_collections.diskless.statelite.plugins.module_utils.serve.exporttable import Export, wanted
from ansible_collections.diskless.statelite.plugins.module_utils.tables.plan import plan_table
from ansible_collections.diskless.statelite.plugins.module_utils.tables.schema import TABLES
from ansible_collections.diskless.statelite.plugins.module_utils.tables.store import open_store
from hypothesis import given
from hypothesis import strategies as st

OPTIONS = ("ro", "no_root_squash", "sync")


def rows(installdir: str = "/install", state: str = "/srv/state", level: str = "/srv/level") -> dict[str, list[dict[str, str]]]:
    return {
        "site": [{"key": "master", "value": "10.77.0.1"}, {"key": "installdir", "value": installdir}],
        "osimage": [{"imagename": "img1", "osvers": "debian12", "osarch": "x86_64", "profile": "compute", "provmethod": "statelite"}],
        "nodelist": [{"node": "n1", "groups": "compute"}, {"node": "n2", "groups": "compute"}, {"node": "switch"}],
        "nodetype": [{"node": "compute", "provmethod": "img1"}],
        "hosts": [{"node": "n1", "ip": "10.77.0.11"}, {"node": "n2", "ip": "10.77.0.12"}, {"node": "switch", "ip": "10.77.0.250"}],
        "statelite": [{"node": "compute", "statemnt": f"$noderes.nfsserver:{state}"}],
        "litetree": [
            {"priority": "1", "directory": f"$noderes.nfsserver:{level}/$node"},
            {"priority": "2", "directory": f"10.77.0.1:{level}-all"},
            {"priority": "3", "directory": "10.77.0.9:/far"},
        ],
    }


def table(site: dict[str, list[dict[str, str]]], own: str = "10.77.0.1") -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    return {each.path: (each.clients, each.options) for each in wanted(Site(site), [own], ["*"], OPTIONS).exports}


def test_images_and_shared_levels_are_for_all_and_a_nodes_own_for_it_alone() -> None:
    assert table(rows()) == {
        "/install": (("*",), OPTIONS),
        "/srv/level-all": (("*",), ("ro", "no_root_squash", "sync", "subtree_check")),
        "/srv/level/n1": (("10.77.0.11",), ("ro", "no_root_squash", "sync", "subtree_check")),
        "/srv/level/n2": (("10.77.0.12",), ("ro", "no_root_squash", "sync", "subtree_check")),
        "/srv/state/n1": (("10.77.0.11",), ("rw", "no_root_squash", "sync", "subtree_check")),
        "/srv/state/n2": (("10.77.0.12",), ("rw", "no_root_squash", "sync", "subtree_check")),
    }


def test_another_server_exports_only_what_the_tables_put_there() -> None:
    assert set(table(rows(), "10.77.0.9")) == {"/install", "/far"}


def test_an_image_elsewhere_is_exported_too() -> None:
    site = {**rows(), "linuximage": [{"imagename": "img1", "rootimgdir": "/images/one"}]}
    assert table(site)["/images/one"] == (("*",), OPTIONS)


def test_what_a_node_boots_once_needs_its_levels_and_state_as_well() -> None:
    site = rows()
    site["osimage"].append(
        {"imagename": "rescue", "osvers": "debian12", "osarch": "x86_64", "profile": "rescue", "provmethod": "statelite"}
    )
    site["litetree"] += [{"priority": "4", "image": "rescue", "directory": "10.77.0.1:/srv/rescue/$node"}]
    site["statelite"] += [{"node": "compute", "image": "rescue", "statemnt": "10.77.0.1:/srv/other"}]
    before = wanted(Site(site), ["10.77.0.1"], ["*"], OPTIONS).exports
    during = wanted(Site(site), ["10.77.0.1"], ["*"], OPTIONS, once={"n1": "rescue", "n2": "img1"}).exports
    assert {(each.path, each.clients) for each in {*during} - {*before}} == {
        *(("/srv/rescue/n1", ("10.77.0.11",)), ("/srv/other/n1", ("10.77.0.11",)))
    }
    assert not {*before} - {*during}


@pytest.mark.parametrize(
    ("clients", "options"), [(["*"], ["rw"]), ([], ["ro"]), (["a b"], ["ro"]), (["x(rw)"], ["ro"]), (["*"], ["ro) *(rw"])]
)
def test_clients_and_options_that_open_the_images_are_refused(clients: list[str], options: list[str]) -> None:
    with pytest.raises(SiteError):
        wanted(Site(rows()), ["10.77.0.1"], clients, options)


def test_state_within_the_install_directory_is_refused() -> None:
    with pytest.raises(SiteError, match="directory /install/state/n1 of node n1: it lies in /install, which other nodes mount"):
        table(rows(state="/install/state"))


def test_a_directory_that_two_nodes_would_share_is_refused() -> None:
    site = rows()
    site["statelite"] = [{"node": "n1", "statemnt": "10.77.0.1:/s"}, {"node": "n2", "statemnt": "10.77.0.1:/s"}]
    site["litetree"] = [{"priority": "1", "directory": "10.77.0.1:/s/$nodepos.room"}]
    site["nodepos"] = [{"node": "n1", "room": "n2"}, {"node": "n2", "room": "east"}]
    with pytest.raises(SiteError, match="/s/n2 would be level 1 and state of n2"):
        table(site)


def test_a_statemnt_that_ends_in_the_nodes_name_is_warned_about() -> None:
    found = wanted(Site(rows(state="/srv/state/$node")), ["10.77.0.1"], ["*"], OPTIONS)
    assert any("so n1 gets /srv/state/n1/n1" in warning for warning in found.warnings)


PATHS = st.text(st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="/"), min_size=1).map(lambda text: "/" + text)


@given(st.lists(PATHS.filter(lambda path: path not in ("/.", "/..")), min_size=1, unique=True))
def test_every_path_survives_the_kernels_form(paths: list[str]) -> None:
    exports = [Export(path, ("10.0.0.1", "*"), OPTIONS, "x") for path in paths]
    parsed = kernelexports.parse("f", kernelexports.render(exports))
    assert [(line.path, line.clients) for line in parsed] == [(path, (("10.0.0.1", OPTIONS), ("*", OPTIONS))) for path in paths]


def test_the_default_line_is_the_documents_and_opens_nothing_beside() -> None:
    line = Export("/install", ("*",), tuple(SPEC["options"]["default"]), "images")
    assert kernelexports.render([line]).splitlines()[1:] == ["/install *(ro,no_root_squash,sync,subtree_check)"]


FOREIGN = """# old
/install *(rw,no_root_squash) \\
    10.0.0.0/8(rw)
"/srv" 10.1.1.1
/install/custom -rw,sync hosta hostb(ro)
/home *(rw)
/install/netboot *(ro)
"""


def test_foreign_lines_are_read_as_the_server_reads_them() -> None:
    parsed = kernelexports.parse("/etc/exports", FOREIGN)
    assert [(line.number, line.path, line.writable) for line in parsed] == [
        (2, "/install", True),
        (4, "/srv", False),
        (5, "/install/custom", True),
        (6, "/home", True),
        (7, "/install/netboot", False),
    ]


def test_lines_for_the_same_an_enclosing_or_an_opened_path_are_in_the_way() -> None:
    exports = [Export("/install", ("*",), OPTIONS, "images"), Export("/srv/state/n1", ("10.77.0.11",), ("rw",), "state", "n1")]
    parsed = kernelexports.parse("/etc/exports", FOREIGN)
    assert [line.number for line, _export in kernelexports.in_the_way(parsed, exports)] == [2, 4, 5]


def test_lines_taken_over_stay_as_comments_and_have_no_effect() -> None:
    parsed = kernelexports.parse("/etc/exports", FOREIGN)
    text = kernelexports.commented(FOREIGN, parsed[:1])
    assert [line.path for line in kernelexports.parse("/etc/exports", text)] == ["/srv", "/install/custom", "/home", "/install/netboot"]
    assert all(old.rstrip("\\") in new for old, new in zip(FOREIGN.split("\n"), text.split("\n")))


def test_the_first_line_for_a_client_wins_and_a_difference_is_told() -> None:
    exports = [Export("/install", ("*",), OPTIONS, "images")]
    both = [*kernelexports.parse("a", "/install *(rw)\n"), *kernelexports.parse("b", kernelexports.render(exports))]
    assert kernelexports.differences(kernelexports.effective(both), exports) == ["/install is exported to * rw, root_squash"]
    assert kernelexports.differences(kernelexports.effective(both[1:]), exports) == []
    assert kernelexports.differences(kernelexports.effective(kernelexports.parse("a", "/ 10.0.0.1(rw)")), exports) == [
        "/install is not exported to *",
        "/ is exported to 10.0.0.1 rw, which nothing declares",
    ]


GANESHA = {"versions": "4", "bind": "", "graceless": "false", "recovery": "/var/lib/nfs/ganesha"}


def test_an_export_keeps_its_identifier_and_a_new_one_gets_one_that_nobody_had() -> None:
    one, two, three = (Export(f"/e{number}", ("*",), OPTIONS, "x") for number in (1, 2, 3))
    first = ganesha.render([one, two], "", GANESHA)
    without = ganesha.render([one], first, GANESHA)
    again = ganesha.render([one, three, two], without, GANESHA)
    assert ganesha.known_identifiers(first) == ({"/e1": 1, "/e2": 2}, 2)
    assert ganesha.known_identifiers(again) == ({"/e1": 1, "/e3": 3, "/e2": 4}, 4)
    assert ganesha.render([one, three, two], again, GANESHA) == again


def test_ganesha_gives_access_to_the_clients_named_and_to_nobody_else() -> None:
    text = ganesha.render([Export("/srv/state/n1", ("10.77.0.11",), ("rw", "no_root_squash"), "state of n1", "n1")], "", GANESHA)
    assert "    Access_Type = None;\n" in text
    assert "        Clients = 10.77.0.11;\n        Protocols = 4;\n        Access_Type = RW;\n" in text
    assert "Squash = No_Root_Squash;" in text and "Protocols = 4;" in text


def test_what_ganesha_cannot_say_is_refused() -> None:
    with pytest.raises(SiteError, match="has no option 'fsid=0'"):
        ganesha.render([Export("/e", ("*",), ("ro", "fsid=0"), "x")], "", GANESHA)
    with pytest.raises(SiteError, match="cannot be written"):
        ganesha.render([Export('/e"; Path = "/', ("*",), ("ro",), "x")], "", GANESHA)


ANSWER = """method return time=1.0 sender=:1.2 -> destination=:1.3 serial=9 reply_serial=2
   struct {
      uint64 1795311000
      uint64 1
   }
   array [
      struct {
         uint16 0
         string "/"
         boolean false
      }
      struct {
         uint16 1
         string "/install"
         boolean false
      }
   ]
"""


def test_what_the_running_ganesha_exports_is_compared_with_the_file() -> None:
    exports = [Export("/install", ("*",), OPTIONS, "x"), Export("/srv", ("*",), OPTIONS, "x")]
    text = ganesha.render(exports, "", GANESHA)
    assert ganesha.served(ANSWER) == {0: "/", 1: "/install"}
    assert ganesha.differences(ganesha.served(ANSWER), exports, text) == ["/srv (Export_Id 2) is not exported"]


class Host:
    """A host with its files below a temporary directory; `params` are the module's options."""

    def __init__(self, root: Path, **options: Any) -> None:
        self.root = root
        (root / "install").mkdir()
        self.site = rows(str(root / "install"), str(root / "state"), str(root / "level"))
        self.params = {name: spec.get("default") for name, spec in SPEC.items()}
        self.params.update(
            site=str(root / "site.db"),
            path=str(root / "our.exports"),
            foreign_files=[str(root / "exports"), str(root / "*.exports")],
            addresses=["10.77.0.1"],
            accept_risk=True,
            reload=False,
            server="kernel",
        )
        self.params.update(options)
        with open_store(self.params["site"]) as store:
            store.write([change for name, each in self.site.items() for change in plan_table(TABLES[name], [], each)])
        self.warnings: list[str] = []

    def plan(self) -> exports_module.ExportsPlan:
        return read_and_plan(self.params, self.warnings.append)


@pytest.mark.parametrize("server", ["kernel", "ganesha"])
def test_the_file_and_the_directories_are_made_once(tmp_path: Path, server: str) -> None:
    host = Host(tmp_path, server=server)
    first = host.plan()
    assert first.lines()
    assert not (tmp_path / "our.exports").exists() and not (tmp_path / "state").exists()
    first.apply()
    assert (tmp_path / "state/n1").is_dir() and (tmp_path / "level/n2").is_dir()
    assert host.plan().lines() == []


def test_state_on_the_file_system_of_the_images_is_refused_unless_accepted(tmp_path: Path) -> None:
    host = Host(tmp_path, accept_risk=False)
    with pytest.raises(SiteError, match=f"state directory {tmp_path}/state: is on the file system of"):
        host.plan()
    host.params["accept_risk"] = True
    host.plan()
    assert any(warning.startswith("accept_risk: state directory") for warning in host.warnings)


def test_what_forged_handles_would_reach_is_warned_about(tmp_path: Path) -> None:
    host = Host(tmp_path)
    (tmp_path / "exports").write_text(f"{tmp_path}/home *(ro,subtree_check)\n")
    host.plan()
    assert [warning for warning in host.warnings if "handles" in warning and "accept_risk" not in warning] == []
    (tmp_path / "exports").write_text(f"{tmp_path}/home *(ro,subtree_check) 10.1.1.1(ro)\n/proc/fs *(ro)\n")
    host.params["options"] = ["ro", "no_root_squash"]
    host.plan()
    told = [warning for warning in host.warnings if "handles" in warning and "accept_risk" not in warning]
    reach = "by forged file handles its clients reach everything on its file system"
    assert told == [
        f"{tmp_path}/install: without subtree_check its clients reach everything on its file system by forged file handles",
        f"{tmp_path}/exports line 1: exports {tmp_path}/home without subtree_check: {reach}, as {tmp_path}/install",
    ]


def test_ganesha_beside_the_servers_own_files_is_warned_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(tmp_path, server="ganesha")
    monkeypatch.setattr(exports_module, "OWN_FILES", "/proc")
    host.plan()
    assert not [warning for warning in host.warnings if "nfs-ganesha gives out" in warning]
    monkeypatch.setattr(exports_module, "OWN_FILES", str(tmp_path))
    host.plan()
    (told,) = [warning for warning in host.warnings if "nfs-ganesha gives out" in warning]
    first = ", ".join(f"{tmp_path}/{name}" for name in ("install", "level-all", "level/n1"))
    assert told.startswith(f"{first} and 3 more lie on the file system of {tmp_path}:")


def test_more_exports_than_ganesha_reads_in_good_time_are_warned_about() -> None:
    exports = [Export(f"/srv/state/n{number}", ("10.0.0.1",), ("rw",), "state") for number in range(1001)]
    assert exports_module.too_many(exports[1:]) == []
    assert "1001 exports" in exports_module.too_many(exports)[0]


@pytest.mark.parametrize("server", ["kernel", "ganesha"])
def test_a_foreign_read_write_line_is_refused_by_file_and_line(tmp_path: Path, server: str) -> None:
    host = Host(tmp_path, server=server)
    (tmp_path / "exports").write_text(f"# mine\n{tmp_path}/install *(rw,sync)\n")
    with pytest.raises(SiteError, match=f"{tmp_path}/exports line 2: exports {tmp_path}/install read-write"):
        host.plan()
    assert not (tmp_path / "our.exports").exists()


def test_a_line_taken_over_is_shown_kept_as_a_comment_and_backed_up(tmp_path: Path) -> None:
    host = Host(tmp_path, take_over=True)
    old = f"# mine\n{tmp_path}/install *(rw,sync)\n/home *(rw)\n"
    (tmp_path / "exports").write_text(old)
    plan = host.plan()
    assert f"- {tmp_path}/exports: {tmp_path}/install *(rw,sync)" in plan.lines()
    plan.apply()
    assert "\n/home *(rw)\n" in (tmp_path / "exports").read_text()
    assert [path.read_text() for path in tmp_path.glob("exports.*.statelite~")] == [old]
    assert host.plan().lines() == []


def test_a_server_that_exports_something_else_puts_everything_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(tmp_path, take_over=True, reload=True)
    old = f"{tmp_path}/install *(rw,sync)\n"
    (tmp_path / "exports").write_text(old)
    told: list[str] = []
    monkeypatch.setattr(exports_module, "reload_server", lambda server, _path: told.append(server))
    monkeypatch.setattr(exports_module, "ETAB", str(tmp_path / "etab"))
    (tmp_path / "etab").write_text(f"{tmp_path}/install\t*(rw,sync)\n")
    with pytest.raises(SiteError, match=r"install is exported to \* rw.*\n(.*\n)*.*has been put back"):
        host.plan().apply()
    assert told == ["kernel", "kernel"]
    assert (tmp_path / "exports").read_text() == old
    assert not (tmp_path / "our.exports").exists()


def test_a_server_without_a_database_reads_the_published_snapshot(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.params["site"] = str(tmp_path / "published/site.json")
    assert {each.path for each in host.plan().wanted.exports} >= {f"{tmp_path}/install", f"{tmp_path}/state/n1"}
