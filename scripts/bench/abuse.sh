#!/usr/bin/env bash
# Breaks every rule of RFC 6455, does all harm that clients can, and floods what is shared, to Roost and to other servers in
# turn, over sockets, and writes the tables of docs/abuse.md. About two minutes each; Centrifugo, whose tokens and path are
# others, is only flooded.
#   scripts/bench/abuse.sh         all of them
#   scripts/bench/abuse.sh roost   only Roost; the page stays as it is
# All verdicts go to bin/bench/abuse/LABEL.txt and LABEL.json, what was not kept is printed. The exit status is Roost's.
# It needs Go and redis-server. Nothing else should run meanwhile.
set -euo pipefail
cd "$(dirname "$0")/../.."

command -v redis-server >/dev/null || { echo 'redis-server is missing (scripts/deps.sh installs it)' >&2; exit 1; }
servers=("$@")
if [ $# -eq 0 ]; then
  servers=(roost gorilla nbio gnet)
  if scripts/bench/centrifugo.sh; then servers+=(centrifugo); else echo 'going on without Centrifugo' >&2; fi
fi

out=bin/bench/abuse
mkdir -p "$out"
go build -o bin/bench/ ./cmd/roost
go build -C scripts/bench -o ../../bin/bench/ ./roostbench ./peers/gorilla ./peers/nbio ./peers/gnet

status=0
from=()
for server in "${servers[@]}"; do
  echo "$server" >&2
  program=(--program "bin/bench/$server")
  case $server in
    roost) program+=(--jwks --everyone) ;;
    centrifugo) program=(--program scripts/bench/peers/centrifugo/serve --dialect centrifugo --only fairness) ;;
  esac
  failed=0
  bin/bench/roostbench abuse "${program[@]}" --label "$server" --json "$out/$server.json" \
    --logs "$out/$server" >"$out/$server.txt" || failed=$?
  grep -v '^ok ' "$out/$server.txt" || true
  [ "$server" != roost ] || status=$failed
  from+=(--from "$out/$server.json")
done
[ $# -gt 0 ] || bin/bench/roostbench abuse "${from[@]}" --page docs/abuse.md
exit "$status"
