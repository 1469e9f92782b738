#!/bin/sh
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Talking to the answer service: TLS verified by the site's CA, answers whole or not at all. Sourced by agent.sh.

FIRST_WAITS='2 4 8 16 30 30'
LONGEST_WAIT=600
ORIGIN=- REFUSAL='' ATTEMPTS=1
export ORIGIN REFUSAL ATTEMPTS

ask() { # $1 command, arguments follow; the answer's <data> lines go to $RUN/data; 0 answered, 1 refused (text in REFUSAL), 2 unreachable
    command=$1
    shift
    REFUSAL=''
    {
        printf '<xcatrequest>\n<command>%s</command>\n' "$command"
        for argument in "$@"; do
            printf '<arg>'
            printf '%s' "$argument" | sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g'
            printf '</arg>\n'
        done
        printf '</xcatrequest>\n'
    } > "$RUN/request"
    send_request
}

send_request() { # sends $RUN/request
    case $HOST in
        '') REFUSAL='the kernel line has no XCAT= word'; return 2 ;;
        *[!0-9.]*) case $HOST in *:*) check=-verify_ip connect="[$HOST]:$PORT" ;; *) check=-verify_hostname connect=$HOST:$PORT ;; esac ;;
        *) check=-verify_ip connect=$HOST:$PORT ;;
    esac
    timeout 30 openssl s_client -connect "$connect" -CAfile "$CA" "$check" "$HOST" -verify_return_error -quiet \
        < "$RUN/request" > "$RUN/answer" 2> "$RUN/tls" || :
    if ! grep -q '^  <serverdone></serverdone>$' "$RUN/answer"; then
        REFUSAL=$(sed -n '/error\|rror:\|refused\|unreachable/p' "$RUN/tls" | sed -n '1,2p' | tr '\n' ' ')
        REFUSAL=${REFUSAL:-no whole answer from $connect}
        return 2
    fi
    if grep -q '^  <error>' "$RUN/answer"; then
        REFUSAL=$(sed -n 's/^  <error>\(.*\)<\/error>$/\1/p' "$RUN/answer" | plain_text | tr '\n' ' ')
        return 1
    fi
    sed -n 's/^  <data>\(.*\)<\/data>$/\1/p' "$RUN/answer" | plain_text > "$RUN/data"
}

plain_text() {
    sed "s/&lt;/</g; s/&gt;/>/g; s/&quot;/\"/g; s/&#39;/'/g; s/&amp;/\\&/g"
}

whole() { # $1 file: 0 when it is a plan of our format with all its lines
    head=$(sed -n 1p "$1") last=$(sed -n '$p' "$1") lines=$(sed -n '$=' "$1")
    [ "$head" = "statelite-plan${TAB}1" ] && [ "$last" = "end${TAB}$((${lines:-1} - 1))" ]
}

for_this_image() { # $1 plan: 0 when it was made for the image and generation that this node boots
    [ -n "$IMAGE" ] || return 1
    grep -q -F -x "image${TAB}$IMAGE${TAB}${GENERATION:--}" "$1"
}

ask_for_plan() { # 0: $PLAN is the site's answer
    if [ -e "$RUN/stateless" ]; then
        ask bootplan "image=$IMAGE" "generation=$GENERATION" method=stateless
    else
        ask bootplan "image=$IMAGE" "generation=$GENERATION"
    fi
    answer=$?
    if [ "$answer" = 0 ] && whole "$RUN/data"; then
        cp "$RUN/data" "$PLAN"
        ORIGIN=service
        return 0
    fi
    [ "$answer" != 0 ] || REFUSAL='the boot plan was cut short'
    return $((answer + 1))
}

