# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Package lists: what is read from which file, and every fault of them."""

from __future__ import annotations

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.image.pkglist import Pass, default_names, parse_pkglist
from ansible_collections.diskless.statelite.plugins.module_utils.image.systems import family, list_directories, system_names, version
from hypothesis import given
from hypothesis import strategies as st


def parse(items: list[str], files: dict[str, str], others: bool = False, **environment: str):
    return parse_pkglist(items, files.get, environment, "pkglist", others)


def faults(items: list[str], files: dict[str, str], others: bool = False, **environment: str) -> list[str]:
    with pytest.raises(SiteError) as raised:
        parse(items, files, others, **environment)
    return [str(fault) for fault in raised.value.faults]


def test_comments_blank_lines_and_blanks_around_a_name_say_nothing() -> None:
    assert parse(["/l"], {"/l": "# a comment\n\n  vim  \n#also one#\ntar"}).install == ("vim", "tar")


def test_a_comma_separates_packages_in_a_line_and_items_of_the_column() -> None:
    assert parse(["/l", "curl"], {"/l": "vim,tar, less"}).install == ("vim", "tar", "less", "curl")


def test_an_include_starts_from_the_directory_of_the_top_level_file_in_nested_files_too() -> None:
    files = {"/a/top": "#INCLUDE:below/one#\n", "/a/below/one": "#INCLUDE:two#\none\n", "/a/two": "two\n"}
    found = parse(["/a/top"], files)
    assert found.install == ("two", "one")
    assert found.files == ("/a/top", "/a/below/one", "/a/two")


def test_a_site_s_list_includes_a_shipped_one_that_includes_its_neighbour() -> None:
    files = {"/site/l": "#INCLUDE:/usr/share/x#\n", "/usr/share/x": "#INCLUDE:common#\nx\n", "/usr/share/common": "c\n"}
    assert parse(["/site/l"], files).install == ("c", "x")
    assert parse(["/site/l"], {**files, "/site/common": "mine\n"}).install == ("mine", "x")


def test_an_include_may_name_a_variable_of_the_image() -> None:
    assert parse(["/l"], {"/l": "#INCLUDE:$BASE/one#\n#INCLUDE:${BASE}/two#", "/b/one": "x", "/b/two": "y"}, BASE="/b").install == (
        "x",
        "y",
    )


def test_a_loop_of_includes_is_refused_with_its_way() -> None:
    found = faults(["/a"], {"/a": "#INCLUDE:b#\nvim", "/b": "#INCLUDE:a#"})
    assert found == ["/b line 1: includes itself: /a -> /b -> /a. Take one #INCLUDE of the loop out"]


def test_a_file_included_twice_is_no_loop() -> None:
    assert parse(["/a", "/b"], {"/a": "#INCLUDE:c#\na", "/b": "#INCLUDE:c#\nb", "/c": "c"}).install == ("c", "a", "b")


def test_a_later_line_beats_an_earlier_one() -> None:
    found = parse(["/l"], {"/l": "#INCLUDE:base#\n-vim\nnano\n", "/base": "vim\n-nano\n"})
    assert (found.install, found.exclude) == (("nano",), ("vim",))


def test_all_faults_of_all_files_are_told_at_once() -> None:
    found = faults(["/a", "/none"], {"/a": "two words\n#INCLUDE:gone#\n#ENV:A#\n#INCLUDE:$X#\n@a'b\n\u2018vim\u2019\n"})
    assert [text.split(":")[0] for text in found] == [
        "/a line 1",
        "/a line 2",
        "/a line 3",
        "/a line 4",
        "/a line 5",
        "/a line 6",
        "pkglist",
    ]


def test_a_list_without_a_package_is_refused() -> None:
    assert "names no package" in faults(["/a"], {"/a": "# nothing\n"})[0]


@pytest.mark.parametrize("name", ["g++", "libc6:amd64", "vim=2:9.0-1+deb12u1", "vim/stable", "linux-image-6.1.0-31-cloud-amd64"])
def test_what_apt_calls_a_package_is_one(name: str) -> None:
    assert parse([name], {}).install == (name,)


