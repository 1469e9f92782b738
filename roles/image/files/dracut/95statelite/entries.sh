#!/bin/sh
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Carry the entries of the plan out: one pass, in the node's root (chroot), so that every link means what it means there.
# Here each entry is looked at, without any process of its own; what is to be done is collected and done for many entries
# together (batches.sh, overlays.sh). Reads /.statelite/system/{plan,levels,nodisk}; writes work/results, a line for each
# entry: path, status (done, failed, skipped), source, message.

set -uf
TAB='	'
NL='
'
# Neither stands in a name (docs/boot-plan.md): lines and fields can be split by the shell itself.
IFS=$TAB$NL
S=/.statelite
W=$S/system/work
SLICE=1000 # so many entries at most are collected: lists that the shell has to extend stay short
level_numbers=''
lost=$NL above_lost=$NL        # directories of this depth, of the one above, whose children are skipped
plain='' above_plain=$NL       # volatile directories of this depth, of the one above, that are the image's own
no_disk='' view=''
# shellcheck source=/dev/null  # beside this file
. "$S/system/batches.sh"
# shellcheck source=/dev/null  # beside this file
. "$S/system/attach.sh"
# shellcheck source=/dev/null  # beside this file
. "$S/system/overlays.sh"

find_source() { # sets from (level number, default or none) and base
    for from in $level_numbers; do
        eval "base=\$level_$from"
        if [ "$kind" = d ]; then
            # An empty directory in a level is only a step on the way to something: as if it were not there.
            [ ! -d "$base$path" ] || empty "$base$path" || return 0
        elif [ -e "$base$path" ] || [ -L "$base$path" ]; then
            return 0
        fi
    done
    base=/.default from=default
    [ -e "$base$path" ] || [ -L "$base$path" ] || from=none
}

