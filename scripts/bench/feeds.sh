#!/usr/bin/env bash
# Measures what each REDIS_FEED costs, on this machine, as instances and users grow, and writes the tables of
# docs/scaling.md:
#   scripts/bench/feeds.sh            all, about 7 minutes
#   scripts/bench/feeds.sh --short    small numbers, half a minute: whether it works
#   scripts/bench/feeds.sh --from docs/bench/feeds.json   measures nothing: writes the tables again
# and any other flag of `roostbench feeds`: --instances 1,16 --rounds 1 --subscribers 0
# All reports go to bin/bench/feeds/feeds.json (BENCH_OUT); with the page, to docs/bench/feeds.json too, if all was
# measured. It needs Go and redis-server 7. Nothing else should run meanwhile.
set -euo pipefail
cd "$(dirname "$0")/../.."

out=${BENCH_OUT:-bin/bench/feeds}
mkdir -p "$out"
go build -o bin/bench/ ./cmd/roost
go build -C scripts/bench -o ../../bin/bench/ ./roostbench

case " $* " in
  *' --from'*) exec bin/bench/roostbench feeds "$@" --page docs/scaling.md ;;
esac
command -v redis-server >/dev/null || { echo 'redis-server is missing (scripts/deps.sh installs it)' >&2; exit 1; }

# commit says what is measured, with a + where it was changed since; nothing outside of a git clone.
commit() {
  git rev-parse --short=12 HEAD 2>/dev/null | tr -d '\n' || return 0
  git diff --quiet HEAD -- '*.go' go.mod go.sum 2>/dev/null || printf '+'
}

page=()
[ $# -gt 0 ] || page=(--page docs/scaling.md)
bin/bench/roostbench feeds --program bin/bench/roost --commit "$(commit)" --logs "$out/feeds" --json "$out/feeds.json" "${page[@]}" "$@"
[ $# -gt 0 ] || cp "$out/feeds.json" docs/bench/feeds.json
