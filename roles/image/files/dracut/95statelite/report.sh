#!/bin/sh
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# The boot report: what every entry became, kept on the node and sent to the service. Sourced by agent.sh.

count_results() { # sets DONE, FAILED, SKIPPED and BROKEN (required entries that failed or were skipped)
    results=$RUN/work/results
    DONE=$(grep -c "^[^$TAB]*${TAB}done$TAB" "$results")
    FAILED=$(grep -c "^[^$TAB]*${TAB}failed$TAB" "$results")
    SKIPPED=$(grep -c "^[^$TAB]*${TAB}skipped$TAB" "$results")
    BROKEN=''
    export DONE FAILED SKIPPED BROKEN
    [ "$FAILED" != 0 ] || return 0
    grep "^entry$TAB" "$PLAN" > "$RUN/planned"
    # Results are in the order of the plan.
    while IFS=$TAB read -r path status _ message && IFS=$TAB read -r _ _ _ _ _ need _ <&3; do
        [ "$status" != "done" ] || continue
        say "entry $path: $status: $message"
        [ "$need" != required ] || BROKEN="$BROKEN $path"
    done < "$results" 3< "$RUN/planned"
}

json_text() { # stdin: text -> the inside of a JSON string (names have no control characters)
    sed 's/[\\"]/\\&/g'
}

disk_result() { # the report's words on the local disk, when the plan has one
    [ ! -s "$S/system/disk" ] || json_text < "$S/system/disk" | sed "
        s/^\\([^$TAB]*\\)$TAB\\([^$TAB]*\\)$TAB\\([^$TAB]*\\)$TAB\\(.*\\)\$/\"disk\": {\"status\": \"\\1\", \"device\": \"\\2\", \"label\": \"\\3\", \"message\": \"\\4\"},/"
}

room() { # how full /.statelite is: bytes and inodes
    chroot "$NEWROOT" stat -f -c '%S %b %f %c %d' /.statelite > "$RUN/room" && read -r block blocks free inodes unused < "$RUN/room" || return 0
    printf '"room": {"size": %s, "used": %s, "inodes": %s, "inodes_used": %s},\n' $((block * blocks)) $((block * (blocks - free))) "$inodes" $((inodes - unused))
}

write_report() { # /.statelite/report.json
    read -r uptime _ < /proc/uptime
    {
        printf '{"format": 1, "node": "%s", "image": "%s", "generation": "%s", "plan": "%s", "time": %s, "uptime": %s,\n' \
            "$NODE" "$IMAGE" "$GENERATION" "$ORIGIN" "$(date +%s)" "$uptime"
        [ -z "$ONCE" ] || printf '"once": "%s",\n' "$ONCE"
        printf '"done": %s, "failed": %s, "skipped": %s,\n' "$DONE" "$FAILED" "$SKIPPED"
        room
        disk_result
        printf '"levels": ['
        json_text < "$S/system/levels.report" | sed "
            s/^\\([^$TAB]*\\)$TAB\\([^$TAB]*\\)$TAB\\([^$TAB]*\\)$TAB\\([^$TAB]*\\)$TAB\\(.*\\)\$/{\"level\": \\1, \"status\": \"\\2\", \"source\": \"\\3\", \"seconds\": \\4, \"message\": \"\\5\"}/
            \$!s/\$/,/"
        printf '],\n"entries": [\n'
        json_text < "$results" | sed "
            s/^\\([^$TAB]*\\)$TAB\\([^$TAB]*\\)$TAB\\([^$TAB]*\\)$TAB\\(.*\\)\$/{\"path\": \"\\1\", \"status\": \"\\2\", \"source\": \"\\3\", \"message\": \"\\4\"}/
            \$!s/\$/,/"
        printf ']}\n'
    } > "$RUN/report.json"
    cp "$RUN/report.json" "$S/report.json" || say 'no room for the boot report in /.statelite'
}

send_report() { # the report goes as one argument; a service that does not answer is no reason to wait
    {
        printf '<xcatrequest>\n<command>bootreport</command>\n<arg>'
        sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g' "$RUN/report.json"
        printf '</arg>\n</xcatrequest>\n'
    } > "$RUN/request"
    send_request || say "the boot report was not taken: $REFUSAL"
}

keep_plan() { # the plan that was carried out, for a boot without the service (decisions.md, The node)
    own=$S/persistent/$NODE
    if [ "$ORIGIN" != service ] || ! mountpoint -q "$own" || cmp -s "$PLAN" "$own/.statelite/plan"; then
        return 0
    fi
    { mkdir -p "$own/.statelite" && cp "$PLAN" "$own/.statelite/plan.new" && mv "$own/.statelite/plan.new" "$own/.statelite/plan"; } \
        || say 'the plan could not be kept in the state directory'
}
