#!/usr/bin/env bash
# Runs every fuzz target of scripts/fuzz.txt for FUZZTIME, two at a time. A listed target that does not exist fails, and
# so does a target of the code that is not listed.
set -euo pipefail
cd "$(dirname "$0")/.."

export FUZZTIME=${FUZZTIME:-20s}
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
  if go test -run '^$' -fuzz "^$2\$" -fuzztime "$FUZZTIME" -parallel 1 "./$1" > "$log" 2>&1 && ! grep -q 'no fuzz tests' "$log"; then
    echo "ok   $1 $2: $(grep -oE 'execs: [0-9]+' "$log" | tail -n 1)"
  else
    echo "FAIL $1 $2" >&2
    cat "$log" >&2
    return 1
  fi
}
export -f run

grep -v '^#' "$list" | awk 'NF' | xargs -P 2 -L 1 bash -c 'run "$@"' fuzz
