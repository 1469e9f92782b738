#!/bin/sh
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# The statelite agent: from a mounted root image to a root this node can live in, just before switch_root.
# Exit status: 0 the root is ready; 3 the boot failed and was reported, start the node again.
# docs/boot-plan.md says what it does, in which order, and how long it waits for whom.

set -u
here=${0%/*}
NEWROOT=${NEWROOT:-/sysroot}
CONSOLE=${STATELITE_CONSOLE:-/dev/console}
RUN=/run/statelite
S=$NEWROOT/.statelite
PLAN=$RUN/plan
TAB=$(printf '\t')
CA=/etc/statelite/ca.pem
export CONSOLE RUN S PLAN TAB CA

for part in words service mounts localdisk identity lease report; do
    # shellcheck source=/dev/null  # the parts beside this file
    . "$here/$part.sh"
done

give_up() { # $1 stage, $2 message: tell the site, wait as many failures deserve, then the node starts again
    say "boot failed at $1: $2"
    report_failure "$1" "$2"
    pause=$((ATTEMPTS * ATTEMPTS * 10))
    [ "$pause" -le "$LONGEST_WAIT" ] || pause=$LONGEST_WAIT
    say "attempt $ATTEMPTS failed; starting again in $pause s"
    sleep "$pause"
    exit 3
}

until_done() { # $1 stage, the command follows: retried in place, every failure reported, waits doubling up to ten minutes
    stage=$1 wait=5
    shift
    until "$@"; do
        report_failure "$stage" "${TROUBLE:-$stage failed}"
        say "$stage: again in $wait s"
        sleep "$wait"
        wait=$((wait * 2))
        [ "$wait" -le "$LONGEST_WAIT" ] || wait=$LONGEST_WAIT
    done
}

plan_basics() { # tmpfs size, node name and image of the plan; state; local disk
    while IFS=$TAB read -r kind a b c d _; do
        case $kind in
            node) NODE=$a ;;
            image) IMAGE=$a GENERATION=$b ;;
            machine-id) export OWN_ID="$a" ;;
            disk) mount_disk "$a" "$b" "$c" "$d" ;;
            tmpfs) size_statelite "$a" "$b" "$c" || say "/.statelite keeps its default size ($a, $b, $c refused)" ;;
            stands) note "$a leads to $b, which the node mounts for itself" ;;
            note) say "$a" ;;
            levelwait) wait_for_levels "$a" ;;
            state)
                if [ "$d" = required ]; then
                    until_done state mount_state "$a" "$b" "$c"
                else
                    mount_state "$a" "$b" "$c" || :
                fi
                ;;
        esac
    done < "$PLAN"
}

carry_out() { # the entries of the plan
    cp "$PLAN" "$S/system/plan" && cp "$here/entries.sh" "$here/batches.sh" "$here/overlays.sh" "$here/attach.sh" "$here/pieces.pl" "$S/system" \
        || return 1
    # What the agent writes while it works lies apart: entries may fill /.statelite, and then it must still be able to say so.
    rm -rf "$RUN/work" && mkdir "$RUN/work" && mount --bind "$RUN/work" "$S/system/work" || return 1
    modprobe -q overlay 2> /dev/null || :
    in_root entries timeout -k 5 "$LIMIT"
    status=$?
    case $status in 124 | 137) say "not done after $LIMIT s: does a server of a level, or of the state, no longer answer? (statelite.limit=)" ;; esac
    umount "$S/system/work"
    cp "$RUN/work/results" "$S/system/results" || note 'no room for the results in /.statelite'
    return "$status"
}

prove() { # what the root is now, for somebody who foretold it; it takes ten minutes at most
    cp "$here/prove.sh" "$S/system" && in_root prove timeout 600 && return 0
    say 'the proof of the root is not whole'
}

in_root() { # $1 name of a script in /.statelite/system, run inside the root by the words that follow; it has /dev and /proc that long
    script=/.statelite/system/$1.sh
    shift
    lent=''
    for place in dev proc; do
        if ! mountpoint -q "$NEWROOT/$place"; then
            mount --bind "/$place" "$NEWROOT/$place" || return 1
            lent="$NEWROOT/$place $lent"
        fi
    done
    if [ -n "$DEBUG" ]; then
        "$@" chroot "$NEWROOT" /bin/sh -x "$script"
    else
        "$@" chroot "$NEWROOT" /bin/sh "$script" >> "$LOG" 2>&1
    fi
    status=$?
    for place in $lent; do
        umount "$place"
    done
    return "$status"
}

mkdir -p "$RUN"
read_words
if [ -z "${STATELITE_TRACED:-}" ]; then
    : > "$LOG"
    if [ -n "$DEBUG" ]; then
        # The trace of everything below goes to the console and the log alike.
        { STATELITE_TRACED=yes sh -x "$0" && echo 0 > "$RUN/status" || echo "$?" > "$RUN/status"; } 2>&1 | tee -a "$LOG" >> "$CONSOLE"
        read -r status < "$RUN/status"
        exit "$status"
    fi
fi
set_clock
# The image's own copy must be taken before /.statelite is covered: the whole of /etc may lead there.
[ -r "$CA" ] || { cp "$NEWROOT$CA" "$RUN/ca.pem" && CA=$RUN/ca.pem; }
stop_point plan
mount_statelite || give_up statelite "no tmpfs at /.statelite"
obtain_plan
plan_basics
view_state || give_up state "no second view of the node's state"
until_done levels mount_levels
stop_point entries
write_identity
carry_out || give_up entries "the entries could not be carried out: $(tail -n 3 "$LOG" | tr '\n\t' '  ')"
count_results
link_mounts
set_identity
keep_address
write_report
keep_plan
[ -z "$BROKEN" ] || give_up entries "required entries failed:$BROKEN"
send_report
# Nobody foretells a root without entries.
[ -z "$PROVE" ] || [ -e "$RUN/stateless" ] || prove
say "STATELITE node=$NODE image=$IMAGE generation=$GENERATION plan=$ORIGIN done=$DONE failed=$FAILED skipped=$SKIPPED"
# What is laid out is written only where its entries say, also when it is in memory.
[ ! -e "$RUN/closing" ] || mount -o remount,ro "$NEWROOT" || say 'the root in memory stays writable'
stop_point switch_root
cp "$LOG" "$S/statelite.log"
exit 0
