package bench

import (
	"testing"

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
