package manage

import (
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/ambit-authz/ambit/internal/model"
)

// maxGuessers is how many sources of failed logins are told apart in a minute.
const maxGuessers = 1_000

// failedLogins bounds the audit events of failed logins: whoever guesses, with as many client ids and addresses as there
// are, each source has two events a minute at most. The first failure is recorded at once, the others by their number
// when the minute is over; so many sources later, all others count as one.
type failedLogins struct {
	record func(model.ChangeEvent)

	mu      sync.Mutex
	began   time.Time // of the minute; zero = none
	sources map[guesser]*guesses
	timer   *time.Timer
}

// guesser is where failed logins come from. The client is "" when it is not known.
type guesser struct {
	env    model.EnvironmentID
	client model.ClientID
	source string
}

type guesses struct {
	more int // since the first one
	last model.ChangeEvent
}

// sourceOf is an IPv4 address or the network of an IPv6 address, of which one customer has 2^64.
func sourceOf(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil || ip.Unmap().Is4() {
		return address
	}
	network, _ := ip.WithZone("").Prefix(64) // never fails for an IPv6 address
	return network.String()
}

// otherSources stands in ClientIP for those that are not told apart.
const otherSources = "other addresses"

func (f *failedLogins) add(e model.ChangeEvent) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.began.IsZero() && e.Time.Sub(f.began) >= failureWindow {
		f.end()
	}
	if f.began.IsZero() {
		f.began, f.sources = e.Time, map[guesser]*guesses{}
		f.timer = time.AfterFunc(failureWindow, f.flush)
	}
	key := guesser{e.EnvironmentID, e.ClientID, sourceOf(e.ClientIP)}
	known := f.sources[key]
	if known == nil && len(f.sources) >= maxGuessers {
		key = guesser{env: e.EnvironmentID, source: otherSources}
		other := (&client{}).subject()
		other.Time, other.Action, other.EnvironmentID, other.ClientIP = e.Time, e.Action, key.env, otherSources
		e, known = other, f.sources[key]
	}
	if known == nil {
		f.sources[key] = &guesses{last: e}
		e.ID = uuid.NewString()
		f.record(e)
		return
	}
	known.more++
	known.last = e
}

// flush ends the minute.
func (f *failedLogins) flush() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.began.IsZero() {
		f.end()
	}
}

func (f *failedLogins) end() {
	f.timer.Stop()
	for key, g := range f.sources {
		if g.more > 0 {
			e := g.last
			e.ID = uuid.NewString()
			e.ClientIP, e.After = key.source, `{"failures":`+strconv.Itoa(g.more)+`}`
			f.record(e)
		}
	}
	f.began, f.sources = time.Time{}, nil
}
