#!/bin/sh
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# pre-pivot hook: run the agent, on a root that is laid out or in memory; a node whose root is not ready is started again, never left in a shell.

if [ -d "$NEWROOT/.statelite" ]; then
    NEWROOT=$NEWROOT sh /usr/lib/statelite/agent.sh || {
        sync
        reboot -f
        sleep 10
        echo b > /proc/sysrq-trigger
    }
fi