@given(st.lists(st.from_regex(r"-?[a-z][a-z0-9.+-]{0,8}", fullmatch=True), min_size=1))
def test_a_package_is_either_installed_or_kept_out_as_its_last_line_says(lines: list[str]) -> None:
    last = {line.removeprefix("-"): not line.startswith("-") for line in lines}
    wanted = {name for name, installed in last.items() if installed}
    if not wanted:
        return
    found = parse(["/l"], {"/l": "\n".join(lines)})
    assert set(found.install) == wanted
    assert set(found.exclude) == set(last) - wanted


def test_default_lists_are_looked_for_from_the_most_particular_name() -> None:
    assert default_names("compute", system_names("debian12.5"), "x86_64") == [
        "compute.debian12.5.x86_64.pkglist",
        "compute.debian12.x86_64.pkglist",
        "compute.debian.x86_64.pkglist",
        "compute.x86_64.pkglist",
        "compute.debian12.5.pkglist",
        "compute.debian12.pkglist",
        "compute.debian.pkglist",
        "compute.pkglist",
    ]


@pytest.mark.parametrize(
    ("osvers", "system"), [("debian12", "debian"), ("ubuntu22.04", "ubuntu"), ("debian", "debian"), ("opensuse-leap15.6", "opensuse-leap")]
)
def test_the_family_is_the_system_without_its_version(osvers: str, system: str) -> None:
    assert family(osvers) == system
    assert osvers.endswith(version(osvers))


def test_clones_of_a_distribution_share_its_lists() -> None:
    assert system_names("rocky9.4") == ["rocky9.4", "rocky9", "rocky", "el9", "el"]
    assert system_names("opensuse-leap15.6") == ["opensuse-leap15.6", "opensuse-leap15", "opensuse-leap", "sles15", "sles"]
    assert list_directories("alma9.4") == ["alma", "rh"]
    assert list_directories("debian12") == ["debian"]


def test_a_new_install_list_is_another_run_with_an_environment_of_its_own() -> None:
    found = parse(
        ["/l"], {"/l": "#ENV:A=1 B='two words, and a comma'#\nvim\n#NEW_INSTALL_LIST#\n\n#NEW_INSTALL_LIST#\n#ENV:A=2#\ntar,vim\n"}
    )
    assert found.passes == (Pass(("vim",), (), {"A": "1", "B": "two words, and a comma"}), Pass(("tar",), (), {"A": "2"}))
    assert found.install == ("vim", "tar")


def test_a_package_kept_out_stays_out_of_every_run() -> None:
    found = parse(["/l"], {"/l": "vim\n#NEW_INSTALL_LIST#\ntar\n-vim\n"})
    assert (found.passes, found.exclude) == ((Pass(("tar",)),), ("vim",))


def test_two_dashes_remove_a_package_when_all_is_done() -> None:
    found = parse(["/l"], {"/l": "vim\n--vim\n--perl\n"})
    assert (found.install, found.remove, found.exclude) == (("vim",), ("vim", "perl"), ())


def test_groups_may_have_blanks_in_their_names() -> None:
    assert parse(["/l"], {"/l": "@core\n@Development Tools, @^minimal-environment\n"}).install == (
        "@core",
        "@Development Tools",
        "@^minimal-environment",
    )
    assert len(faults(["/l"], {"/l": "-@core\n@ core\n@core;x\n"})) == 3


def test_further_packages_name_directories_and_what_goes_before_them() -> None:
    text = "-ntp\ntools/deep/one\ntwo\n--three\n#NEW_INSTALL_LIST#\n-two\ntools/four\n"
    found = parse(["/l"], {"/l": text}, others=True)
    assert found.passes == (Pass(("one", "two"), ("ntp",)), Pass(("four",), ("two",)))
    assert found.directories == ("tools/deep", "", "tools")
    assert (found.exclude, found.remove) == ((), ("three",))
    assert parse(["/l"], {"/l": "# nothing yet\n"}, others=True).passes == ()


def test_a_directory_of_further_packages_lies_below_theirs() -> None:
    assert len(faults(["/l"], {"/l": "../one\na/../../two\n"}, others=True)) == 2
