#!/bin/sh
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Carry the entries of the plan out: one pass, in the node's root (chroot), so that every link means what it means there.
# Reads /.statelite/system/{plan,levels}; writes work/results: path, status (done, failed, skipped), source, message.

set -u
TAB=$(printf '\t')
NL='
'
S=/.statelite
W=$S/system/work
failures=$NL    # lines PATH<TAB>STATUS<TAB>MESSAGE
not_laid=$NL    # volatile directories that could not be laid over their source after all
level_numbers=''
depth=0
# shellcheck source=/dev/null  # beside this file
. "$S/system/overlays.sh"

failed() { # $1 path, $2 message
    failures=$failures$1${TAB}failed$TAB$(printf '%s' "$2" | tr '\n\t' '  ')$NL
}

empty() { # $1 directory
    for inside in "$1"/* "$1"/.[!.]* "$1"/..?*; do
        if [ -e "$inside" ] || [ -L "$inside" ]; then return 1; fi
    done
}

find_source() { # $1 path, $2 kind; sets from (level number, default or none) and base
    for from in $level_numbers; do
        eval "base=\$level_$from"
        if [ "$2" = d ]; then
            # An empty directory in a level is only a step on the way to something: as if it were not there.
            [ ! -d "$base$1" ] || empty "$base$1" || return 0
        elif [ -e "$base$1" ] || [ -L "$base$1" ]; then
            return 0
        fi
    done
    base=/.default from=default
    [ -e "$base$1" ] || [ -L "$base$1" ] || from=none
}

copy_one() { # $1 source, $2 target: a copy of what the source leads to; a dangling link stays the link it is
    if [ -e "$1" ]; then
        trouble=$(cp -aHT -- "$1" "$2" 2>&1)
    else
        trouble=$(cp -aT -- "$1" "$2" 2>&1)
    fi
}

make_empty() { # $1 path, $2 kind
    if [ "$2" = d ]; then mkdir -p -- "$1"; else mkdir -p -- "${1%/*}" && : >> "$1"; fi
}

place_copy() { # $1 path, $2 kind, $3 target: the entry's content at its own place
    trouble=$(mkdir -p -- "${3%/*}" 2>&1) || return 1
    if [ "$from" = none ]; then
        from=created
        trouble=$(make_empty "$3" "$2" 2>&1)
    else
        copy_one "$base$1" "$3"
    fi
}

compose() { # $1 path, $2 target: the image's content, then each level's piece in priority order
    trouble=$(mkdir -p -- "${2%/*}" 2>&1) || return 1
    trouble=$(rm -f -- "$2" 2>&1)
    from=''
    if [ -e "/.default$1" ]; then
        copy_one "/.default$1" "$2" || return 1
        from=default
    fi
    for number in $level_numbers; do
        eval "base=\$level_$number"
        [ -f "$base$1" ] || continue
        if [ -e "$2" ]; then
            trouble=$(cat -- "$base$1" 2>&1 >> "$2") || return 1
        else
            copy_one "$base$1" "$2" || return 1
        fi
        from=${from:+$from+}$number
    done
    [ -n "$from" ] || { from=created && trouble=$(make_empty "$2" f 2>&1); }
}

keep_state() { # $1 path, $2 kind, $3 target: first copy under a temporary name, then one rename
    if [ "$storage" = localdisk ] && [ -n "$no_disk" ]; then
        trouble=$no_disk
        return 1
    fi
    if [ -e "$3" ] || [ -L "$3" ]; then
        from=kept
        return 0
    fi
    find_source "$1" "$2"
    new=${3%/*}/.statelite-new # not made of the name, which may be as long as a name can be
    rm -rf -- "$new"
    if place_copy "$1" "$2" "$new" && written "$new" && trouble=$(mv -T -- "$new" "$3" 2>&1); then return 0; fi
    rm -rf -- "$new" # what is full must not stay full of it
    return 1
}

written() { # $1 copy: a local file system keeps a new name before the content, and a power cut would leave it empty for ever
    [ "$storage" != localdisk ] || trouble=$(sync -f -- "${1%/*}" 2>&1)
}

mount_point() { # $1 path, $2 kind
    if [ "$2" = d ]; then
        [ -d "$1" ] || trouble=$(mkdir -p -- "$1" 2>&1)
    else
        [ -e "$1" ] || trouble=$(make_empty "$1" f 2>&1)
    fi
}

escaped() { # $1 text -> $field, as fstab(5) wants it
    field='' rest=$1
    while :; do
        case $rest in
            *[[:blank:]\\]*)
                head=${rest%%[[:blank:]\\]*}
                rest=${rest#"$head"}
                case $rest in ' '*) field="$field$head\\040" ;; *) field="$field$head\\134" ;; esac
                rest=${rest#?}
                ;;
            *) break ;;
        esac
    done
    field=$field$rest
}

bind() { # $1 source, $2 path, $3 options
    escaped "$1"
    source=$field
    escaped "$2"
    printf '%s %s none %s 0 0\n' "$source" "$field" "$3" >&5
    printf '%s\t%s\n' "$1" "$2" >&6
}

start_depth() {
    rm -f "$W"/copy.* "$W"/new.* "$W"/over.*
    exec 4> "$W/depth" 5> "$W/fstab" 6> "$W/binds" 7> "$W/links"
}

# What runs when a depth is complete has names of its own: the entry that is being read keeps its variables.
finish_depth() {
    exec 4>&- 5>&- 6>&- 7>&-
    make_overlays
    copy_lists
    make_links
    make_binds
    while IFS=$TAB read -r done_path done_from done_how; do
        case $failures in
            *"$NL$done_path$TAB"*)
                message=${failures#*"$NL$done_path$TAB"}
                message=${message%%"$NL"*}
                printf '%s\t%s\t%s\t%s\n' "$done_path" "${message%%"$TAB"*}" "$done_from" "${message#*"$TAB"}"
                ;;
            *)
                case $not_laid in *"$NL$done_path$NL"*) done_how=- ;; esac
                printf '%s\tdone\t%s\t%s\n' "$done_path" "$done_from" "$done_how"
                ;;
        esac
    done < "$W/depth" >> "$W/results"
}

copy_lists() { # one cp for all entries of one source; the culprits are looked for only when it fails
    for way in image bind; do
        area=$S/tmpfs
        [ "$way" = image ] || area=$S/system/bound
        for list in "$W/copy.$way".*; do
            [ -s "$list" ] || continue
            number=${list##*.} base=/.default
            [ "$number" = default ] || eval "base=\$level_$number"
            (cd "$base" && xargs -0 cp -aH --parents -t "$area" -- < "$list") 2> "$W/trouble" || blame_copies "$list"
        done
    done
    [ ! -s "$W/new.d" ] || (cd "$S" && xargs -0 mkdir -p -- < "$W/new.d")
    [ ! -s "$W/new.f" ] || (cd "$S" && xargs -0 touch -- < "$W/new.f")
}

blame_copies() { # $1 list whose cp failed: one by one, to know which and why
    cat "$W/trouble"
    tr '\0' '\n' < "$1" > "$W/names"
    while IFS= read -r name; do
        trouble=$(cd "$base" && cp -aH --parents -t "$area" -- "$name" 2>&1) || not_copied "$name"
    done < "$W/names"
}

not_copied() { # $1 name: half of a file is nobody's content; in place of a linked one the image's own is seen, which can't be written
    failed "/$1" "$trouble"
    [ ! -f "$area/$1" ] || rm -f -- "$area/$1"
    if [ "$area" = "$S/tmpfs" ] && [ ! -e "$area/$1" ] && [ -e "/.default/$1" ]; then ln -s -- "/.default/$1" "$area/$1" || :; fi
}

make_links() { # links of one directory together
    [ -s "$W/links" ] || return 0
    old=''
    set --
    while IFS=$TAB read -r link_text link_path; do
        directory=$S/tmpfs${link_path%/*}
        if [ "$directory" != "$old" ] || [ $# -ge 200 ]; then
            [ $# = 0 ] || link_all "$old" "$@"
            old=$directory
            set --
        fi
        set -- "$@" "$link_text"
    done < "$W/links"
    [ $# = 0 ] || link_all "$old" "$@"
}

link_all() { # $1 directory, targets follow; each link has its target's name
    into=$1
    shift
    trouble=$(mkdir -p -- "$into" 2>&1 && ln -sf -t "$into" -- "$@" 2>&1) && return 0
    for link_text in "$@"; do
        trouble=$(ln -sf -t "$into" -- "$link_text" 2>&1) || failed "${into#"$S/tmpfs"}/${link_text##*/}" "$trouble"
    done
}

