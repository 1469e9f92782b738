# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command of a dry run, and the description that the builder carries out (real builds: integration target image_builder)."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.image import builder, builder_file, fetch
from ansible_collections.diskless.statelite.plugins.module_utils.image.description import (
    describe,
    directories_of,
    files_of,
    from_json,
    local_directory,
    to_json,
)
from ansible_collections.diskless.statelite.plugins.module_utils.image.dryrun import plan_dryrun
from ansible_collections.diskless.statelite.plugins.module_utils.image.genimage import SPEC, defined, plan_genimage
from ansible_collections.diskless.statelite.plugins.module_utils.image.given import read_given
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site
from ansible_collections.diskless.statelite.plugins.module_utils.program import closure, own_source

OSIMAGE = {"imagename": "mycomputeimage", "osvers": "rhels6.3", "osarch": "x86_64", "profile": "compute", "provmethod": "netboot"}


class Made:
    """A management node's files in one directory, and one image of Enterprise Linux for another architecture."""

    def __init__(self, path: Path) -> None:
        self.path = path
        texts = {
            "dracut/module-setup.sh": "#!/bin/bash\n",
            "rootfs/etc/issue": "welcome\n",
            "ca.pem": "-----BEGIN CERTIFICATE-----\n",
            "id.pub": "ssh-ed25519 AAAA\n",
            "hash": "$6$salt$secret\n",
            "install/custom/netboot/rh/compute.rocky9.4.pkglist": "kernel\n#INCLUDE:base.pkglist#\n",
            "install/custom/netboot/rh/base.pkglist": "openssl\n",
            "install/rocky9.4/s390x/repodata/repomd.xml": "<repomd/>\n",
            "install/post/otherpkgs/rocky9.4/s390x/site.rpm": "",
            "post.sh": "#!/bin/sh\n",
            "RPM-GPG-KEY": "key\n",
        }
        for name, text in texts.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_text(text)
        (path / "post.sh").chmod(0o755)
        self.osimage = {"imagename": "i", "osvers": "rocky9.4", "osarch": "s390x", "profile": "compute", "provmethod": "statelite"}
        self.linuximage = {
            "imagename": "i",
            "pkgdir": f"[signed-by={path}/RPM-GPG-KEY] {path}/install/rocky9.4/s390x",
            "postinstall": f"{path}/post.sh --fast",
            "netdrivers": "mlx4_en",
            "nodebootif": "eth0",
            "kernelver": "5.14.0",
            "rootimgdir": str(path / "image"),
        }
        names = {"dracut_module": "dracut", "rootfs": "rootfs", "ca": "ca.pem", "authorized_keys": "id.pub", "share": "share"}
        self.params: dict[str, Any] = {name: option.get("default") for name, option in SPEC.items()}
        self.params.update({option: str(path / name) for option, name in names.items()}, image="i", builder="/usr/lib/statelite/netboot")

    @property
    def site(self) -> Site:
        installdir = {"key": "installdir", "value": f"{self.path}/install"}
        return Site({"osimage": [self.osimage], "linuximage": [self.linuximage], "site": [installdir]})

    def description(self) -> Any:
        definition = defined(self.site, self.params, here=False)[0]
        return describe(definition, read_given(self.params)[0], self.params)


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path)


def test_the_command_is_that_of_the_document_with_every_value_filled_in(made: Made) -> None:
    result = plan_dryrun(made.site, made.params).result()
    path = made.path
    assert result["argv"] == [
        *("./genimage", "-a", "s390x", "-o", "rocky9.4", "-p", "compute", "-n", "mlx4_en", "-i", "eth0", "-k", "5.14.0", "-m", "statelite"),
        *("--permission", "755", "--srcdir", f"[signed-by={path}/RPM-GPG-KEY] {path}/install/rocky9.4/s390x"),
        *("--pkglist", f"{path}/install/custom/netboot/rh/compute.rocky9.4.pkglist"),
        *("--otherpkgdir", f"{path}/install/post/otherpkgs/rocky9.4/s390x", "--postinstall", f"{path}/post.sh --fast"),
        *("--rootimgdir", f"{path}/image", "--tempfile", "i.report.json", "i"),
    ]
    assert result["command"] == f"cd /usr/lib/statelite/netboot; {shlex.join(result['argv'])}"
    assert result["text"].splitlines() == ["Generating image:", "cd /usr/lib/statelite/netboot;", shlex.join(result["argv"])]
    assert (result["due"], result["osarch"], result["release"]) == (True, "s390x", "Enterprise Linux 9")
    assert {"program": "dnf", "package": "dnf"} in result["programs"]


