#!/usr/bin/env bash
# Measures Roost beside two other servers on this machine, in turn, and prints
# medians and ratios: scripts/bench/run.sh [--short] [--rounds N] [more flags of `roostbench suite`]
# Reports, logs and summary.json go to bin/bench/out (BENCH_OUT). It needs Go and redis-server. Without --short it
# takes about half an hour, with it about six minutes; nothing else should run meanwhile.
set -euo pipefail
cd "$(dirname "$0")/../.."

out=${BENCH_OUT:-bin/bench/out}
command -v redis-server >/dev/null || { echo 'redis-server is missing (scripts/deps.sh installs it)' >&2; exit 1; }

echo 'building' >&2
mkdir -p bin/bench
go build -o bin/bench/ ./cmd/roost ./cmd/roostbench
(cd scripts/bench/peers && go build -o ../../../bin/bench/ ./gorilla ./nbio)

exec bin/bench/roostbench suite --out "$out" \
  --server roost=bin/bench/roost --server gorilla=bin/bench/gorilla --server nbio=bin/bench/nbio "$@"