make_binds() {
    [ -s "$W/fstab" ] || return 0
    mount -a -T "$W/fstab" > "$W/trouble" 2>&1 && return 0
    cat "$W/trouble"
    while IFS=$TAB read -r bind_source bind_path; do
        mountpoint -q -- "$bind_path" && continue
        trouble=$(mount --bind -- "$bind_source" "$bind_path" 2>&1) || failed "$bind_path" "$trouble"
    done < "$W/binds"
}

top_entry() { # an entry with no listed parent
    case $storage in
        tmpfs)
            find_source "$path" "$kind"
            if [ "$from" = none ]; then
                from=created
                [ "$kind" = d ] || printf '%s\0' "${place%/*}" >> "$W/new.d"
                printf '%s\0' "$place" >> "$W/new.$kind"
            elif [ "$kind" = d ] && lay_over "$from" "$base$path" "$path" "$place"; then
                how=overlay
            elif [ -e "$base$path" ]; then
                printf '%s\0' "${path#/}" >> "$W/copy.$attach.$from"
            else
                place_copy "$path" "$kind" "$target" || { failed "$path" "$trouble"; return; }
            fi
            ;;
        con) compose "$path" "$target" || { failed "$path" "$trouble"; return; } ;;
        persistent | localdisk) keep_state "$path" "$kind" "$target" || { failed "$path" "$trouble"; return; } ;;
        ro)
            find_source "$path" "$kind"
            target=$base$path
            [ "$from" != none ] || failed "$path" 'neither a level nor the image has it'
            ;;
    esac
    case $attach in
        image) [ -L "$path" ] || failed "$path" 'the image has no link here: run liteimg' ;;
        symlink)
            [ -L "$path" ] || failed "$path" 'the image has no link here: run liteimg'
            printf '%s\t%s\n' "$target" "$path" >&7
            ;;
        bind)
            case $storage-$from$place in
                ro-default-) ;; # the image's own content stands there, read-only as it is
                ro-*) bind "$target" "$path" bind,ro ;;
                *) bind "$target" "$path" bind ;;
            esac
            ;;
    esac
}

