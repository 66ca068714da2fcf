module github.com/ambit-authz/ambit/bench

go 1.26.0

require github.com/ambit-authz/ambit v0.0.0

require (
	github.com/RoaringBitmap/roaring/v2 v2.30.0 // indirect
	github.com/bits-and-blooms/bitset v1.24.4 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

replace github.com/ambit-authz/ambit => ../
