package bench

import (
	"testing"

	"github.com/ambit-authz/ambit/bench/measure"
	"github.com/ambit-authz/ambit/bench/stand"
	"github.com/ambit-authz/ambit/bench/workload"
)

// BenchmarkHTTP asks Ambit over HTTP; it is for profiles. The report measures it beside its yardsticks.
func BenchmarkHTTP(b *testing.B) {
	for _, w := range []*workload.World{workload.W1(), workload.W2(100_000), workload.W3(100_000), workload.W4(100_000)} {
		b.Run(w.Name, func(b *testing.B) {
			s, err := stand.Open(b.Context(), b.TempDir(), w, nil)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if err := s.Ask(b.Context(), stand.Ambit); err != nil {
					b.Fatal(err)
				}
			}
			b.SetBytes(int64(len(s.Bytes())))
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkQuestions asks W6 and W7 over HTTP; it is for profiles.
func BenchmarkQuestions(b *testing.B) {
	w := workload.W7(100_000, 100_000)
	s, err := stand.Open(b.Context(), b.TempDir(), w, nil)
	if err != nil {
		b.Fatal(err)
	}
	path := w.Asset(0, 0).Path
	for _, q := range []struct {
		name, path string
		body       []byte
	}{
		{"W6", stand.PermitPath, stand.PermitQuestion(w, 0, path, "View")},
		{"W7", stand.UsersPath, stand.UsersQuestion(w, 0, path)},
	} {
		b.Run(q.name, func(b *testing.B) {
			if err := s.Pose(b.Context(), q.path, q.body); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := s.Ask(b.Context(), stand.Ambit); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkServer asks W6 over two connections a processor of the cheapest client, so that nearly all of it is the server's. What
// it takes of the processors says more than its time when others use them, too.
func BenchmarkServer(b *testing.B) {
	w := workload.W2(100_000)
	s, err := stand.Open(b.Context(), b.TempDir(), w, nil)
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Pose(b.Context(), stand.PermitPath, stand.PermitQuestion(w, 0, w.Asset(0, 0).Path, "View")); err != nil {
		b.Fatal(err)
	}
	for name, c := range map[string]stand.Contender{"W6": stand.Ambit, "empty": stand.Empty} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(2)
			before := measure.Processor()
			b.RunParallel(func(pb *testing.PB) {
				caller, err := s.Dial(b.Context(), c)
				if err != nil {
					b.Error(err)
					return
				}
				for pb.Next() {
					if err := caller.Ask(); err != nil {
						b.Error(err)
						return
					}
				}
				if err := caller.Close(); err != nil {
					b.Error(err)
				}
			})
			b.ReportMetric(float64((measure.Processor()-before).Nanoseconds())/float64(b.N)/1e3, "processor-µs/op")
		})
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkAgain asks what was asked before: the whole answer, the answer from the cache, the 304, and beside them what
// every authenticated call costs.
func BenchmarkAgain(b *testing.B) {
	s, err := stand.Open(b.Context(), b.TempDir(), workload.W1(), nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("%d bytes, ETag %s", len(s.Bytes()), s.Tag())
	for name, ask := range map[string]func() error{
		"whole": func() error { return s.Ask(b.Context(), stand.Ambit) },
		"kept":  func() error { return s.Ask(b.Context(), stand.Kept) },
		"304":   func() error { return s.Know(b.Context(), stand.Ambit, s.Tag()) },
		"empty": func() error { return s.Ask(b.Context(), stand.Empty) },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := ask(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}
