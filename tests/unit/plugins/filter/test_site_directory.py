# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory of a site's own files, by what the option site says."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.diskless.statelite.plugins.filter.site_directory import site_directory


@pytest.mark.parametrize(
    ("site", "directory"),
    [
        ("/etc/statelite/site.db", "/etc/statelite"),
        ("sqlite:///srv/a%20b/site.db", "/srv/a b"),
        ("/etc/statelite/published/site.json", "/etc/statelite"),
        ("postgresql://db/site", "/etc/statelite"),
        ("postgresql://one,two/site?directory=/srv/site&sslmode=require", "/srv/site"),
    ],
)
def test_the_directory_is_the_databases_or_what_the_url_says(site: str, directory: str) -> None:
    assert site_directory(site) == directory


@pytest.mark.parametrize("site", ["site.db", "postgresql://u:geheim@db/site"])
def test_what_names_no_site_is_refused_without_its_password(site: str) -> None:
    with pytest.raises(AnsibleFilterError) as raised:
        site_directory(site)
    assert "geheim" not in str(raised.value)
