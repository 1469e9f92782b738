# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel, drivers, identity, credentials, mounts: the parts of a build that decide or touch one thing each."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.apply.removal import mounts_under
from ansible_collections.diskless.statelite.plugins.module_utils.apply.root import Root
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.image.credentials import (
    AUTHORIZED_KEYS,
    Credentials,
    put_credentials,
    read_credentials,
    with_root_hash,
)
from ansible_collections.diskless.statelite.plugins.module_utils.image.definition import parse_environment, parse_postinstall
from ansible_collections.diskless.statelite.plugins.module_utils.image.identity import remove_identity
from ansible_collections.diskless.statelite.plugins.module_utils.image.initramfs import (
    LEGACY,
    MANAGER,
    available_drivers,
    chosen_drivers,
    compression,
    dracut_arguments,
    driver_names,
    kernel_of,
    kernels,
    link_stateless,
    network_of,
)
from ansible_collections.diskless.statelite.plugins.module_utils.image.inputs import package_differences
from ansible_collections.diskless.statelite.plugins.module_utils.image.packages import split_sources
from ansible_collections.diskless.statelite.plugins.module_utils.image.tree import TreeFile, put, read_tree


def test_the_newest_kernel_is_taken_as_people_count() -> None:
    assert kernel_of({"6.1.9-1-cloud": "/boot/a", "6.1.10-1-cloud": "/boot/b"}, "") == ("6.1.10-1-cloud", "/boot/b")


def test_the_kernel_asked_for_is_taken_or_the_others_are_named() -> None:
    assert kernel_of({"5": "/boot/vmlinuz-5", "6": "/boot/vmlinux-6"}, "5") == ("5", "/boot/vmlinuz-5")
    with pytest.raises(SiteError, match="it has: 5, 6"):
        kernel_of({"5": "", "6": ""}, "4")
    with pytest.raises(SiteError, match="no kernel was installed"):
        kernel_of({}, "")


def test_the_initramfs_has_a_second_name_where_it_can_fetch_a_root(tmp_path: Path) -> None:
    (tmp_path / "initrd-statelite.gz").write_text("one for both")
    for name in ("curl", "cpio", "tar", "gzip"):
        with Root(str(tmp_path)) as root:
            link_stateless(root, str(tmp_path), "statelite")
            assert not (tmp_path / "initrd-stateless.gz").exists()
            with pytest.raises(SiteError, match="Add curl, cpio, tar and gzip to the package list"):
                link_stateless(root, str(tmp_path), "netboot")
        tool = tmp_path / ("bin" if name == "gzip" else "usr/bin") / name
        tool.parent.mkdir(parents=True, exist_ok=True)
        tool.touch()
    with Root(str(tmp_path)) as root:
        link_stateless(root, str(tmp_path), "netboot")
    assert (tmp_path / "initrd-stateless.gz").samefile(tmp_path / "initrd-statelite.gz")


def test_kernels_lie_beside_their_modules_or_in_boot(tmp_path: Path) -> None:
    for name in (
        "usr/lib/modules/5.14/vmlinuz",
        "usr/lib/modules/5.14/modules.dep",
        "boot/vmlinuz-5.14",
        "boot/vmlinuz-6.1",
        "boot/config-7",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "boot/vmlinuz-0-rescue-0123").write_text("")
    with Root(str(tmp_path)) as root:
        assert kernels(root) == {"5.14": "/usr/lib/modules/5.14/vmlinuz", "6.1": "/boot/vmlinuz-6.1"}


