#!/usr/bin/env bash
# Breaks every rule of RFC 6455 and does all harm that clients can, to Roost and to two other servers in turn, over
# sockets; docs/abuse.md says what came of it. About 25 seconds each.
#   scripts/bench/abuse.sh         all three
#   scripts/bench/abuse.sh roost   only Roost
# All verdicts go to bin/bench/abuse/LABEL.txt and LABEL.json, what was not kept is printed. The exit status is Roost's.
# It needs Go and redis-server.
set -euo pipefail
cd "$(dirname "$0")/../.."

command -v redis-server >/dev/null || { echo 'redis-server is missing (scripts/deps.sh installs it)' >&2; exit 1; }
servers=("$@")
[ $# -gt 0 ] || servers=(roost gorilla nbio)

out=bin/bench/abuse
mkdir -p "$out"
go build -o bin/bench/ ./cmd/roost
go build -C scripts/bench -o ../../bin/bench/ ./roostbench ./peers/gorilla ./peers/nbio

status=0
for server in "${servers[@]}"; do
  failed=0
  bin/bench/roostbench abuse --program "bin/bench/$server" --label "$server" --json "$out/$server.json" \
    --logs "$out/$server" >"$out/$server.txt" || failed=$?
  grep -v '^ok ' "$out/$server.txt" || true
  [ "$server" != roost ] || status=$failed
done
exit "$status"
