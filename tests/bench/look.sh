#!/bin/sh
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# What stands at every path of a list, for the bench to compare: type, mode, owner, whether it can be written, digest.

set -u
while IFS= read -r path; do
    if [ ! -e "$path" ]; then
        echo "$path: absent"
    else
        printf '%s\0' "$path" >> /.statelite/names
        [ ! -w "$path" ] || echo "$path: writable"
        [ -d "$path" ] || printf '%s\0' "$path" >> /.statelite/files
    fi
done < "$1"
xargs -0 stat -L --format='%n %F %a %u:%g' -- < /.statelite/names
xargs -0 sha256sum -- < /.statelite/files
