#!/bin/sh
# What a site has for power: switches NODE, which reports (or tells that it failed) in SPOOL, or does neither.
# power.sh SPOOL NODE ACTION
set -eu
echo "$2 $3" >> "$1/switched"
# Nodes of service nodes report there
case $2 in
s1 | u2) spool=$1-sn1 ;;
s2) spool=$1-sn2 ;;
*) spool=$1 ;;
esac
case $2 in
b1 | b2 | b3 | s1 | s2 | u2) printf '{"received": %s, "node": "%s", "report": {"image": "compute", "entries": [], "levels": []}}\n' "$(date +%s)" "$2" > "$spool/$2.json" ;;
f1) printf '{"received": %s, "node": "f1", "attempts": 2, "stage": "levels", "message": "10.0.0.9:/x is away"}\n' "$(date +%s)" > "$1/f1.failure.json" ;;
p1) echo 'no BMC of p1 is known.' >&2; exit 1 ;;
esac
