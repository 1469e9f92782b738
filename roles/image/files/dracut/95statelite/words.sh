#!/bin/sh
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# The kernel's words, messages, clock and the named stop points. Sourced by agent.sh.

LOG=/run/statelite/statelite.log

say() { # a line for the console, the kernel log and the log
    printf '%s\n' "$*" >> "$LOG"
    printf 'statelite: %s\n' "$*" >> "$CONSOLE" 2> /dev/null || :
    [ ! -w /dev/kmsg ] || printf '<29>statelite: %s\n' "$*" > /dev/kmsg 2> /dev/null || :
}

note() { # a line for the log alone
    printf '%s\n' "$*" >> "$LOG"
}

read_words() { # sets the variables below from /proc/cmdline
    XCAT='' NODE='' STATEMNT='' MNTOPTS='' IMAGE='' GENERATION='' LEVELS='' MACHINE_ID='' DISK='' ROOT_WORD='' STOPS='' DEBUG='' PROVE='' ONCE='' LIMIT=14400
    tr ' ' '\n' < /proc/cmdline > "$RUN/words"
    while read -r word; do
        case $word in
            XCAT=*) XCAT=${word#*=} ;;
            NODE=*) NODE=${word#*=} ;;
            STATEMNT=*) STATEMNT=${word#*=} ;;
            MNTOPTS=*) MNTOPTS=${word#*=} ;;
            statelite.image=*) IMAGE=${word#*=} ;;
            statelite.generation=*) GENERATION=${word#*=} ;;
            statelite.levels=*) LEVELS=${word#*=} ;;
            statelite.machine-id=*) MACHINE_ID=${word#*=} ;;
            statelite.disk=*,*) DISK=${word#*=} ;;
            statelite.once=[0-9a-f]*) case ${word#*=} in *[!0-9a-f]*) ;; *) ONCE=${word#*=} ;; esac ;;
            root=nfs:* | root=nfs4:*) ROOT_WORD=${word#root=nfs*:} ;;
            NFSROOT=*) ROOT_WORD=${word#*=} ;;
            statelite.limit=[1-9]*) case ${word#*=} in *[!0-9]*) ;; *) LIMIT=${word#*=} ;; esac ;;
            shell) STOPS=yes ;;
            statelite.debug | statelite.debug=1) DEBUG=yes ;;
            statelite.prove | statelite.prove=1) PROVE=yes ;;
        esac
    done < "$RUN/words"
    case $XCAT in
        '['*) HOST=${XCAT%%]*} PORT=${XCAT##*]} HOST=${HOST#?} PORT=${PORT#:} ;;
        *) HOST=${XCAT%:*} PORT=${XCAT##*:} ;;
    esac
    [ "$HOST" != "$PORT" ] || PORT=''
    PORT=${PORT:-3001}
    export HOST PORT NODE IMAGE GENERATION LEVELS MACHINE_ID DISK STOPS DEBUG PROVE ONCE LIMIT
    state_place
}

state_place() { # STATEMNT=[SERVER:]DIRECTORY -> STATE_SERVER (the root's own when it names none) and STATE_DIRECTORY; empty without the word
    STATE_SERVER='' STATE_DIRECTORY='' STATE_OPTIONS=vers=4.2,hard${MNTOPTS:+,$MNTOPTS}
    export STATE_SERVER STATE_DIRECTORY STATE_OPTIONS
    case $STATEMNT in
        '') return 0 ;;
        /*) STATE_SERVER=${ROOT_WORD%%:/*} STATE_DIRECTORY=$STATEMNT ;;
        *:/*) STATE_SERVER=${STATEMNT%%:/*} STATE_DIRECTORY=/${STATEMNT#*:/} ;;
    esac
    STATE_SERVER=${STATE_SERVER#'['} STATE_SERVER=${STATE_SERVER%']'}
}

set_clock() { # never behind the day the initramfs was made: else every certificate is "not yet valid"
    [ -r /etc/statelite/build-time ] || return 0
    read -r built < /etc/statelite/build-time
    now=$(date +%s)
    if [ "$now" -lt "$built" ]; then
        if date -s "@$built" > /dev/null 2>&1; then
            say "the clock was behind; set to the day the initramfs was made ($built)"
        else
            say "the clock is behind ($now) and can't be set"
        fi
    fi
}

stop_point() { # $1 name: a shell on the console when the kernel word `shell` is given; leaving it goes on
    [ -n "$STOPS" ] || return 0
    say "stopped at '$1' (kernel word shell); leave the shell to go on"
    setsid -c sh -c "exec sh -i < $CONSOLE > $CONSOLE 2>&1" || :
}
