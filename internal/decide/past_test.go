package decide

import (
	"fmt"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/model"
)

// TestPast: PM-34: what is held is bounded by number, age and bytes; what the environment is is held always; a revision that
// two different states had is held by neither.
func TestPast(t *testing.T) {
	start := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	snapshot, err := engine.New(engine.Configuration{Environment: "e", Enabled: true})
	if err != nil {
		t.Fatal(err)
	}
	at := func(revision model.Revision, scopes ...model.ClientID) *state {
		s, err := snapshot.Next(engine.Delta{Revision: revision})
		if err != nil {
			t.Fatal(err)
		}
		st := &state{snapshot: s, enabled: true, scopes: map[model.ClientID]*model.Scope{}}
		for _, id := range scopes {
			st.scopes[id] = &model.Scope{ClientID: id}
		}
		return st
	}
	held := func(p *past, now time.Time) string {
		out := ""
		for revision := range model.Revision(8) {
			if m, ok := p.find(revision, now); ok {
				out += fmt.Sprint(revision)
				if m.from.After(now) || !m.to.IsZero() && m.to.Before(m.from) {
					t.Errorf("revision %d was from %s to %s", revision, m.from, m.to)
				}
			}
		}
		return out
	}
	after := func(n int) time.Time { return start.Add(time.Duration(n) * time.Minute) }
	for _, tt := range []struct {
		name   string
		bounds Past
		later  int // minutes after the fifth revision
		want   string
	}{
		{"defaults", Past{}, 0, "12345"},
		{"number", Past{Revisions: 2}, 0, "345"},
		{"age", Past{Age: 2 * time.Minute}, 0, "2345"},
		{"age later", Past{Age: 2 * time.Minute}, 60, "5"},
		{"bytes", Past{Bytes: 10 << 10}, 0, "345"},
		{"no bytes", Past{Bytes: 1}, 0, "5"},
	} {
		p := past{bounds: tt.bounds.withDefaults()}
		for n := range 5 {
			p.add(at(model.Revision(n+1)), after(n))
		}
		if got := held(&p, after(4+tt.later)); got != tt.want {
			t.Errorf("%s: %s is held, want %s", tt.name, got, tt.want)
		}
		if p.bytes != 0 && len(p.moments) == 1 || p.bytes > p.bounds.Bytes {
			t.Errorf("%s: %d bytes of %d moments", tt.name, p.bytes, len(p.moments))
		}
	}
	p := past{bounds: Past{}.withDefaults()}
	p.add(at(1, "a"), after(0))
	p.add(at(2, "a"), after(1))
	p.add(at(2, "a"), after(2)) // nothing that an answer shows
	if got := held(&p, after(2)); got != "12" || len(p.moments) != 2 {
		t.Errorf("%s is held in %d moments", got, len(p.moments))
	}
	p.add(at(2, "a", "b"), after(3))
	p.add(at(3, "a", "b"), after(4))
	if got := held(&p, after(4)); got != "13" {
		t.Errorf("%s is held: an answer at revision 2 may be of either state", got)
	}
	if p.add(&state{}, after(5)); held(&p, after(5)) != "" || p.bytes != 0 {
		t.Error("an environment that is gone is held")
	}
}