def test_a_dry_run_asks_nothing_of_this_machine_and_does_nothing(made: Made) -> None:
    plan = plan_dryrun(made.site, made.params)
    assert plan.lines() == []
    plan.apply()
    assert not (made.path / "image").exists()
    with pytest.raises(SiteError, match="s390x"):
        plan_genimage(made.site, made.params)


def test_a_dry_run_names_every_fault_of_the_definition(made: Made) -> None:
    made.linuximage["pkgdir"] = "/nowhere"
    made.linuximage["postinstall"] = "/nowhere/script"
    with pytest.raises(SiteError) as refused:
        plan_dryrun(made.site, made.params)
    assert len(refused.value.faults) >= 3


def test_a_stateless_image_has_no_mode_in_its_command(made: Made) -> None:
    made.osimage["provmethod"] = "netboot"
    assert "-m" not in plan_dryrun(made.site, made.params).result()["argv"]


def test_the_description_has_lists_scripts_and_keys_and_names_directories(made: Made) -> None:
    description = made.description()
    names = {file.path.removeprefix(f"{made.path}/"): file.mode for file in description.files}
    lists = {f"install/custom/netboot/rh/{name}.pkglist": 0o644 for name in ("compute.rocky9.4", "base")}
    assert names == {**lists, "post.sh": 0o755, "RPM-GPG-KEY": 0o644}
    assert description.directories == [f"{made.path}/install/rocky9.4/s390x"]
    assert [file.path for file in description.given.credentials.files] == ["/etc/statelite/ca.pem", "/root/.ssh/authorized_keys"]


def test_a_description_comes_back_as_it_was(made: Made) -> None:
    made.params["root_hash_file"] = str(made.path / "hash")
    content = to_json(made.description())
    again = from_json(content, "x")
    assert to_json(again) == content
    assert again.given.credentials.root_hash == "$6$salt$secret"
    for broken in (b"", b"[]", b"{}", content.replace(b'"format": 1', b'"format": 9'), content.replace(b'"files"', b'"flies"')):
        with pytest.raises(SiteError, match="x: "):
            from_json(broken, "x")


def test_the_site_of_a_description_is_built_from_the_same_inputs(made: Made) -> None:
    """So that the management node, which looks at the record of what came back, has nothing to build."""
    inputs = defined(made.site, made.params, here=False)[1]
    description = made.description()
    asked = dict.fromkeys(("osarch", "rootimgdir")) | {"rootimgdir": "/tmp/compute", "pkglist": None}
    params = {name: option.get("default") for name, option in SPEC.items()} | dict(description.options) | {"image": "i"}
    site = description.site(builder.changed_columns(description, asked))
    definition, elsewhere = defined(site, params, here=False, given=description.given)
    assert elsewhere.record == inputs.record
    assert definition.image.rootimgdir == "/tmp/compute"


def test_the_values_of_variables_are_in_the_description_and_not_in_the_command(made: Made) -> None:
    made.osimage["environvar"] = "PROXY=http://user:secret@proxy,SITE=here"
    result = plan_dryrun(made.site, made.params).result()
    words = result["argv"]
    assert words[words.index("--env") + 1] == "PROXY,SITE"
    assert "secret" not in str(result)
    asked = vars(builder.parser().parse_args(words[1:]))
    assert builder.changed_columns(made.description(), asked) == {}
    asked["environvar"] = "PROXY,SITE=there,NEW=1"
    assert builder.changed_columns(made.description(), asked) == {"environvar": "PROXY=http://user:secret@proxy,SITE=there,NEW=1"}


def test_the_commands_own_values_change_nothing_in_the_description(made: Made) -> None:
    words = plan_dryrun(made.site, made.params).result()["argv"][1:]
    asked = vars(builder.parser().parse_args(words))
    assert builder.changed_columns(made.description(), asked) == {}
    asked = vars(builder.parser().parse_args([*words, "--rootimgdir", "/tmp/compute", "-n", "e1000"]))
    assert builder.changed_columns(made.description(), asked) == {"rootimgdir": "/tmp/compute", "netdrivers": "e1000"}


@pytest.mark.parametrize(
    ("place", "directory"),
    [
        ("/install/a/", "/install/a"),
        ("copy:/srv/b", "/srv/b"),
        ("file:///srv/c", "/srv/c"),
        ("file://localhost/srv/d", "/srv/d"),
        ("http://mirror/e", ""),
        ("copy:relative", ""),
    ],
)
def test_a_place_of_packages_is_a_directory_or_not(place: str, directory: str) -> None:
    assert local_directory(place) == directory


