package workload_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ambit-authz/ambit/bench/peers"
	"github.com/ambit-authz/ambit/bench/workload"
)

// TestAnswers keeps the workloads at the sizes that are published.
func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		world                         *workload.World
		policies, lowAssets, topAsset int
	}{
		{workload.W1(), 50, 3_100, 3_300},
		{workload.W2(100_000), 1_000, 450, 550},
		{workload.W3(100_000), 1_000, 9_000, 11_000},
		{workload.W4(10_000), 200, 450, 550},
		{workload.W5(1_000), 1_000, 450, 550},
	} {
		answer := peers.NewExpected(c.world).Answer()
		if n := len(answer); n < c.lowAssets || n > c.topAsset {
			t.Errorf("%s answers %d assets instead of %d to %d", c.world.Name, n, c.lowAssets, c.topAsset)
		}
		if n := len(c.world.Policies); n != c.policies {
			t.Errorf("%s has %d policies instead of %d", c.world.Name, n, c.policies)
		}
	}
}

// TestFixedAnswer compares the answers of W4 at two sizes and of W5 with two numbers of policies: they must not grow.
func TestFixedAnswer(t *testing.T) {
	small, large := peers.NewExpected(workload.W4(10_000)).Answer(), peers.NewExpected(workload.W4(50_000)).Answer()
	if len(small) != len(large) || small.Pairs() != large.Pairs() {
		t.Errorf("W4: %d assets, %d pairs against %d, %d", len(small), small.Pairs(), len(large), large.Pairs())
	}
	few, many := peers.NewExpected(workload.W5(100)).Answer(), peers.NewExpected(workload.W5(1_000)).Answer()
	if d := few.Differs(many); d != "" {
		t.Errorf("W5: %s", d)
	}
}

// TestSeeded draws assets twice and with another seed.
func TestSeeded(t *testing.T) {
	p := workload.Parameters{Seed: 3, Types: 1, PerType: 50, Groups: 1}
	a, b := workload.New(p), workload.New(p)
	p.Seed++
	other := workload.New(p)
	same := 0
	for i := range 50 {
		if d := cmp.Diff(a.Asset(0, i), b.Asset(0, i)); d != "" {
			t.Fatal(d)
		}
		if cmp.Equal(a.Asset(0, i), other.Asset(0, i)) {
			same++
		}
	}
	if same > 5 {
		t.Errorf("%d of 50 assets do not depend on the seed", same)
	}
}

// TestExpectedIsPlain compares the two ways in which the plain loop keeps its assets.
func TestExpectedIsPlain(t *testing.T) {
	w := workload.New(workload.Parameters{Seed: 5, Types: 2, PerType: 500, Groups: 2, Shape: workload.Broad})
	kept, err := peers.NewExpected(w).JSON()
	if err != nil {
		t.Fatal(err)
	}
	all, err := peers.NewPlain(w).JSON()
	if err != nil {
		t.Fatal(err)
	}
	if string(kept) != string(all) {
		t.Error("the answers differ")
	}
}
