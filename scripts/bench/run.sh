#!/usr/bin/env bash
# Measures Roost beside other servers on this machine, in turn, and writes docs/benchmarks.md with its pictures:
#   scripts/bench/run.sh           all steps, about 45 minutes, 50 at most (make bench)
#   scripts/bench/run.sh --full    100,000 and 200,000 connections too, 10 minutes more (make bench-full)
#   scripts/bench/run.sh --short   what matters most, about 4 minutes
#   scripts/bench/run.sh --keep --tls   Roost with TLS beside Roost without, HAProxy and nginx in front, and Centrifugo, 50 minutes
#   scripts/bench/run.sh --keep --resume   Roost with WS_RESUME_WINDOW beside Roost without, 7 minutes
#   scripts/bench/run.sh --keep --upgrade   replacing the program, with the connections handed over and drained, 8 minutes
#   scripts/bench/run.sh --plan    only says what it would do, and for how long
#   scripts/bench/run.sh --keep --step burst --step burst-far   measures only these steps, 12 minutes, and keeps all else
#                                  that docs/benchmarks.md has
#   scripts/bench/run.sh --keep --tls --of 'roost TLS' --step tls-idle-15k --step tls-talk --step tls-churn
#                                  measures only this server in these steps: memory with TLS, 11 minutes
# and any other flag of `roostbench suite`: --step deliver-10k --rounds 1 --perf
# Reports, logs and summary.json go to bin/bench/out (BENCH_OUT). The page goes to docs if all was measured, otherwise to
# bin/bench/docs (BENCH_DOCS). It needs Go and redis-server, and for --tls HAProxy and nginx. Nothing else should run meanwhile;
# if something does, BENCH_NOTE='while other programs ran' says so beside the figures.
set -euo pipefail
cd "$(dirname "$0")/../.."

out=${BENCH_OUT:-bin/bench/out}
docs=${BENCH_DOCS:-}
limit=47m # and the rest of the 50 minutes for building
bench=(--go-bench .)
keep=()
if [ "${1:-}" = --keep ]; then
  shift
  [ $# -gt 0 ] || { echo '--keep: which steps? --keep --step burst' >&2; exit 2; }
  keep=(-keep) bench=() docs=${docs:-docs}
fi
case "$*" in
  '') docs=${docs:-docs} ;;
  --full) docs=${docs:-docs} limit=60m ;;
  --tls) docs=${docs:-bin/bench/docs} limit=60m ;;
  *) docs=${docs:-bin/bench/docs} ;;
esac

command -v redis-server >/dev/null || { echo 'redis-server is missing (scripts/deps.sh installs it)' >&2; exit 1; }

# commit says what is measured, with a + where it was changed since; nothing outside of a git clone.
commit() {
  git rev-parse --short=12 HEAD 2>/dev/null | tr -d '\n' || return 0
  git diff --quiet HEAD -- '*.go' go.mod go.sum 2>/dev/null || printf '+'
}

echo 'building' >&2
mkdir -p bin/bench
go build -o bin/bench/ ./cmd/roost
go build -C scripts/bench -o ../../bin/bench/ ./roostbench ./report ./peers/gorilla ./peers/nbio ./peers/gnet ./peers/floor ./peers/front

peer=(--server centrifugo=scripts/bench/peers/centrifugo/serve --dialect centrifugo=centrifugo
  --only 'centrifugo=idle,connect,deliver-10k,deliver-max,deliver-few,burst*')
peer+=(--server 'centrifugo TLS=scripts/bench/peers/centrifugo/serve' --dialect 'centrifugo TLS=centrifugo' --secure 'centrifugo TLS'
  --only 'centrifugo TLS=tls-idle-15k,tls-connect,tls-resume,tls-deliver-10k,tls-storm')
scripts/bench/centrifugo.sh || { echo 'going on without Centrifugo' >&2; peer=(); }
for proxy in haproxy nginx; do
  command -v "$proxy" >/dev/null || { echo "going on without $proxy" >&2; continue; }
  scale=,tls-scale
  [ "$proxy" = haproxy ] || scale=
  peer+=(--server "$proxy=bin/bench/front" --env "$proxy=FRONT=$proxy" --secure "$proxy" --only "$proxy=tls-idle-15k,tls-connect,tls-resume,tls-deliver-10k,tls-storm$scale")
done

# Each takes part where its figures are used, for time's sake.
suite=(bin/bench/roostbench suite --out "$out" --limit "$limit" --commit "$(commit)" "${bench[@]}"
  --server roost=bin/bench/roost --only 'roost=[^t]*,tls-connect,tls-deliver-10k,tls-storm'
  --server gorilla=bin/bench/gorilla --only 'gorilla=idle*,connect,storm,deliver-*,burst*,calls-*'
  --server nbio=bin/bench/nbio --only 'nbio=idle,connect,storm,deliver-10k,deliver-max,burst*'
  --server gnet=bin/bench/gnet --only 'gnet=idle,connect,storm,deliver-10k,deliver-max,deliver-few,burst*,calls-*'
  "${peer[@]}"
  --server 'roost TLS=bin/bench/roost' --secure 'roost TLS' --only 'roost TLS=tls-*'
  --server 'roost resume=bin/bench/roost' --env 'roost resume=WS_RESUME_WINDOW=2m' --only 'roost resume=resume-*'
  --server handover=bin/bench/roost --env handover=WS_UPGRADE=handover --only 'handover=upgrade'
  --server drain=bin/bench/roost --env drain=WS_UPGRADE=drain --only 'drain=upgrade'
  --server floor=bin/bench/floor --only 'floor=connect,deliver-10k,deliver-max,calls-*'
  --server 'roost 1ms=bin/bench/roost' --env 'roost 1ms=WS_FLUSH_WINDOW=1ms'
  --only 'roost 1ms=deliver-*k,deliver-max,deliver-absent,deliver-bursts,calls-*')

case " $* " in
  *' --plan '*) exec "${suite[@]}" "$@" ;;
esac
rm -f "$out/summary.json"
status=0
"${suite[@]}" "$@" || status=$? # what could be measured is shown all the same
mkdir -p "$docs"
bin/bench/report -summary "$out/summary.json" -docs "$docs" -note "${BENCH_NOTE:-}" "${keep[@]}"
echo "$docs/benchmarks.md is written" >&2
exit "$status"