def test_apt_sources_have_directories_and_keys_too(made: Made) -> None:
    made.osimage.update(osvers="debian12", osarch=os.uname().machine)
    key, archive = f"{made.path}/RPM-GPG-KEY", f"{made.path}/archive"
    made.linuximage.update(pkgdir=f"deb [arch=amd64 signed-by={key}] copy:{archive} bookworm main, http://mirror/debian", pkglist="vim")
    definition = defined(made.site, made.params, here=False)[0]
    assert directories_of(definition) == [archive]
    assert files_of(definition) == [f"{made.path}/post.sh", key]


def test_a_file_lent_is_put_and_taken_away_and_another_one_in_its_place_is_refused(made: Made) -> None:
    files = made.description().files
    first = Path(files[0].path)
    first.unlink()
    assert builder.lent_faults(files) == []
    with builder.lent(files):
        assert first.read_bytes() == files[0].content
    assert not first.exists()
    assert all(Path(file.path).exists() for file in files[1:])
    first.write_text("another list\n")
    assert [fault.where for fault in builder.lent_faults(files)] == [str(first)]


def test_a_file_that_a_killed_build_lent_is_in_nobodys_way(made: Made) -> None:
    files = made.description().files
    first = Path(files[0].path)
    first.unlink()
    killed = builder.lent(files)
    killed.__enter__()
    newer = (replace(files[0], content=b"a newer list\n"), *files[1:])
    assert builder.lent_faults(newer) == []
    with builder.lent(newer):
        assert first.read_text() == "a newer list\n"
    assert not first.exists()
    assert [path.name for path in first.parent.iterdir() if "lent" in path.name] == []
    builder.lent(files).__enter__()
    first.write_text("a list of this host\n")
    assert [fault.where for fault in builder.lent_faults(newer)] == [str(first)]


def test_the_builder_carries_neither_ansible_nor_the_database() -> None:
    sources = closure(builder_file.FIRST, own_source)
    assert {"image/builder.py", "image/genimage.py", "image/installers/dnf.py", "image/installers/zypper.py"} <= set(sources)
    assert "tables/store.py" not in sources and "module.py" not in sources
    assert not [path for path, source in sources.items() if re.search(rb"^\s*(?:import|from) (?:sqlite3|ansible)", source, re.MULTILINE)]


def test_the_builder_is_one_file_that_runs_by_itself_and_is_the_same_each_time(tmp_path: Path) -> None:
    content = builder_file.program()
    assert content == builder_file.program()
    (tmp_path / "genimage").write_bytes(content)
    (tmp_path / "genimage").chmod(0o755)
    assert "__main__.py" in zipfile.ZipFile(tmp_path / "genimage").namelist()
    run = [sys.executable, "-I", "./genimage"]
    assert "--rootimgdir" in subprocess.run([*run, "--help"], cwd=tmp_path, env={}, capture_output=True, text=True, check=True).stdout
    wrong = subprocess.run([*run, "--nonsense"], cwd=tmp_path, env={}, capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
    missing = subprocess.run([*run, "unheard"], cwd=tmp_path, env={}, capture_output=True, text=True, check=False)
    assert missing.returncode == 1
    assert f"{tmp_path}/unheard.json: does not exist" in missing.stderr


FETCH = {
    "host": "build1",
    "user": "root",
    "port": 2222,
    "server_keys": ["ssh-ed25519 AAAA root@build1"],
    "python": "python3",
    "program": "/usr/lib/statelite/netboot/genimage",
    "source": "/var/lib/statelite/build/an image",
    "contents": {"number": 4, "tree": "0" * 64, "files": {}},
}


def test_the_host_is_known_by_its_keys_alone_and_no_word_reaches_a_shell_unquoted(made: Made) -> None:
    command = fetch.ssh_command({**FETCH, "image": "i", "identity": "/key"}, "/known")
    assert {"-oStrictHostKeyChecking=yes", "-oBatchMode=yes", "-oUserKnownHostsFile=/known", "-oGlobalKnownHostsFile=/dev/null"} <= set(
        command
    )
    assert command[1:3] == ["-F", "none"]
    assert command[-2] == "build1"
    assert command[-1] == "python3 /usr/lib/statelite/netboot/genimage --rootimgdir '/var/lib/statelite/build/an image' --send 4 i"


def test_a_fetch_refuses_options_that_are_none(made: Made) -> None:
    made.osimage["osarch"] = os.uname().machine
    wrong = {"host": "-oProxyCommand=x", "user": "a b", "server_keys": ["no key"], "source": "here", "identity": "/nowhere/key"}
    with pytest.raises(SiteError) as refused:
        fetch.plan_fetch(made.site, {**made.params, **FETCH, **wrong, "contents": {"number": 1, "tree": "x", "files": {}}})
    places = [fault.where.removeprefix("option ") for fault in refused.value.faults]
    assert places == ["host", "user", "server_keys", "source", "identity", "contents"]
