#!/usr/bin/env bash
# Runs all that must hold before a change lands: the checks, the tests of packages
# on one processor (where goroutines only alternate), all tests with the race
# detector. It says what it does meanwhile, and at the end what was skipped and how
# to run again what failed. In CI (CI=true) results of earlier runs do not count, and
# up to three tests that failed run again, alone and five times each: those that pass
# are named as flaky in the last lines, and do not fail the run.
#
#   scripts/test.sh           all of it, a quarter of an hour on two cores; the first time it builds for some minutes more
#   scripts/test.sh quick     what half a minute shows, for the time between two changes: no race detector, no end to end
set -euo pipefail
cd "$(dirname "$0")/.."

what=${1:-all}
case $what in
all | quick) ;;
*)
  printf 'scripts/test.sh: "%s": want quick, or nothing for all tests\n' "$what" >&2
  exit 2
  ;;
esac

say() { printf '\n== %s (%d:%02d)\n' "$1" $((SECONDS / 60)) $((SECONDS % 60)); }

# Packages that start the program, and wait for it, end with these.
end_to_end='/internal/(e2e/.*|faults|front|soak|systemd)$'

# A package that hangs says where, in good time, and one that goes on does so on a busy machine too. scripts/check.sh has run vet,
# and no debugger looks into the tests' programs, which are linked in two thirds of the time so.
flags=(-timeout 20m -vet=off -ldflags=-w)
export GORACE=atexit_sleep_ms=10 # in place of a second for each package
report_flags=()
if [ "${CI:-}" = true ]; then
  flags+=(-count=1)
  report_flags=(--packages-last --retry 5)
fi

# tests runs go test in a directory, shown by scripts/testreport: tests DIRECTORY FLAGS… PACKAGES… Its status says whether all is
# well: that of go test, too, but for tests that passed when they ran again, of which go test knows nothing.
report=$PWD/bin/testreport
tests() {
  local dir=$1 again='go test' status=(0 0)
  shift
  if [[ " $* " == *' -race '* ]]; then again+=' -race'; fi
  if [ "$dir" != . ]; then again="cd $dir && $again"; fi
  (cd "$dir" && go test -json "${flags[@]}" "$@" 2>&1) | "$report" --again "$again" "${report_flags[@]}" || status=("${PIPESTATUS[@]}")
  [ "${status[1]}" = 3 ] || return $((status[0] | status[1]))
}

if [ "$what" = all ]; then
  say '1 of 4: what the tests use in addition to Go'
  scripts/deps.sh
  if [ "${CI:-}" = true ]; then # elsewhere by hand: it fetches 300 MB
    scripts/client-deps.sh || echo 'going on without what npm has: tests of client/ will be skipped' >&2
  fi
fi
go build -o "$report" ./scripts/testreport
# Those that take longest begin first.
mapfile -t longest < <(go list ./redisfeed ./netpoll)
mapfile -t inside < <(printf '%s\n' "${longest[@]}"; go list ./... | grep -Ev "$end_to_end" | grep -vxF "$(printf '%s\n' "${longest[@]}")")

if [ "$what" = quick ]; then
  say 'gofmt and vet'
  scripts/check.sh quick
  say 'quick tests'
  tests . -short -parallel 8 "${inside[@]}"
  say 'the program, in short'
  tests . -short -parallel 8 -run '^Test(DeliversToEveryConnectionOfTheUserAlone|Shutdown|DrainOfFew|TwoInstances|HandshakesThatAreFine|Reload\w*|UpgradeReadsTheFile)$' \
    ./cmd/roost/internal/e2e/{connect,deliver,lifecycle}
  say 'all is well; make test runs the rest'
  exit 0
fi

say '2 of 4: gofmt, vet, staticcheck, shellcheck'
scripts/check.sh

say '3 of 4: quick tests on one processor; beside them the load generator with the race detector'
# The load generator's tests run the server as a program: their results are never taken from earlier runs. They are shown
# when the others have ended.
beside=$PWD/bin/test-bench.log
tests scripts/bench -race -count=1 ./... >"$beside" 2>&1 &
bench=$!
trap wait EXIT # nothing goes on when this script has ended
# Many tests at a time, since most of them wait; but one processor. Tests that start the program have it run on two anyway.
GOMAXPROCS=1 tests . -short -p "$(nproc)" -parallel 16 "${inside[@]}"
GOMAXPROCS=1 tests scripts/bench -short -p "$(nproc)" -parallel 4 ./...
tests . -run '^TestHugePayload' ./cmd/roost/internal/e2e/deliver # whose memory is judged without the race detector
tests . -run '^TestEveryLengthWithCryptoTLS$' ./netpoll/internal/tlsrecord # all lengths, not every 89th
tests . -run '^TestWorstCase' ./cmd/roost/internal/soak # likewise
tests . -run '^TestHandoverWithinMemory' ./cmd/roost/internal/systemd # likewise
benched=0
wait "$bench" || benched=$?
cat "$beside"
[ "$benched" = 0 ] || exit "$benched"

say '4 of 4: all tests, with the race detector'
# Those that take longest begin first. Left out are tests of one goroutine, or two that take turns, that go through thousands of
# cases: they ran in step 3, and the race detector, which makes them ten times slower, has next to nothing to find there.
one_goroutine='^Test(EveryLengthWithCryptoTLS|RingGoesOn|RingModel|ScreenFits|TamperedHello|WaitingBroadcastsMemory)$'
# One package more at a time than there are processors, since most tests wait.
tests . -race -p $(($(nproc) + 1)) -parallel 4 -skip "$one_goroutine" ./cmd/roost/internal/{systemd,e2e/{connect,browsers,deliver,lifecycle,admin,redis,docs,commands}} "${inside[@]}" ./...
say 'all is well'
