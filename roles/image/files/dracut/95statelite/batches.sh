#!/bin/sh
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# What entries.sh has collected, done for many entries by few processes. Lists are lines, their fields separated by a TAB.
# When a process fails its work is done again one by one, to know which entry failed and why. Sourced by entries.sh.

# What is collected of a slice of entries:
results=''           # PATH done SOURCE MESSAGE
old_files=''         # what must go before something else can stand there
new_directories=''
created=''           # KIND PLACE PATH: empty ones
insides=''           # SOURCE PLACE PATH APART: copies into a directory that stands already
news=''              # COPY PLACE PATH: first content of the state or the disk
pieces=''            # PATH PLACE FILE...: what is appended
# and of links and mounts, see attach.sh and overlays.sh.
LISTS="results${NL}old_files${NL}new_directories${NL}created${NL}insides${NL}news${NL}pieces${NL}links${NL}binds${NL}points${NL}on_the_way${NL}like$NL"

# The entry that is looked at: entries.sh sets them.
path='' parent='' storage='' target='' from='' base='' level_numbers=''
failures=$NL        # PATH STATUS MESSAGE, of this depth
new_places=''       # where directories are made that are renamed into the state or the disk
perl=$(command -v perl) || perl=''

with() { # $1 name of a list, a command follows: it is run with what the list holds as its further arguments
    with_list=$1
    shift
    eval "\"\$@\" \$$with_list"
}

start_slice() {
    copy_lists=$NL      # AREA SOURCE TOGETHER NUMBER of the list: names to be copied together
    copy_count=0 copy_key=''
    moves=$NL           # OWN MISSING: directories to be renamed into the state or the disk, and where they are made
    new_parent='' appended=0
    for list in $LISTS; do
        eval "$list='' all_$list=''"
    done
}

gather() { # a shell copies a list whenever it extends it: entries extend short ones, and these the long ones
    for list in $LISTS; do
        eval "[ -z \"\$$list\" ] || all_$list=\$all_$list\$$list $list=''"
    done
    all_plain=$all_plain$plain plain=''
    number=0
    while [ "$number" -lt "$copy_count" ]; do
        number=$((number + 1))
        eval "all_copies_$number=\$all_copies_$number\$copies_$number copies_$number=''"
    done
}

finish() { # carries out what was collected and writes the results
    gather
    for list in $LISTS; do
        eval "$list=\$all_$list"
    done
    remove_old
    make_copies
    move_new
    make_directories
    make_created
    copy_inside
    append_pieces
    make_points
    make_links
    note_binds
    printf '%s' "$results" >> "$W/results"
    start_slice
}

finish_depth() { # what is mounted, for all slices at once: each `mount` reads what is mounted already
    make_binds
    [ "$failures" = "$NL" ] || mark_failures
    failures=$NL
}

flatten() { # $1 text -> $flat, without TABs and ends of lines
    eval "set -- \$1"
    IFS=' '
    flat=$*
    IFS=$TAB$NL
}

failed() { # $1 path, $2 message
    flatten "$2"
    failures=$failures$1${TAB}failed$TAB$flat$NL
    lost=$lost$1$NL
}

skipped() {
    failures="$failures$path${TAB}skipped${TAB}its parent $parent failed$NL"
    lost=$lost$path$NL
}

has_failed() { # $1 path
    case $failures in
        "$NL") return 1 ;;
        *"$NL$1$TAB"*) return 0 ;;
    esac
    return 1
}