def test_an_initramfs_is_packed_as_the_kernel_can_read_it(tmp_path: Path) -> None:
    for name, text in (("4.18", "CONFIG_RD_GZIP=y\n"), ("5.14", "CONFIG_RD_ZSTD=y\n"), ("usr/bin", "")):
        (tmp_path / (name if "/" in name else f"usr/lib/modules/{name}")).mkdir(parents=True)
        if text:
            (tmp_path / f"usr/lib/modules/{name}/config").write_text(text)
    with Root(str(tmp_path)) as root:
        assert compression(root, "5.14") == "gzip"
        (tmp_path / "usr/bin/zstd").write_text("")
        assert [compression(root, version) for version in ("4.18", "5.14", "6.1")] == ["gzip", "zstd", "zstd"]
    assert "--gzip" in dracut_arguments("4.18", ["nfs"], "gzip")
    words = dracut_arguments("6.1", ["nfs"])
    assert words[words.index("--compress") + 1] == "zstd -9 -q -T0"


def test_the_network_s_module_is_the_one_that_the_image_can_carry_out(tmp_path: Path) -> None:
    modules, programs = tmp_path / "usr/lib/dracut/modules.d", tmp_path / "usr/sbin"
    programs.mkdir(parents=True)
    with Root(str(tmp_path)) as root:
        assert network_of(root) == LEGACY
        (modules / "35network-manager").mkdir(parents=True)
        with pytest.raises(SiteError, match="has no module network-legacy, and the image no NetworkManager"):
            network_of(root)
        (programs / "NetworkManager").write_text("")
        assert network_of(root) == MANAGER
        (modules / "35network-legacy").mkdir()
        assert network_of(root) == MANAGER
        (programs / "dhclient").write_text("")
        assert network_of(root) == LEGACY


def test_networkmanager_brings_what_runs_it_into_the_initramfs() -> None:
    arguments = dracut_arguments("6.12", ["nfs"], "zstd", MANAGER)
    modules = arguments[arguments.index("--modules") + 1].split()
    assert {"network-manager", "systemd", "dracut-systemd", "statelite"} <= set(modules)
    assert "network-legacy" not in modules


@pytest.mark.parametrize("there", [True, False])
def test_the_ssh_server_is_enabled_where_the_distribution_leaves_that_to_its_installer(tmp_path: Path, there: bool) -> None:
    (tmp_path / "root").mkdir()
    if there:
        (tmp_path / "usr/lib/systemd/system").mkdir(parents=True)
        (tmp_path / "usr/lib/systemd/system/sshd.service").write_text("[Unit]\n")
    with Root(str(tmp_path)) as root:
        put_credentials(root, Credentials((TreeFile(AUTHORIZED_KEYS, b"ssh-ed25519 A\n", 0o600),)))
        put_credentials(root, Credentials((TreeFile(AUTHORIZED_KEYS, b"ssh-ed25519 A\n", 0o600),)))
    link = tmp_path / "etc/systemd/system/multi-user.target.wants/sshd.service"
    assert (os.readlink(link) if link.is_symlink() else None) == ("/usr/lib/systemd/system/sshd.service" if there else None)


def test_driver_names_are_written_in_any_of_the_usual_ways() -> None:
    assert driver_names("igb.ko, mlx5-core e1000") == ["igb", "mlx5_core", "e1000"]


def test_usual_drivers_go_in_when_the_kernel_has_them_and_named_ones_must() -> None:
    assert chosen_drivers({"nfs", "virtio_net", "igb", "sfc"}, "x86_64", "sfc") == ["nfs", "virtio_net", "igb", "sfc"]
    with pytest.raises(SiteError, match="no module bnxt_en"):
        chosen_drivers({"nfs"}, "x86_64", "bnxt_en.ko")


def test_the_initramfs_holds_the_agent_and_nothing_of_the_builder() -> None:
    arguments = dracut_arguments("6.1", ["nfs"])
    modules = arguments[arguments.index("--modules") + 1].split()
    assert {"statelite", "nfs", "network-legacy", "kernel-network-modules"} <= set(modules)
    assert {"--no-hostonly", "--no-hostonly-cmdline"} <= set(arguments)


