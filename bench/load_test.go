package bench

import (
	"testing"

	"github.com/ambit-authz/ambit/bench/stand"
	"github.com/ambit-authz/ambit/bench/workload"
)

// BenchmarkRestart loads W4 from the embedded store into a snapshot; it is for profiles.
func BenchmarkRestart(b *testing.B) {
	for b.Loop() {
		s, err := stand.Open(b.Context(), b.TempDir(), workload.W4(100_000), nil)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(s.Loaded.Seconds(), "s-loading")
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
