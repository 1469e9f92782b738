#!/bin/sh
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Volatile directories without a copy: their source below, tmpfs above. Sourced by entries.sh, in the node's root.

overlays=0 field=''
noted=$NL       # directories on the way that will be made
copied=$NL      # paths that the plan wants copied

lay_over() { # $1 source number, $2 source, $3 path, $4 place: 0 when the place will be an overlay of the source
    case $copied in *"$NL$3$NL"* | *"${NL}ALL$NL"*) return 1 ;; esac
    # An empty directory is copied by making it.
    if [ ! -d "$2" ] || empty "$2" || ! overlay_works "$1" "$2"; then
        return 1
    fi
    overlays=$((overlays + 1))
    over=$S/system/over/$overlays lower=$2
    case $lower in
        *[,:\\\"]*) mkdir -p "$over" && lower=$over/lower && ln -s -- "$2" "$lower" || return 1 ;;
    esac
    parents_like "${2%"$3"}" "$S/${4%"$3"}" "${3%/*}"
    # An overlay's top has the mode and owner of its upper directory.
    made_like "$2" "$over/upper"
    printf '%s\0%s\0' "$over/work" "$S/$4" >> "$W/over.make"
    printf '%s\t%s\t%s\n' "$1" "$3" "$4" >> "$W/over.list"
    escaped "$lower"
    options="lowerdir=$field,upperdir=$over/upper,workdir=$over/work"
    escaped "$S/$4"
    printf 'overlay %s overlay %s 0 0\n' "$field" "$options" >> "$W/over.fstab"
}

parents_like() { # $1 source root, $2 area, $3 path: the directories on the way are made in the area as they are in the source
    if [ -d "$2$3" ]; then
        return 0
    fi
    case $noted in *"$NL$2$3$NL"*) return 0 ;; esac
    noted=$noted$2$3$NL
    parents_like "$1" "$2" "${3%/*}"
    made_like "$1$3" "$2$3"
}

made_like() { # $1 source, $2 directory: it is made with the mode and owner of the source
    printf '%s\0' "$1" >> "$W/over.sources"
    printf '%s\0' "$2" >> "$W/over.make"
    printf '%s\n' "$2" >> "$W/over.made"
}

overlay_works() { # $1 source number, $2 a directory of it: 0 when node and source can; tried once for each source
    eval "tried=\${overlay_$1:-}"
    if [ -z "$tried" ]; then
        tried=no
        probe=$S/system/probe
        mkdir -p "$probe/upper" "$probe/work" "$probe/top" && ln -sfn -- "$2" "$probe/lower"
        if trouble=$(mount -t overlay -o "lowerdir=$probe/lower,upperdir=$probe/upper,workdir=$probe/work" overlay "$probe/top" 2>&1); then
            # What is written must come up: not every server's attributes fit into a tmpfs. Big files are spared.
            trouble=$(find "$probe/top" -mindepth 1 -maxdepth 1 '(' -type d -o -type f -size -65 ')' '(' -exec chmod u+s,u-s -- '{}' ';' -printf came -o -true ')' -quit 2>&1)
            case $trouble in
                came) tried=yes ;;
                '') tried='' ;; # nothing here to try with: this directory is copied, the next one tells
            esac
            umount "$probe/top"
        fi
        rm -rf "$probe"
        eval "overlay_$1=\$tried"
        [ "$tried" != no ] || printf 'volatile directories of source %s are copied: %s\n' "$1" "$trouble"
    fi
    [ "$tried" = yes ]
}

make_overlays() { # all of one depth; what can't be mounted is copied
    [ -s "$W/over.list" ] || return 0
    xargs -0 mkdir -p -- < "$W/over.make"
    xargs -0 stat -L --printf='%a %u %g\n' -- < "$W/over.sources" > "$W/over.modes"
    while IFS= read -r made && read -r mode user group <&8; do
        [ "$user $group" = '0 0' ] || chown "$user:$group" "$made"
        [ "$mode" = 755 ] || chmod "$mode" "$made"
    done < "$W/over.made" 8< "$W/over.modes"
    noted=$NL
    mount -a -T "$W/over.fstab" > "$W/trouble" 2>&1 && return 0
    cat "$W/trouble"
    while IFS=$TAB read -r over_from over_path over_place; do
        if ! mountpoint -q -- "$S/$over_place"; then
            case $over_place in tmpfs/*) way=image ;; *) way=bind ;; esac
            printf '%s\0' "${over_path#/}" >> "$W/copy.$way.$over_from"
            not_laid=$not_laid$over_path$NL
        fi
    done < "$W/over.list"
}
