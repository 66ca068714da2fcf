package peers_test

import (
	"testing"

	"github.com/ambit-authz/ambit/bench/peers"
	"github.com/ambit-authz/ambit/bench/workload"
)

// small is W1 with fewer assets, so that the slow peers answer within a second.
func small() *workload.World {
	return workload.New(workload.Parameters{Name: "small", Seed: 7, Types: 1, PerType: 600, Groups: 5, Shape: workload.Broad})
}

// TestPeersAgree compares the answers of all engines with the plain loop's.
func TestPeersAgree(t *testing.T) {
	w := small()
	want := peers.NewPlain(w).Answer()
	if len(want) < 100 || len(want) > 300 {
		t.Fatalf("%d of 600 assets are in the answer", len(want))
	}
	check := func(name string, got peers.Answer, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if d := want.Differs(got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	ambit, err := peers.NewAmbit(w)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ambit.Answer(w)
	check("ambit", got, err)
	for name, form := range map[string]peers.Form{"opa obvious": peers.Obvious, "opa best": peers.Best} {
		o, err := peers.NewOPA(t.Context(), w, form)
		if err != nil {
			t.Fatal(err)
		}
		got, err = o.Answer(t.Context())
		check(name, got, err)
	}
	cedar, err := peers.NewCedar(w)
	if err != nil {
		t.Fatal(err)
	}
	inBatch, byLoop, err := cedar.Answers(t.Context())
	check("cedar batch", inBatch, err)
	check("cedar loop", byLoop, err)
	casbin, err := peers.NewCasbin(w)
	if err != nil {
		t.Fatal(err)
	}
	got, err = casbin.Answer()
	check("casbin", got, err)
}

// TestDiffers sees to it that the comparison can fail.
func TestDiffers(t *testing.T) {
	a := peers.Answer{{Path: "x", Actions: 1}, {Path: "y", Actions: 3}}
	for _, b := range []peers.Answer{{{Path: "x", Actions: 1}}, {{Path: "x", Actions: 1}, {Path: "y", Actions: 2}}, {}} {
		if a.Differs(b) == "" {
			t.Errorf("%v and %v are called equal", a, b)
		}
	}
	if d := a.Differs(a); d != "" {
		t.Error(d)
	}
}
