package decide

import (
	"cmp"
	"reflect"
	"time"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/model"
)

// Past bounds what is kept of each environment's past, for the changes of answers. Whichever bound is met first counts, and
// the oldest goes first. Zero fields mean the defaults.
type Past struct {
	Revisions int           // default 1,000
	Age       time.Duration // since a revision was followed by the next; default 10 minutes
	// Bytes is an estimate of what is held for the past alone; default 64 MiB. Snapshots share what did not change.
	Bytes int
}

func (p Past) withDefaults() Past {
	return Past{Revisions: cmp.Or(p.Revisions, 1000), Age: cmp.Or(p.Age, 10*time.Minute), Bytes: cmp.Or(p.Bytes, 64<<20)}
}

// moment is a state with the time in which it answered.
type moment struct {
	state *state
	from  time.Time
	to    time.Time // zero = it still does
	bytes int       // that no later state shares; of a state that is past
	// vague: another state had the same revision, as when what belongs to a revision does not compile. An answer at that
	// revision may come from either.
	vague bool
}

// answeredAt reports whether the state can have answered at an instant, which now is not before.
func (m *moment) answeredAt(at, now time.Time) bool {
	from, to := m.from.Add(-slack), now
	if !m.to.IsZero() && m.to.Add(slack).Before(to) {
		to = m.to.Add(slack)
	}
	return !at.Before(from) && !at.After(to.Add(time.Second))
}

// past is what an environment was, oldest first; the last one is what it is. It is not safe for concurrent use.
type past struct {
	bounds  Past
	moments []moment
	bytes   int
}

// add makes st what the environment is.
func (p *past) add(st *state, now time.Time) {
	if st.snapshot == nil {
		p.moments, p.bytes = nil, 0
		return
	}
	next := moment{state: st, from: now}
	if n := len(p.moments); n > 0 {
		last := &p.moments[n-1]
		if last.state.snapshot.Revision() == st.snapshot.Revision() {
			if last.state.alike(st) { // as when an environment gets another name
				last.state = st
				return
			}
			last.vague, next.vague = true, true
		}
		last.to = now
		last.bytes = last.state.snapshot.Beyond(st.snapshot)
		p.bytes += last.bytes
	}
	p.moments = append(p.moments, next)
	p.forget(now)
}

// alike reports whether two states answer the same, as far as they answer at all.
func (st *state) alike(other *state) bool {
	return engine.NewStep(st.snapshot, other.snapshot, nil).Empty() && reflect.DeepEqual(st.scopes, other.scopes) &&
		reflect.DeepEqual(st.matchers, other.matchers) && reflect.DeepEqual(st.jwt, other.jwt)
}

// forget drops what is beyond the bounds, but never what the environment is.
func (p *past) forget(now time.Time) {
	drop := 0
	for n := len(p.moments) - 1; drop < n; drop++ {
		m := &p.moments[drop]
		if n-drop <= p.bounds.Revisions && p.bytes <= p.bounds.Bytes && now.Sub(m.to) <= p.bounds.Age {
			break
		}
		p.bytes -= m.bytes
	}
	clear(p.moments[:drop]) // the array lets go of them
	p.moments = p.moments[drop:]
}

// find gives the moment of a revision, as long as it is held and there is no doubt about it.
func (p *past) find(revision model.Revision, now time.Time) (moment, bool) {
	p.forget(now)
	for i := len(p.moments) - 1; i >= 0; i-- {
		if m := p.moments[i]; m.state.snapshot.Revision() == revision {
			return m, !m.vague
		}
	}
	return moment{}, false
}

// moment gives what the environment was at a revision.
func (e *environment) moment(revision model.Revision, now time.Time) (moment, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.past.find(revision, now)
}

// forget lets go of what all environments have held for long enough, even where nothing happens any more.
func (d *Directory) forget() {
	now := d.options.Clock()
	for _, e := range d.routes.Load().environments {
		e.mu.Lock()
		e.past.forget(now)
		e.mu.Unlock()
	}
}

// PastBytes estimates what is held for the past of all environments.
func (d *Directory) PastBytes() int {
	n := 0
	for _, e := range d.routes.Load().environments {
		e.mu.Lock()
		n += e.past.bytes
		e.mu.Unlock()
	}
	return n
}
