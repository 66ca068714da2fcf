package engine_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ambit-authz/ambit/internal/engine"
)

// TestUntil: PM-33, PM-34, RT-115: before Until every answer of a residual, and a user list, is what it was.
func TestUntil(t *testing.T) {
	checks(t, "AMBIT_CHECKS_UNTIL", 300)
	timed, turned, timeless := 0, 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		m := &maker{T: rt}
		w := m.world()
		s := build(rt, w, 2)
		for range 4 {
			q := m.question()
			rt.Logf("%s", scene{w, q})
			asset := m.requestAsset(pick(m, m.assetTypes()))
			read := func(at time.Time) (lines []line, decision engine.Decision, until time.Time, ok bool) {
				q := q
				q.Instant = at
				r := bind(rt, s, q)
				a, err := r.Select(engine.Selection{Policies: true})
				if err != nil {
					rt.Fatal(err)
				}
				until, ok = r.Until()
				return readList(a, true), r.Evaluate(asset, "A"), until, ok
			}
			lines, decision, until, ok := read(q.Instant)
			if !ok {
				timeless++
				until = q.Instant.AddDate(0, 0, m.number(1, 400))
			} else if timed++; !until.After(q.Instant) {
				rt.Fatalf("until %s is not behind %s", until, q.Instant)
			}
			for _, at := range []time.Time{
				until.Add(-1), q.Instant.Add(time.Duration(rapid.Int64Range(0, int64(until.Sub(q.Instant))-1).Draw(rt, "later"))),
			} {
				l, d, _, _ := read(at)
				if diff := cmp.Diff(lines, l) + cmp.Diff(decision, d); diff != "" {
					rt.Fatalf("at %s, before %s: %s", at, until, diff)
				}
			}
			if l, d, _, _ := read(until); ok && !cmp.Equal(lines, l) || !cmp.Equal(decision, d) {
				turned++
			}
			sameUsers(rt, m, s, q, asset)
		}
	})
	t.Logf("%d timed, %d of them turned, %d timeless", timed, turned, timeless)
	if timed+timeless >= 1000 && (timed == 0 || turned == 0 || timeless == 0) {
		t.Error("the test says little")
	}
}

func sameUsers(rt *rapid.T, m *maker, s *engine.Snapshot, q engine.Question, asset engine.Asset) {
	type user struct {
		Template, ID string
		Actions      engine.ActionSet
	}
	q.Identities = nil
	read := func(at time.Time) (out []user, until time.Time, ok bool) {
		q.Instant = at
		u, err := s.Users(engine.UserQuestion{Question: q, Asset: asset})
		if err != nil {
			rt.Fatal(err)
		}
		for e := range u.Entries() {
			out = append(out, user{string(e.Template()), e.EntityID(), u.ActionSets()[e.Actions]})
		}
		until, ok = u.Until()
		return out, until, ok
	}
	now := q.Instant
	users, until, ok := read(now)
	if !ok {
		until = now.AddDate(0, 0, m.number(1, 400))
	}
	if later, _, _ := read(until.Add(-1)); !cmp.Equal(users, later) {
		rt.Fatalf("before %s: %s", until, cmp.Diff(users, later))
	}
}
