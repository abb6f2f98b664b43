#!/usr/bin/env bash
# Runs make test again and again, as CI does, and says which tests fail once in many times. Each run is one of a fresh
# clone of HEAD; several at a time keep the processors busy for one another.
#
#   scripts/repeat.sh RUNS [AT A TIME, 1] [DIRECTORY of the clones and logs, a new one]
set -euo pipefail
cd "$(dirname "$0")/.."

count='^[1-9][0-9]*$'
[[ ${1:-} =~ $count && ${2:-1} =~ $count ]] || {
  echo 'scripts/repeat.sh: want how many runs, and how many of them at a time: scripts/repeat.sh 20 4' >&2
  exit 2
}
runs=$1 together=${2:-1}
dir=$(realpath "${3:-$(mktemp -d)}")
mkdir -p "$dir"
echo 1 >"$dir/next"
: >"$dir/results"
printf '%d runs of %s, %d at a time; logs are in %s\n' "$runs" "$(git log -1 --format='%h, %s')" "$together" "$dir"

# take gives out the numbers of the runs, one after the other.
take() {
  local number
  flock 9
  number=$(<"$dir/next")
  echo $((number + 1)) >"$dir/next"
  echo "$number"
} 9>"$dir/lock"

# run runs make test in a clone, and says how it ended. A test that passes when it runs again is not excused here.
run() {
  local number=$1 clone=$2 log=$dir/$1.log begun=$SECONDS outcome=passed
  CI=true make -C "$clone" test >"$log" 2>&1 || outcome=failed
  if grep -q '^flaky: ' "$log"; then outcome=failed; fi
  printf 'run %d %s after %d s\n' "$number" "$outcome" $((SECONDS - begun)) | tee -a "$dir/results"
  if [ "$outcome" = failed ]; then
    echo "  see $log"
    failures "$log"
  fi
}

# failures lists the tests that failed in a run.
failures() { sed -nE 's/^ *(--- FAIL|flaky): ([^ ]+).*/  \2/p' "$@" | sort -u; }

for slot in $(seq "$together"); do
  rm -rf "$dir/clone-$slot"
  git clone -q . "$dir/clone-$slot"
  while number=$(take) && [ "$number" -le "$runs" ]; do run "$number" "$dir/clone-$slot"; done &
done
wait

passed=$(grep -c ' passed ' "$dir/results" || true)
printf '%d of %d runs passed\n' "$passed" "$runs"
[ "$passed" = "$runs" ]
