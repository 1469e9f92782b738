#!/bin/sh
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# The boot report: what every entry became, kept on the node and sent to the service. Sourced by agent.sh.

count_results() { # sets DONE, FAILED and BROKEN (required entries that failed)
    DONE=$(grep -c "^[^$TAB]*${TAB}done$TAB" "$S/system/results")
    FAILED=$(grep -c "^[^$TAB]*${TAB}failed$TAB" "$S/system/results")
    BROKEN=''
    export DONE FAILED BROKEN
    [ "$FAILED" != 0 ] || return 0
    while IFS=$TAB read -r path status _ message; do
        [ "$status" = failed ] || continue
        say "entry $path: $message"
        ! grep -F "entry$TAB$path$TAB" "$PLAN" | grep -q "^entry${TAB}[^$TAB]*${TAB}[^$TAB]*${TAB}[^$TAB]*${TAB}[^$TAB]*${TAB}required$TAB" || BROKEN="$BROKEN $path"
    done < "$S/system/results"
}

json_text() { # stdin: text -> the inside of a JSON string (names have no control characters)
    sed 's/[\\"]/\\&/g'
}

disk_result() { # the report's words on the local disk, when the plan has one
    [ ! -s "$S/system/disk" ] || json_text < "$S/system/disk" | sed "
        s/^\\([^$TAB]*\\)$TAB\\([^$TAB]*\\)$TAB\\([^$TAB]*\\)$TAB\\(.*\\)\$/\"disk\": {\"status\": \"\\1\", \"device\": \"\\2\", \"label\": \"\\3\", \"message\": \"\\4\"},/"
}

write_report() { # /.statelite/report.json
    read -r uptime _ < /proc/uptime
    {
        printf '{"format": 1, "node": "%s", "image": "%s", "generation": "%s", "plan": "%s", "time": %s, "uptime": %s,\n' \
            "$NODE" "$IMAGE" "$GENERATION" "$ORIGIN" "$(date +%s)" "$uptime"
        printf '"done": %s, "failed": %s,\n' "$DONE" "$FAILED"
        disk_result
        printf '"levels": ['
        json_text < "$S/system/levels.report" | sed "
            s/^\\([^$TAB]*\\)$TAB\\([^$TAB]*\\)$TAB\\([^$TAB]*\\)$TAB\\(.*\\)\$/{\"level\": \\1, \"status\": \"\\2\", \"source\": \"\\3\", \"message\": \"\\4\"}/
            \$!s/\$/,/"
        printf '],\n"entries": [\n'
        json_text < "$S/system/results" | sed "
            s/^\\([^$TAB]*\\)$TAB\\([^$TAB]*\\)$TAB\\([^$TAB]*\\)$TAB\\(.*\\)\$/{\"path\": \"\\1\", \"status\": \"\\2\", \"source\": \"\\3\", \"message\": \"\\4\"}/
            \$!s/\$/,/"
        printf ']}\n'
    } > "$S/report.json"
}

send_report() { # the report goes as one argument; a service that does not answer is no reason to wait
    {
        printf '<xcatrequest>\n<command>bootreport</command>\n<arg>'
        sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g' "$S/report.json"
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