def image(path: Path) -> Path:
    for name in ("etc/ssh", "var/lib/dhcp", "var/lib/systemd", "var/lib/dbus", "usr/lib/modules/6.1", "root"):
        (path / name).mkdir(parents=True)
    (path / "lib").symlink_to("usr/lib")
    texts = {
        "etc/hostname": "builder\n",
        "etc/machine-id": "0123\n",
        "etc/fstab": "/dev/sda1 / ext4 defaults 0 1\n",
        "etc/ssh/ssh_host_rsa_key": "secret",
        "etc/ssh/ssh_host_rsa_key.pub": "public",
        "etc/ssh/sshd_config": "UsePAM yes\n",
        "var/lib/dhcp/dhclient.leases": "lease",
        "var/lib/systemd/random-seed": "seed",
        "usr/lib/modules/6.1/modules.dep": "kernel/fs/nfs/nfs.ko.xz: kernel/x.ko\n",
        "usr/lib/modules/6.1/modules.builtin": "kernel/net/packet/af-packet.ko\n",
    }
    for name, text in texts.items():
        (path / name).write_text(text)
    return path


def test_no_trace_of_a_machine_is_left(tmp_path: Path) -> None:
    tree = image(tmp_path)
    with Root(str(tree)) as root:
        remove_identity(root)
        remove_identity(root)
    assert sorted(os.listdir(tree / "etc/ssh")) == ["sshd_config"]
    assert os.listdir(tree / "var/lib/dhcp") == os.listdir(tree / "var/lib/systemd") == []
    assert (tree / "etc/machine-id").read_text() == (tree / "etc/hostname").read_text() == (tree / "etc/resolv.conf").read_text() == ""
    assert (tree / "etc/machine-id").stat().st_mode & 0o777 == 0o444
    assert [line for line in (tree / "etc/fstab").read_text().splitlines() if not line.startswith("#")] == []
    assert "localhost" in (tree / "etc/hosts").read_text()


def test_a_hostile_link_in_the_image_leads_nowhere(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "hostname").write_text("the management node's\n")
    (outside / "resolv.conf").write_text("nameserver\n")
    tree = image(tmp_path / "image")
    for name, target in (("hostname", outside / "hostname"), ("resolv.conf", outside / "resolv.conf"), ("statelite", outside)):
        (tree / "etc" / name).unlink(missing_ok=True)
        (tree / "etc" / name).symlink_to(target)
    with Root(str(tree)) as root:
        remove_identity(root)
        with pytest.raises(SiteError, match="/etc/statelite is no directory in the image"):
            put(root, TreeFile("/etc/statelite/ca.pem", b"x"))
    assert (outside / "hostname").read_text() == "the management node's\n"
    assert (outside / "resolv.conf").read_text() == "nameserver\n"
    assert sorted(os.listdir(outside)) == ["hostname", "resolv.conf"]
    assert (tree / "etc/resolv.conf").is_symlink()


def test_modules_are_known_loadable_or_built_in(tmp_path: Path) -> None:
    with Root(str(image(tmp_path))) as root:
        assert available_drivers(root, "6.1") == {"nfs", "af_packet"}


def test_root_files_keep_links_and_the_executable_bit(tmp_path: Path) -> None:
    (tmp_path / "given/etc").mkdir(parents=True)
    (tmp_path / "given/etc/run.sh").write_text("#!/bin/sh\n")
    (tmp_path / "given/etc/run.sh").chmod(0o711)
    (tmp_path / "given/etc/link").symlink_to("run.sh")
    (tmp_path / "image").mkdir()
    with Root(str(tmp_path / "image")) as root:
        for file in read_tree(str(tmp_path / "given")):
            put(root, file)
    assert (tmp_path / "image/etc/run.sh").stat().st_mode & 0o7777 == 0o755
    assert os.readlink(tmp_path / "image/etc/link") == "run.sh"


