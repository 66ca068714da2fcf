package bench

import (
	"context"
	"testing"

	"github.com/ambit-authz/ambit/bench/peers"
	"github.com/ambit-authz/ambit/bench/workload"
)

// same fails unless a peer's answer is the wanted one.
func same(b *testing.B, want, got peers.Answer, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
	if d := want.Differs(got); d != "" {
		b.Fatal(d)
	}
}

// BenchmarkPeers asks W1 of every peer. The slow ones answer once for each time they are asked; -benchtime 1x is enough.
func BenchmarkPeers(b *testing.B) {
	ctx := context.Background()
	w := workload.W1()
	want := peers.NewPlain(w).Answer()
	for name, form := range map[string]peers.Form{"opa-obvious": peers.Obvious, "opa-best": peers.Best} {
		b.Run(name, func(b *testing.B) {
			o, err := peers.NewOPA(ctx, w, form)
			if err != nil {
				b.Fatal(err)
			}
			got, err := o.Answer(ctx)
			same(b, want, got, err)
			for b.Loop() {
				if _, err := o.Eval(ctx); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	cedar, err := peers.NewCedar(w)
	if err != nil {
		b.Fatal(err)
	}
	inBatch, byLoop, err := cedar.Answers(ctx)
	same(b, want, inBatch, err)
	same(b, want, byLoop, err)
	b.Run("cedar-batch", func(b *testing.B) {
		for b.Loop() {
			if err := cedar.Batch(ctx, func(string, string) {}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("cedar-loop", func(b *testing.B) {
		for b.Loop() {
			cedar.Loop(func(string, string) {})
		}
	})
	b.Run("casbin", func(b *testing.B) {
		c, err := peers.NewCasbin(w)
		if err != nil {
			b.Fatal(err)
		}
		var got peers.Answer
		for b.Loop() {
			got, err = c.Answer()
		}
		same(b, want, got, err)
	})
}
