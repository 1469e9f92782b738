#!/bin/sh
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# How the paths of entries lead to their places: links and mounts, for many entries together. Sourced by entries.sh.

links=''             # TEXT PATH
binds=''             # SOURCE PATH KIND OPTIONS; the kind is - when the image has the mount point

make_links() { # links of one directory together
    set -- "$links" && eval "set -- \$1"
    texts='' into='' new_directories=''
    while [ $# -gt 0 ]; do
        if [ "${2%/*}" != "$into" ] && ! has_failed "$2"; then
            into=${2%/*}
            [ -d "$S/tmpfs$into" ] || new_directories=$new_directories$S/tmpfs$into$NL
        fi
        shift 2
    done
    make_directories
    set -- "$links" && eval "set -- \$1"
    while [ $# -gt 0 ]; do
        if ! has_failed "$2"; then
            [ -z "$texts" ] || [ "$S/tmpfs${2%/*}" = "$into" ] || link_all
            into=$S/tmpfs${2%/*}
            texts=$texts$1$NL
        fi
        shift 2
    done
    [ -z "$texts" ] || link_all
}

link_all() { # each link has its target's name
    with texts ln -sf -t "$into" -- 2> /dev/null || for text in $texts; do
        trouble=$(mkdir -p -- "$into" 2>&1 && ln -sf -t "$into" -- "$text" 2>&1) || failed "${into#"$S/tmpfs"}/${text##*/}" "$trouble"
    done
    texts=''
}

note_binds() { # for the end of the depth
    [ -n "$binds" ] || return 0
    mount_points
    set -- "$binds" && eval "set -- \$1"
    while [ $# -gt 0 ]; do
        if has_failed "$2"; then
            :
        elif [ ! -e "$1" ] && [ ! -L "$1" ]; then
            failed "$2" 'it has no content to mount'
        elif mount_point "$3" "$2"; then
            escaped "$1"
            bound=$field
            escaped "$2"
            printf '%s %s none %s 0 0\n' "$bound" "$field" "$4"
        else
            failed "$2" "no mount point in its parent: $trouble"
        fi
        shift 4
    done >> "$W/fstab"
    printf '%s' "$binds" >> "$W/binds"
}

make_binds() {
    [ -s "$W/fstab" ] || return 0
    # Nothing to look up on the way of a path, which the kernel resolves; and nothing to be written anywhere.
    mount -n -c -a -T "$W/fstab" || blame_binds
    : > "$W/fstab"
    : > "$W/binds"
}

mount_points() { # the directories that mount points in volatile and persistent directories need, together
    set -- "$binds" && eval "set -- \$1"
    new_directories=''
    while [ $# -gt 0 ]; do
        if [ "$3" != - ] && [ ! -e "$2" ] && ! has_failed "$2" && { [ -e "$1" ] || [ -L "$1" ]; }; then
            if [ "$3" = d ]; then
                new_directories=$new_directories$2$NL
            elif [ ! -d "${2%/*}" ]; then
                new_directories=$new_directories${2%/*}$NL
            fi
        fi
        shift 4
    done
    make_directories
}

mount_point() { # $1 kind, $2 path
    case $1 in
        -) ;;
        d) [ -d "$2" ] || trouble=$(mkdir -p -- "$2" 2>&1) ;;
        *) [ -e "$2" ] || true 2> /dev/null >> "$2" || trouble=$(mkdir -p -- "${2%/*}" 2>&1 && touch -- "$2" 2>&1) ;;
    esac
}

escaped() { # $1 text -> $field, as fstab(5) wants it
    field='' rest=$1
    while :; do
        case $rest in
            *[\ \\]*)
                head=${rest%%[ \\]*}
                rest=${rest#"$head"}
                case $rest in ' '*) field="$field$head\\040" ;; *) field="$field$head\\134" ;; esac
                rest=${rest#?}
                ;;
            *) break ;;
        esac
    done
    field=$field$rest
}

blame_binds() {
    while IFS=$TAB read -r bind_source bind_path _ bind_options; do
        if ! has_failed "$bind_path" && ! mountpoint -q -- "$bind_path"; then
            trouble=$(mount -n -c -o "$bind_options" -- "$bind_source" "$bind_path" 2>&1) || failed "${bind_path#"$S/tmpfs"}" "$trouble"
        fi
    done < "$W/binds"
}