obtain_plan() { # sets $PLAN and $ORIGIN; asks, falls back only when nobody answers, else asks for ever
    wait=30
    for pause in $FIRST_WAITS 0; do
        ask_for_plan && return 0
        reached=$?
        say "boot plan: $REFUSAL"
        sleep "$pause"
    done
    while :; do
        # 3 = unreachable. An answer that refuses is the site's word: it is never overruled by an old plan.
        if [ "$reached" = 3 ] && fall_back; then
            return 0
        fi
        say "no boot plan; asking again in $wait s"
        sleep "$wait"
        wait=$((wait * 2))
        [ "$wait" -le "$LONGEST_WAIT" ] || wait=$LONGEST_WAIT
        ask_for_plan && return 0
        reached=$?
        say "boot plan: $REFUSAL"
    done
}

fall_back() { # 0: $PLAN is the plan that this node carried out last, or the image's template filled in
    if [ -z "$NODE" ]; then
        return 1
    fi
    if [ -n "$STATE_SERVER" ] && mount_state "$STATE_SERVER" "$STATE_DIRECTORY" "$STATE_OPTIONS"; then
        kept=$S/persistent/$NODE/.statelite/plan
        if [ -r "$kept" ] && whole "$kept" && for_this_image "$kept"; then
            cp "$kept" "$PLAN"
            ORIGIN=kept
            say 'the service does not answer: using the plan that this node carried out last'
            return 0
        fi
    fi
    if fill_template "$S/image/.statelite/plan.template"; then
        ORIGIN=template
        say "the service does not answer: using the image's plan template"
        return 0
    fi
    return 1
}

fill_template() { # $1 the image's template: 0 when kernel words say all that its entries need, and $PLAN is the whole plan
    if [ ! -r "$1" ]; then
        note 'the image has no plan template'
        return 1
    fi
    if grep -q "^entry$TAB" "$1" && [ "$LEVELS" != none ]; then
        say 'no plan template: entries may come from levels, which only the service knows'
        return 1
    fi
    # Persistent content without its own place would be volatile without a word.
    if grep -q "^state$TAB" "$1" && ! mountpoint -q "$S/persistent/$NODE"; then
        say "no plan template: entries are persistent and the node's state is not mounted"
        return 1
    fi
    if grep -q "^disk$TAB" "$1" && [ -z "$DISK" ]; then
        say 'no plan template: entries are on a local disk and the kernel line has no statelite.disk= word'
        return 1
    fi
    case $NODE$MACHINE_ID in *[!A-Za-z0-9._-]*) return 1 ;; esac
    if [ "${#MACHINE_ID}" != 32 ]; then
        say 'no plan template: the kernel line has no statelite.machine-id= word'
        return 1
    fi
    while IFS= read -r line; do
        case $line in
            "node${TAB}@NODE@" | "hostname${TAB}@NODE@") line=${line%%"$TAB"*}$TAB$NODE ;;
            "image$TAB"*) line=${line%"$TAB"*}$TAB${GENERATION:--} ;;
            "machine-id$TAB"*) line=machine-id$TAB$MACHINE_ID ;;
            "state$TAB"*) line=state$TAB$STATE_SERVER$TAB$STATE_DIRECTORY$TAB$STATE_OPTIONS${TAB}required ;;
            "disk$TAB"*) line=disk$TAB${DISK%%,*}$TAB${DISK#*,}$TAB${line#*"@OPTIONS@$TAB"} ;;
            "entry$TAB"*"${TAB}persistent/@NODE@/"*)
                line=${line%%"${TAB}persistent/@NODE@/"*}${TAB}persistent/$NODE/${line#*"${TAB}persistent/@NODE@/"}
                ;;
        esac
        printf '%s\n' "$line"
    done < "$1" > "$PLAN"
    whole "$PLAN"
}

report_failure() { # $1 stage, $2 message; sets $ATTEMPTS (failed boots since the last good report, as the service counts them)
    ATTEMPTS=1
    if ask bootfailure "stage=$1" "message=$2" "image=$IMAGE" "generation=$GENERATION" ${ONCE:+"once=$ONCE"} 2> /dev/null; then
        read -r ATTEMPTS < "$RUN/data" || ATTEMPTS=1
        case $ATTEMPTS in '' | *[!0-9]*) ATTEMPTS=1 ;; esac
    fi
}
