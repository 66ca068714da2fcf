package stand_test

import (
	"bytes"
	"testing"

	"github.com/ambit-authz/ambit/bench/peers"
	"github.com/ambit-authz/ambit/bench/stand"
	"github.com/ambit-authz/ambit/bench/workload"
)

// TestContendersAnswerTheSame compares the bytes of all contenders with those of the plain loop, over HTTP.
func TestContendersAnswerTheSame(t *testing.T) {
	for _, shape := range []workload.Shape{workload.Broad, workload.Narrow} {
		w := workload.New(workload.Parameters{Name: "small", Seed: 9, Types: 2, PerType: 1_000, Groups: 3, Shape: shape, Own: 100})
		plain := peers.NewPlain(w)
		want, err := plain.JSON()
		if err != nil {
			t.Fatal(err)
		}
		s, err := stand.Open(t.Context(), t.TempDir(), w, plain)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []stand.Contender{stand.Ambit, stand.Memory, stand.Loop} {
			got, err := s.Read(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("shape %d, contender %d: %d bytes instead of %d", shape, c, len(got), len(want))
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
