#!/bin/sh
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Volatile directories without a copy: their source below, tmpfs above. One overlay covers the whole of a source, and each
# directory is a piece of it: a mount of a piece costs a small part of an overlay's. Sourced by entries.sh, in the node's root.

# The entry that is looked at.
path='' from='' base='' inside='' level_numbers=''
points=''        # mount points in /.statelite/tmpfs
on_the_way='' like='' # directories on the way to them, and those of the source
copied=$NL       # paths that the plan wants copied
overlays=$NL     # LOWER NUMBER: what has an overlay, at /.statelite/system/over/NUMBER
overlay_count=0
lower='' works='' noted=''

empty() { # $1 directory: 0 when nothing is in it, else inside is one thing that is
    set +f
    one "$1"/* || one "$1"/.[!.]* || one "$1"/..?*
    filled=$?
    set -f
    [ "$filled" != 0 ]
}

one() {
    inside=$1
    [ -e "$1" ] || [ -L "$1" ]
}

lay_over() { # $1 area: 0 when the entry is a piece of an overlay, seen at view; a linked one is going to be mounted at AREA/path
    case $copied in *"$NL$path$NL"* | *"${NL}ALL$NL"*) return 1 ;; esac
    eval "works=\${works_$from:-}"
    # An empty directory is copied by making it.
    if [ "$works" = no ] || [ ! -d "$base$path" ] || empty "$base$path" || ! seen_through; then
        return 1
    fi
    [ "$works" = yes ] || comes_up || return 1
    [ "$1" = "$S/tmpfs" ] || return 0
    parents_like "$base" "$1" "${path%/*}"
    points=$points$1$path$NL
    binds=$binds$view$TAB$1$path$TAB-${TAB}bind$NL
}

seen_through() { # sets view: where an overlay shows the directory that the entry's source is
    cd -P -- "$base$path" || return 1
    was=$lower
    case $PWD in
        /.default/*) lower=$S/image view=$PWD ;;
        "$S/image"/*) lower=$S/image view=${PWD#"$S/image"} ;;
        "$base"/*) lower=$base view=${PWD#"$base"} ;;
        *) lower=${PWD%/*} view=/${PWD##*/} ;; # a link in the level leads away
    esac
    if [ "$lower" != "$was" ]; then
        case $overlays in
            *"$NL$lower$TAB"*)
                overlay=${overlays#*"$NL$lower$TAB"}
                overlay=${overlay%%"$NL"*}
                ;;
            *) open_overlay ;;
        esac
    fi
    view=$S/system/over/$overlay/top$view
    # What a server mounts inside its export is not seen through an overlay of the export.
    [ -e "$view/${inside##*/}" ] || [ -L "$view/${inside##*/}" ]
}

open_overlay() { # of the directory lower; sets overlay to its number
    overlay_count=$((overlay_count + 1)) overlay=$overlay_count
    overlays=$overlays$lower$TAB$overlay$NL
    over=$S/system/over/$overlay
    [ -d "$over" ] || make_room
    case $lower in
        *[,:\\\"]*) ln -s -- "$lower" "$over/lower" && below=$over/lower ;;
        *) below=${lower:-/} ;;
    esac
    trouble=$(mount -n -c -t overlay -o "lowerdir=$below,upperdir=$over/upper,workdir=$over/work" overlay "$over/top" 2>&1) || gives_up
}

make_room() { # for the next overlay, and as many as there are sources
    places='' last=$overlay
    for _source in default $level_numbers; do
        room=$S/system/over/$last last=$((last + 1))
        places=$places$room/upper$NL$room/work$NL$room/top$NL
    done
    with places mkdir -p --
}

comes_up() { # every source is tried once: what is written must come up, and not every server's attributes fit into a tmpfs
    # Nothing is changed, only written: a mode that adds no bit.
    trouble=$(chmod +0 "$view" 2>&1) || {
        gives_up
        return 1
    }
    eval "works_$from=yes"
}

gives_up() {
    eval "works_$from=no"
    printf 'volatile directories of source %s are copied: %s\n' "$from" "$trouble"
}

parents_like() { # $1 source root, $2 area, $3 path: the directories on the way are made in the area as they are in the source
    if [ -z "$3" ] || [ -d "$2$3" ]; then
        return 0
    fi
    # Entries come in the order of their paths: what was noted last is what is needed again.
    case $noted/ in "$2$3/"*) return 0 ;; esac
    parents_like "$1" "$2" "${3%/*}"
    like=$like$1$3$NL
    on_the_way=$on_the_way$2$3$NL
    noted=$2$3
}

make_points() { # the mount points of linked ones, with the directories on the way
    [ -n "$points" ] || return 0
    points=$on_the_way$points
    with points mkdir -p -- 2> /dev/null || : # what could not be made is told by its mount
    [ -z "$on_the_way" ] || give_modes
    like='' on_the_way='' points='' noted=''
}

give_modes() { # those of the sources, directories of one mode together
    modes=''
    found=$(with like stat -L --printf='%a_%u_%g\n' --)
    set -- "$found" && eval "set -- \$1"
    for made in $on_the_way; do
        if [ "$1" != 755_0_0 ] && [ -d "$made" ]; then
            case $modes in *"$1$NL"*) ;; *) modes=$modes$1$NL && eval "mode_$1=''" ;; esac
            eval "mode_$1=\$mode_$1\$made\$NL"
        fi
        shift
    done
    for mode in $modes; do
        eval "alike=\$mode_$mode"
        owner=${mode#*_}
        [ "$owner" = 0_0 ] || with alike chown "${owner%_*}:${owner#*_}" --
        with alike chmod "${mode%%_*}" --
    done
}

close_overlays() { # the pieces stay mounted, and keep what they are pieces of
    cd "$S" || return
    tops=''
    IFS=$NL
    for opened in $overlays; do
        tops=$tops$S/system/over/${opened##*"$TAB"}/top$NL
    done
    IFS=$TAB$NL
    [ -z "$tops" ] || with tops umount -n -c -- 2> /dev/null || :
}