child_entry() { # an entry inside a listed directory: part of its parent's copy, or mounted over it
    case $storage-$attach in
        tmpfs-inline)
            find_source "$path" "$kind"
            # What the parent's copy brought came from the first source that has it, so it is what is wanted here.
            if [ -L "$target" ] || [ ! -e "$target" ] || { [ "$kind" = d ] && [ ! -d "$target" ]; }; then
                rm -rf -- "$target"
                place_copy "$path" "$kind" "$target" || failed "$path" "$trouble"
            fi
            return
            ;;
        con-inline) compose "$path" "$target" || failed "$path" "$trouble"; return ;;
        persistent-* | localdisk-*) keep_state "$path" "$kind" "$target" || { failed "$path" "$trouble"; return; } ;;
        tmpfs-*) find_source "$path" "$kind"; place_copy "$path" "$kind" "$target" || { failed "$path" "$trouble"; return; } ;;
        con-*) compose "$path" "$target" || { failed "$path" "$trouble"; return; } ;;
        ro-*)
            find_source "$path" "$kind"
            target=$base$path
            [ "$from" != none ] || { failed "$path" 'neither a level nor the image has it'; return; }
            ;;
    esac
    [ "$attach" = bind ] || return 0
    trouble=''
    if mount_point "$path" "$kind"; then
        case $storage in ro) bind "$target" "$path" bind,ro ;; *) bind "$target" "$path" bind ;; esac
    else
        failed "$path" "no mount point in its parent: $trouble"
    fi
}

while IFS=$TAB read -r number place; do
    eval "level_$number=\$place"
    level_numbers="$level_numbers $number"
done < "$S/system/levels"

no_disk=''
[ ! -s "$S/system/nodisk" ] || read -r no_disk < "$S/system/nodisk"

: > "$W/results"
start_depth
while IFS=$TAB read -r word path kind storage _attachment _required parent place attach level _ <&3; do
    case $word in
        entry) ;;
        copy)
            copied=$copied$path$NL
            continue
            ;;
        bridge)
            # A relative link out of a linked directory goes on leading where it led in the image.
            printf '%s\t%s\n' "$path" "$path" >&7
            continue
            ;;
        *) continue ;;
    esac
    if [ "$level" != "$depth" ]; then
        finish_depth
        depth=$level
        start_depth
    fi
    from=- how=- target=$S/$place
    case $parent in
        -) top_entry ;;
        *)
            case $failures in
                *"$NL$parent$TAB"*) failures="$failures$path${TAB}skipped${TAB}its parent $parent failed$NL" ;;
                *) child_entry ;;
            esac
            ;;
    esac
    printf '%s\t%s\t%s\n' "$path" "$from" "$how" >&4
done 3< "$S/system/plan"
finish_depth
