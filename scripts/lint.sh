#!/usr/bin/env bash
# Formatting, static analysis and known vulnerabilities. Tools are pinned and installed into $TOOLS by Go itself.
#
# AMBIT_VULNDB gives a snapshot of the Go vulnerability database (a directory, or a .tar.gz of one) so that the check
# needs no network; without it the online database is asked.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=${TOOLS:-$PWD/.tools}
golangci=v2.12.2
gofumpt=v0.12.0
govulncheck=v1.8.0

# need NAME MODULE VERSION installs a tool unless that very version is there.
need() {
  local stamp=$tools/.$1-$3
  [ -x "$tools/$1" ] && [ -e "$stamp" ] && return
  echo "installing $1 $3"
  GOBIN=$tools GOFLAGS=-mod=mod go install "$2@$3"
  touch "$stamp"
}

mkdir -p "$tools"
tools=$(cd "$tools" && pwd)
need gofumpt mvdan.cc/gofumpt "$gofumpt"
need golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint "$golangci"
need govulncheck golang.org/x/vuln/cmd/govulncheck "$govulncheck"

echo "gofumpt"
unformatted=$(git ls-files -z '*.go' | xargs -0 -r "$tools/gofumpt" -l)
if [ -n "$unformatted" ]; then
  echo "not formatted (run gofumpt -w on them):" >&2
  echo "$unformatted" >&2
  exit 1
fi

echo "go directive"
awk '$1 == "go" { split($2, v, "."); if (v[1] > 1 || v[2] > 26) { print "go.mod asks for go " $2 ", the limit is 1.26" > "/dev/stderr"; exit 1 } }' go.mod

echo "golangci-lint"
"$tools/golangci-lint" run ./...
(cd bench && "$tools/golangci-lint" run ./...)

echo "govulncheck"
db=()
if [ -n "${AMBIT_VULNDB:-}" ]; then
  path=$AMBIT_VULNDB
  [ -e "$path" ] || { echo "AMBIT_VULNDB: $path does not exist" >&2; exit 1; }
  if [ -f "$path" ]; then
    unpacked=$(mktemp -d)
    trap 'rm -rf "$unpacked"' EXIT
    tar -xzf "$path" -C "$unpacked"
    path=$unpacked
  fi
  index=$(find "$path" -path '*/index/db.json' -print -quit)
  [ -n "$index" ] || { echo "AMBIT_VULNDB: no index/db.json in $AMBIT_VULNDB" >&2; exit 1; }
  db=(-db "file://$(cd "$(dirname "$index")/.." && pwd)")
else
  echo "asking the online database; set AMBIT_VULNDB to a snapshot to work offline"
fi
"$tools/govulncheck" "${db[@]}" ./...