mark_failures() { # in the results, which say so far that everything was done
    while IFS=$TAB read -r result_path result_status result_source result_message; do
        case $failures in
            *"$NL$result_path$TAB"*)
                told=${failures#*"$NL$result_path$TAB"}
                told=${told%%"$NL"*}
                result_status=${told%%"$TAB"*} result_message=${told#*"$TAB"}
                ;;
        esac
        printf '%s\t%s\t%s\t%s\n' "$result_path" "$result_status" "$result_source" "$result_message"
    done < "$W/results" > "$W/marked"
    mv "$W/marked" "$W/results"
}

remove_old() {
    [ -z "$old_files" ] || with old_files rm -rf --
}

make_directories() {
    # What can't be made is told by what needs it.
    [ -z "$new_directories" ] || with new_directories mkdir -p -- 2> /dev/null || :
}

make_created() {
    set -- "$created" && eval "set -- \$1"
    while [ $# -gt 0 ]; do
        if [ "$1" = d ]; then
            [ -d "$2" ] || trouble=$(mkdir -p -- "$2" 2>&1) || failed "$3" "$trouble"
        elif ! true 2> /dev/null >> "$2"; then
            trouble=$(mkdir -p -- "${2%/*}" 2>&1 && true 2>&1 >> "$2") || failed "$3" "$trouble"
        fi
        shift 3
    done
}

copy_link() { # a link that leads nowhere stays the link it is
    trouble=$(mkdir -p -- "${target%/*}" 2>&1 && cp -aTf -- "$base$path" "$target" 2>&1) || failed "$path" "$trouble"
}

add_copy() { # $1 area, $2 source number or default, $3 path, $4 apart when its hard links must not stay: AREA/path becomes a copy of it
    key=$1$TAB$2$TAB${4:-together}
    if [ "$key" != "$copy_key" ]; then
        copy_key=$key
        case $copy_lists in
            *"$NL$key$TAB"*)
                copy_list=${copy_lists##*"$NL$key$TAB"}
                copy_list=${copy_list%%"$NL"*}
                ;;
            *)
                copy_count=$((copy_count + 1)) copy_list=$copy_count
                copy_lists=$copy_lists$key$TAB$copy_list$NL
                eval "copies_$copy_list='' all_copies_$copy_list=''"
                ;;
        esac
    fi
    eval "copies_$copy_list=\$copies_$copy_list\${3#/}\$NL"
}

make_copies() { # one cp for all entries of one area and source; it gives its attributes to a directory on the way that it makes
    for wave in default $level_numbers; do
        set -- "$copy_lists" && eval "set -- \$1"
        while [ $# -gt 0 ]; do
            if [ "$2" = "$wave" ]; then
                base=/.default
                [ "$2" = default ] || eval "base=\$level_$2"
                copy_names "$@"
            fi
            shift 4
        done
    done
}

copy_names() { # $1 area, $3 apart or together, $4 number of the list, base
    [ -d "$1" ] || mkdir -p -- "$1"
    case $3 in apart) apart=--no-preserve=links ;; *) apart='' ;; esac
    names=''
    eval "names=\$all_copies_$4"
    cd "$base" || return
    with names cp -aH ${apart:+"$apart"} --parents -t "$1" -- || for name in $names; do
        trouble=$(cp -aH --parents -t "$1" -- "$name" 2>&1) || not_copied "$1" "$name"
    done
    cd "$S" || return
}

not_copied() { # $1 area, $2 name: half of it is nobody's content
    failed "/$2" "$trouble"
    case $1 in
        */.statelite-new) rm -rf -- "${1:?}/$2" ;;
        "$S/tmpfs")
            [ ! -f "$1/$2" ] || rm -f -- "$1/$2"
            # In place of a linked one the image's own is seen, which can't be written.
            if [ ! -e "$1/$2" ] && [ -e "/.default/$2" ]; then ln -s -- "/.default/$2" "$1/$2" || :; fi
            ;;
        *) [ ! -f "$1/$2" ] || rm -f -- "$1/$2" ;;
    esac
}

