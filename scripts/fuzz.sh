#!/usr/bin/env bash
# Runs every fuzz target of scripts/fuzz.txt, two at a time, for its number of executions times FUZZFACTOR. Numbers, not
# seconds: a fuzzing worker that is cut by the clock may report the cut as a failure of the target (go.dev/issue/75804).
# Shrinking an interesting input is held to a few tries, it would take whole minutes of the run otherwise. A listed
# target that does not exist fails, and so does a target of the code that is not listed.
set -euo pipefail
cd "$(dirname "$0")/.."

export FUZZFACTOR=${FUZZFACTOR:-1}
list=scripts/fuzz.txt

declared=$(git grep -hoE '^func Fuzz[A-Za-z0-9_]+' -- '*_test.go' | sed 's/^func //' | sort)
listed=$(grep -v '^#' "$list" | awk 'NF { print $2 }' | sort)
if ! difference=$(diff <(echo "$listed") <(echo "$declared")); then
  echo "fuzz targets listed in $list (<) and declared in the code (>) differ:" >&2
  echo "$difference" >&2
  exit 1
fi

run() {
  local log
  log=$(mktemp)
  if timeout "$((300 * FUZZFACTOR))" go test -run '^$' -fuzz "^$2\$" -fuzztime "$(($3 * FUZZFACTOR))x" -fuzzminimizetime 20x -parallel 1 "./$1" > "$log" 2>&1 && ! grep -q 'no fuzz tests' "$log"; then
    echo "ok   $1 $2: $(grep -oE 'execs: [0-9]+' "$log" | tail -n 1)"
  else
    echo "FAIL $1 $2" >&2
    cat "$log" >&2
    return 1
  fi
}
export -f run

grep -v '^#' "$list" | awk 'NF' | xargs -P 2 -L 1 bash -c 'run "$@"' fuzz