create() { # an empty one at the place
    from=created
    case $storage-$kind in
        persistent-* | localdisk-*) ;; # its directory may yet be made aside, and renamed
        *-d) new_directories=$new_directories$target$NL ;;
        *) new_directories=$new_directories${target%/*}$NL ;;
    esac
    created=$created$kind$TAB$target$TAB$path$NL
}

fill() { # $1 area: the entry's own place, AREA/path, gets a copy of its source, or lies over it
    find_source
    if [ "$from" = none ]; then
        create
    elif [ ! -e "$base$path" ]; then
        copy_link
    elif [ "$kind" = d ] && lay_over "$1"; then
        how=overlay
        # What is bound comes straight from there.
        [ "$1" = "$S/tmpfs" ] || target=$view
    else
        add_copy "$1" "$from" "$path"
    fi
}

compose() { # $1 area, or nothing for a place inside the parent's copy: the image's content, then each level's piece in order of priority
    from='' more=''
    if [ -e "/.default$path" ]; then
        first=/.default from=default
    fi
    for number in $level_numbers; do
        eval "base=\$level_$number"
        [ -f "$base$path" ] || continue
        if [ -z "$from" ]; then
            first=$base from=$number
        else
            more=$more$TAB$base$path from=$from+$number
        fi
    done
    if [ -e "$target" ] || [ -L "$target" ]; then
        case $above_plain in
            *"$NL$parent$NL"*)
                # It came with the image's directory, so it is the image's content already.
                if [ "${from%%+*}" = default ] && [ ! -L "$target" ]; then
                    [ -z "$more" ] || add_pieces
                    return
                fi
                ;;
        esac
        # A directory stays, and says why nothing can be composed there.
        if [ ! -d "$target" ] || [ -L "$target" ]; then old_files=$old_files$target$NL; fi
    fi
    if [ -z "$from" ]; then
        create
        return
    elif [ -z "$1" ]; then
        add_inside "$first$path" "${more:+yes}"
    elif [ -z "$more" ]; then
        add_copy "$1" "$from" "$path"
    else
        # Hard links stay together in a copy; what gets more content must be on its own.
        add_copy "$1" "${from%%+*}" "$path" apart
    fi
    [ -z "$more" ] || add_pieces
}

add_pieces() {
    pieces=$pieces$path$TAB$target$more$NL
    appended=$((appended + 1))
}

keep() { # what the node's own place has stays; else its first content comes with the other new content of that directory
    if [ "$storage" = localdisk ] && [ -n "$no_disk" ]; then
        failed "$path" "$no_disk"
    elif [ -e "$target" ] || [ -L "$target" ]; then
        from=kept
    else
        find_source
        if [ "$from" = none ]; then
            create
        elif [ -d "${target%/*}" ]; then
            keep_one
        else
            add_new
        fi
    fi
}

top_entry() { # an entry with no listed parent
    case $attach in bind) area=$S/system/bound ;; *) area=$S/tmpfs ;; esac
    case $storage in
        tmpfs) fill "$area" ;;
        con) compose "$area" ;;
        persistent | localdisk) keep ;;
        ro)
            find_source
            target=$base$path
            [ "$from" != none ] || failed "$path" 'neither a level nor the image has it'
            ;;
    esac
    case $attach in
        image) [ -L "$path" ] || failed "$path" 'the image has no link here: run liteimg' ;;
        symlink)
            [ -L "$path" ] || failed "$path" 'the image has no link here: run liteimg'
            links=$links$target$TAB$path$NL
            ;;
        bind)
            case $storage-$from$place in
                ro-default-) ;; # the image's own content stands there, read-only as it is
                ro-*) binds=$binds$target$TAB$path$TAB-${TAB}bind,ro$NL ;;
                *) binds=$binds$target$TAB$path$TAB-${TAB}bind$NL ;;
            esac
            ;;
    esac
}

child_entry() { # an entry inside a listed directory: part of its parent's copy, or mounted over it
    case $storage-$attach in
        tmpfs-inline)
            find_source
            # What the parent's copy brought came from the first source that has it, so it is what is wanted here.
            if [ -L "$target" ] || [ ! -e "$target" ] || { [ "$kind" = d ] && [ ! -d "$target" ]; }; then
                if [ -e "$target" ] || [ -L "$target" ]; then old_files=$old_files$target$NL; fi
                if [ "$from" = none ]; then
                    create
                elif [ -e "$base$path" ]; then
                    add_inside "$base$path"
                else
                    copy_link
                fi
            fi
            return
            ;;
        con-inline) compose ''; return ;;
        persistent-* | localdisk-*) keep ;;
        tmpfs-*) fill "$S/system/below" ;;
        con-*) compose "$S/system/below" ;;
        ro-*)
            find_source
            target=$base$path
            [ "$from" != none ] || { failed "$path" 'neither a level nor the image has it'; return; }
            ;;
    esac
    [ "$attach" = bind ] || return 0
    case $storage in
        ro) binds=$binds$target$TAB$path$TAB$kind${TAB}bind,ro$NL ;;
        *) binds=$binds$target$TAB$path$TAB$kind${TAB}bind$NL ;;
    esac
}

next_depth() {
    finish
    finish_depth
    collected=0
    above_lost=$lost above_plain=$NL$all_plain
    lost=$NL all_plain=''
    depth=$level
}

while IFS=$TAB read -r number place; do
    eval "level_$number=\$place"
    level_numbers=$level_numbers$number$NL
done < "$S/system/levels"
[ ! -s "$S/system/nodisk" ] || read -r no_disk < "$S/system/nodisk"

: > "$W/results"
depth=0 collected=0 all_plain=''
start_slice
plan=$(cat "$S/system/plan")
IFS=$NL
for line in $plan; do
    IFS=$TAB$NL
    set -- "$line" && eval "set -- \$1"
    case $1 in
        entry) ;;
        copy)
            copied=$copied$2$NL
            continue
            ;;
        bridge)
            # A relative link out of a linked directory goes on leading where it led in the image.
            links=$links$2$TAB$2$NL
            continue
            ;;
        *) continue ;;
    esac
    path=$2 kind=$3 storage=$4 parent=$7 place=$8 attach=$9
    shift 9
    level=$1
    if [ "$level" != "$depth" ]; then
        next_depth
    elif [ "$collected" = "$SLICE" ]; then
        finish
        collected=0
    fi
    collected=$((collected + 1))
    from=- how=- target=$S/$place
    case $parent in
        -) top_entry ;;
        *)
            # What is bound already is seen at the entry's own path.
            case $attach-$place in inline-system/*) target=$path ;; esac
            case $above_lost in
                *"$NL$parent$NL"*) skipped ;;
                *) child_entry ;;
            esac
            ;;
    esac
    [ "$kind-$storage-$from" != d-tmpfs-default ] || plain=$plain$path$NL
    results=$results$path${TAB}done$TAB$from$TAB$how$NL
    case $collected in *00 | *25 | *50 | *75) gather ;; esac
done
finish
finish_depth
remove_new
close_overlays
