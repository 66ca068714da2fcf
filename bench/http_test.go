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