keep_one() { # first content of a place in a directory that stands already: to a temporary name beside it, then one rename
    # In the same directory: handles of an NFS server that checks subtrees end when a file changes its directory.
    new=${target%/*}/.statelite-new
    if [ -e "$new" ] || [ -L "$new" ]; then rm -rf -- "$new"; fi
    if { [ -d "${target%/*}" ] || trouble=$(mkdir -p -- "${target%/*}" 2>&1); } && copy_one "$base$path" "$new" && written "$new" \
        && trouble=$(mv -T -- "$new" "$target" 2>&1); then
        return 0
    fi
    failed "$path" "$trouble"
    rm -rf -- "$new" # what is full must not stay full of it
}

copy_one() { # $1 source, $2 target: a copy of what the source leads to; a link that leads nowhere stays the link it is
    if [ -e "$1" ]; then
        trouble=$(cp -aHT -- "$1" "$2" 2>&1)
    else
        trouble=$(cp -aT -- "$1" "$2" 2>&1)
    fi
}

written() { # $1 copy: a local file system keeps a new name before the content, and a power cut would leave it empty for ever
    [ "$storage" != localdisk ] || trouble=$(sync -f -- "${1%/*}" 2>&1)
}

add_new() { # first content of a place whose directory is missing too: that directory is made aside, with all its content, and renamed
    if [ "${target%/*}" != "$new_parent" ]; then
        new_parent=${target%/*}
        missing=$new_parent
        while [ ! -e "${missing%/*}" ]; do missing=${missing%/*}; done
    fi
    own=${target%"$path"}
    if [ ! -d "${missing%/*}" ] || [ -L "$missing" ] || [ ! -e "$base$path" ]; then
        keep_one
        return
    fi
    new=$own/.statelite-new
    case $new_places in
        *"$new$NL"*) ;;
        *)
            new_places=$new_places$new$NL
            # What a boot that was cut off left behind.
            if [ -e "$new" ] || [ -L "$new" ]; then rm -rf -- "$new"; fi
            ;;
    esac
    case $moves in *"$NL$new$TAB$missing$NL"*) ;; *) moves=$moves$new$TAB$missing$NL ;; esac
    add_copy "$new" "$from" "$path"
    news=$news$new$path$TAB$target$TAB$path$NL
}

move_new() { # directories in which nothing stood before, with everything in them
    [ -n "$news" ] || return 0
    for new in $new_places; do
        case $new in "$S/localdisk/"*) sync -f -- "$new" || : ;; esac
    done
    set -- "$moves" && eval "set -- \$1"
    together='' into=''
    while [ $# -gt 0 ]; do
        [ -z "$together" ] || [ "${2%/*}" = "$into" ] || move_together
        own=${1%/.statelite-new} into=${2%/*}
        [ ! -e "$1${2#"$own"}" ] || together=$together$1${2#"$own"}$NL
        shift 2
    done
    [ -z "$together" ] || move_together
    set -- "$news" && eval "set -- \$1"
    while [ $# -gt 0 ]; do
        if ! has_failed "$3" && [ ! -e "$2" ] && [ ! -L "$2" ]; then
            # Something stands there by now after all.
            trouble=$(mkdir -p -- "${2%/*}" 2>&1 && mv -T -- "$1" "$2" 2>&1) || failed "$3" "$trouble"
        fi
        shift 3
    done
}

remove_new() {
    [ -z "$new_places" ] || with new_places rm -rf --
}

move_together() {
    with together mv -t "$into" -- || :
    together=''
}

add_inside() { # $1 source, $2 yes when hard links must not stay with each other
    new_directories=$new_directories${target%/*}$NL
    insides=$insides$1$TAB$target$TAB$path$TAB${2:-no}$NL
}

copy_inside() { # copies into directories that stand and keep their attributes, those of one directory together
    set -- "$insides" && eval "set -- \$1"
    sources='' group='' apart=''
    while [ $# -gt 0 ]; do
        [ -z "$sources" ] || [ "${2%/*}" = "$into" ] || copy_group
        into=${2%/*}
        sources=$sources$1$NL
        group=$group$1$TAB$2$TAB$3$NL
        [ "$4" = no ] || apart=yes
        shift 4
    done
    [ -z "$sources" ] || copy_group
}

copy_group() {
    if ! trouble=$(with sources cp -aH ${apart:+--no-preserve=links} -t "$into" -- 2>&1); then
        set -- "$group" && eval "set -- \$1"
        while [ $# -gt 0 ]; do
            trouble=$(mkdir -p -- "${2%/*}" 2>&1 && cp -aHT -- "$1" "$2" 2>&1) || failed "$3" "$trouble"
            shift 3
        done
    fi
    sources='' group='' apart=''
}

append_pieces() {
    [ -n "$pieces" ] || return 0
    if [ "$appended" -gt 3 ] && [ -n "$perl" ]; then
        printf '%s' "$pieces" > "$W/pieces"
        # What it leaves out is done the slow way, which tells why it can't be done.
        left=$("$perl" "$S/system/pieces.pl" < "$W/pieces")
        ended=$?
        case $ended in
            0) pieces=$left ;;
            126 | 127) ;;
            *)
                lose_pieces "perl ended with $ended"
                return
                ;;
        esac
    fi
    IFS=$NL
    for piece in $pieces; do
        IFS=$TAB$NL
        set -- "$piece" && eval "set -- \$1"
        append "$@"
    done
    IFS=$TAB$NL
}

lose_pieces() { # $1 why: nobody knows which of them have got their pieces
    IFS=$NL
    for piece in $pieces; do
        failed "${piece%%"$TAB"*}" "its pieces could not be joined: $1"
        IFS=$NL
    done
    IFS=$TAB$NL
}

append() { # $1 path, $2 place, files follow
    added_path=$1 added_place=$2
    shift 2
    has_failed "$added_path" || trouble=$(cat -- "$@" 2>&1 >> "$added_place") || failed "$added_path" "$trouble"
}
