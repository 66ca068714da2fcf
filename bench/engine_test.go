// Package bench measures Ambit on the workloads and beside the peers.
package bench

import (
	"bytes"
	"os"
	"runtime"
	"strconv"
	"testing"

	"github.com/ambit-authz/ambit/bench/measure"
	"github.com/ambit-authz/ambit/bench/peers"
	"github.com/ambit-authz/ambit/bench/workload"
)

func ambit(b testing.TB, w *workload.World) *peers.Ambit {
	b.Helper()
	a, err := peers.NewAmbit(w)
	if err != nil {
		b.Fatal(err)
	}
	return a
}

// checked fails unless Ambit and the plain loop give the same answer, the same bytes too.
func checked(b testing.TB, w *workload.World, a *peers.Ambit, p *peers.Plain) peers.Answer {
	b.Helper()
	got, err := a.Answer(w)
	if err != nil {
		b.Fatal(err)
	}
	want := p.Answer()
	if d := want.Differs(got); d != "" {
		b.Fatalf("plain loop and Ambit: %s", d)
	}
	text, err := p.JSON()
	if err != nil {
		b.Fatal(err)
	}
	var out []byte
	rest, err := a.AppendJSON(nil, func(buf []byte) []byte { out = append(out, buf...); return buf[:0] })
	if err != nil {
		b.Fatal(err)
	}
	if out = append(out, rest...); !bytes.Equal(out, text) {
		b.Fatalf("the answers differ as bytes: %d against %d", len(out), len(text))
	}
	return want
}

func sizes(b testing.TB) []int {
	if s := os.Getenv("AMBIT_BENCH_SIZES"); s != "" {
		var out []int
		for _, f := range bytes.Fields([]byte(s)) {
			n, err := strconv.Atoi(string(f))
			if err != nil {
				b.Fatal(err)
			}
			out = append(out, n)
		}
		return out
	}
	return []int{10_000, 100_000}
}

func benchAmbit(b *testing.B, a *peers.Ambit) {
	buf := make([]byte, 0, 68<<10)
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		n = 0
		rest, err := a.AppendJSON(buf[:0], func(x []byte) []byte { n += len(x); return x[:0] })
		if err != nil {
			b.Fatal(err)
		}
		n += len(rest)
	}
	b.SetBytes(int64(n))
}

func benchWorld(b *testing.B, w *workload.World) {
	before := measure.Heap()
	raw := 0
	a := ambit(b, w)
	after := measure.Heap()
	for t := range w.Types {
		for x := range w.Assets(t) {
			raw += x.Bytes()
		}
	}
	p := peers.NewPlain(w)
	answer := checked(b, w, a, p)
	perAsset := float64(after-before) / float64(w.PerType*w.Types)
	b.Logf("%s: %d assets, %d pairs; heap %.0f bytes/asset, raw %.0f, over %.0f", w.Name, len(answer), answer.Pairs(), perAsset,
		float64(raw)/float64(w.PerType*w.Types), perAsset-float64(raw)/float64(w.PerType*w.Types))
	b.Run("ambit", func(b *testing.B) { benchAmbit(b, a) })
	b.Run("ambit-select", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := a.Select(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("plain", func(b *testing.B) {
		for b.Loop() {
			p.List(func(string, *workload.Asset, uint8) {})
		}
	})
	b.Run("plain-json", func(b *testing.B) {
		for b.Loop() {
			if _, err := p.JSON(); err != nil {
				b.Fatal(err)
			}
		}
	})
	runtime.KeepAlive(a)
}

func BenchmarkW1(b *testing.B) { benchWorld(b, workload.W1()) }

func BenchmarkW2(b *testing.B) { benchWorld(b, workload.W2(1_000_000)) }

func BenchmarkW3(b *testing.B) { benchWorld(b, workload.W3(1_000_000)) }

func BenchmarkW5(b *testing.B) {
	for _, n := range []int{100, 1_000, 10_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) { benchWorld(b, workload.W5(n)) })
	}
}

func BenchmarkW4(b *testing.B) {
	for _, n := range sizes(b) {
		b.Run(strconv.Itoa(n), func(b *testing.B) { benchWorld(b, workload.W4(n)) })
	}
}
