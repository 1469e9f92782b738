#!/bin/sh
# A machine of the site: machine.sh DIRECTORY NODE ACTION. It reports its boot when it was told to boot from the network, as it
# else boots its own disk; a node called dead-* reports nothing. What it was told, and when it reported, is in DIRECTORY/events.
set -eu
directory=$1 node=$2 action=$3
power=$directory/$node.power
say() { echo "$node $1" >> "$directory/events"; }
is_on() { test -e "$power"; }
boot() {
  if test -e "$directory/$node.network"; then
    rm "$directory/$node.network"
    case $node in
    dead-*) ;;
    *) (
        exec > /dev/null 2>&1
        sleep 0.3
        say reported
        printf '{"received": %s, "node": "%s", "report": {"image": "compute", "entries": [], "levels": []}}\n' "$(date +%s)" "$node" \
          > "$directory/reports/.$node"
        mv "$directory/reports/.$node" "$directory/reports/$node.json"
      ) & ;;
    esac
  fi
}
case $action in
status) ;;
network) say network && : > "$directory/$node.network" ;;
on) say on && { is_on || { : > "$power" && boot; }; } ;;
off) say off && rm -f "$power" ;;
reset) is_on || { echo "$node is off" >&2 && exit 1; } && say reset && boot ;;
esac
if is_on; then echo on; else echo off; fi