def test_the_passwords_of_others_stay() -> None:
    shadow = "daemon:*:1::::::\nroot:!:1:0:9:7:::\nrooter:x:1::::::\n"
    assert with_root_hash(shadow, "$6$a$b") == "daemon:*:1::::::\nroot:$6$a$b:1:0:9:7:::\nrooter:x:1::::::\n"
    assert with_root_hash(shadow, "") == "daemon:*:1::::::\nroot:*:1:0:9:7:::\nrooter:x:1::::::\n"


def test_no_private_key_and_no_plain_password_goes_into_an_image(tmp_path: Path) -> None:
    for name, text in (("ca", "-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n"), ("key", "nothing"), ("hash", "secret")):
        (tmp_path / name).write_text(text)
    _found, faults = read_credentials(*(str(tmp_path / name) for name in ("ca", "key", "hash")))
    assert len(faults) == 3
    assert "secret" not in " ".join(str(fault) for fault in faults)


def test_host_keys_are_shared_only_when_they_are_asked_for(tmp_path: Path) -> None:
    keys, tree = tmp_path / "keys", tmp_path / "tree"
    keys.mkdir()
    (tree / "etc/ssh").mkdir(parents=True)
    (keys / "ssh_host_rsa_key").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nsecret\n")
    (keys / "ssh_host_rsa_key.pub").write_text("ssh-rsa AAAA shared\n")
    (keys / "other").write_text("left alone")
    credentials, faults = read_credentials("", "", "", str(keys))
    assert faults == []
    assert read_credentials("", "", "")[0].files == ()
    for given, modes in ((Credentials(), {}), (credentials, {"ssh_host_rsa_key": 0o600, "ssh_host_rsa_key.pub": 0o644})):
        (tree / "etc/ssh/ssh_host_ed25519_key").write_text("made by a package")
        with Root(str(tree)) as root:
            put_credentials(root, given)
            remove_identity(root, {file.path for file in given.files})
        assert {path.name: path.stat().st_mode & 0o777 for path in (tree / "etc/ssh").iterdir()} == modes
    (keys / "ssh_host_rsa_key").write_text("secret")
    wrong = [*read_credentials("", "", "", str(keys))[1], *read_credentials("", "", "", str(tmp_path / "nowhere"))[1]]
    assert [fault.what for fault in wrong] == ["holds no private key", "holds no ssh_host_*_key"]


def test_a_comma_inside_brackets_separates_no_sources() -> None:
    assert split_sources("http://m/d, deb [arch=amd64,i386 trusted=yes] copy:/x ./ ,/srv") == [
        "http://m/d",
        "deb [arch=amd64,i386 trusted=yes] copy:/x ./",
        "/srv",
    ]


def test_the_environment_is_names_and_values() -> None:
    assert parse_environment("A=1, B=x=y", "here") == ({"A": "1", "B": "x=y"}, [])
    assert len(parse_environment("A,2=b", "here")[1]) == 2


def test_a_postinstall_script_must_be_there_and_executable(tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_text("#!/bin/sh\n")
    good.chmod(0o755)
    bad.write_text("")
    assert parse_postinstall(f"{good} -x 'two words'", "here") == ([[str(good), "-x", "two words"]], [])
    assert len(parse_postinstall(f"{bad},/none,relative", "here")[1]) == 3


def test_mounts_below_a_directory_are_found_the_deepest_first(tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    base = f"{tmp_path}/a\\040b"
    table.write_text("".join(f"1 1 0:1 / {point} rw - t t rw\n" for point in ("/", base, f"{base}/dev", f"{base}/dev/pts", f"{base}c/dev")))
    assert mounts_under(f"{tmp_path}/a b", str(table)) == [f"{tmp_path}/a b/dev/pts", f"{tmp_path}/a b/dev", f"{tmp_path}/a b"]


def test_what_the_repositories_have_new_is_one_line() -> None:
    assert package_differences({"a": "1", "b": "1", "c": "1"}, {"a": "1", "b": "2", "d": "1"}) == [
        "repositories changed: b 1 -> 2, +d 1, -c"
    ]
    assert package_differences({"a": "1"}, {"a": "1"}) == []
