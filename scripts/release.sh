#!/usr/bin/env bash
# Builds Ambit for every platform into dist/, with checksums. Equal sources give equal bytes.
set -euo pipefail
cd "$(dirname "$0")/.."

version=${VERSION:?}
rm -rf dist
mkdir -p dist
for platform in linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64; do
  os=${platform%/*} arch=${platform#*/} suffix=
  [ "$os" = windows ] && suffix=.exe
  out=dist/ambit_${version}_${os}_${arch}$suffix
  echo "$out"
  CGO_ENABLED=0 GOOS=$os GOARCH=$arch go build -trimpath -buildvcs=false -ldflags "${LDFLAGS:?}" -o "$out" ./cmd/ambit
done
cd dist
sha256sum ambit_* > SHA256SUMS
