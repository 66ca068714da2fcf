package manage

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// Login is a request of the client credentials grant.
type Login struct {
	ClientID  model.ClientID
	Secrets   []string // spellings of the secret to try in order: Basic is read decoded, then literally
	ClientIP  string
	RequestID string
	Runtime   bool // scopes may prove themselves too
}

// Grant is an access token and what goes with it.
type Grant struct {
	AccessToken string
	ExpiresIn   time.Duration
	Scope       string // tenant:admin, environment:admin, environment:viewer or runtime
}

// Login exchanges a credential, or with l.Runtime also a scope, for an access token (management-api.md 2.1, 2.4). An
// unknown id and a wrong secret give the same error in the same time; after ten failures in a minute for one id and
// address the error is KindTooMany.
func (s *Service) Login(ctx context.Context, l Login) (Grant, error) {
	c, err := s.identifyClient(ctx, l)
	if err != nil {
		return Grant{}, err
	}
	s.recordLogin(c.subject(), l, s.now(), true)
	if c.scope != nil {
		lifetime := c.scope.AuthZEN.Lifetime()
		text, err := s.tokens.IssueRuntime(c.scope, c.secretID, lifetime)
		return Grant{AccessToken: text, ExpiresIn: lifetime, Scope: "runtime"}, err
	}
	text, err := s.tokens.Issue(c.credential)
	return Grant{AccessToken: text, ExpiresIn: c.credential.TokenDuration, Scope: grantScope(c.credential)}, err
}

func tooManyLogins() error {
	return &model.Error{Kind: model.KindTooMany, Code: "MGT-014", Name: "TooManyRequestsError", Message: "Too many attempts"}
}

func grantScope(c *model.Credential) string {
	switch {
	case c.EnvironmentID == "":
		return "tenant:admin"
	case c.Permission == model.PermissionAdmin:
		return "environment:admin"
	}
	return "environment:viewer"
}

// recordLogin queues the audit event. The id of an unknown client is not recorded: it may be a secret in the wrong field.
func (s *Service) recordLogin(of model.ChangeEvent, l Login, now time.Time, good bool) {
	of.Time, of.ClientIP, of.RequestID = now, l.ClientIP, l.RequestID
	if !good {
		of.Action = model.EventLoginFailed
		s.failedLogins.add(of)
		return
	}
	of.ID, of.Action = uuid.NewString(), model.EventLogin
	s.logins.add(of)
}

// loginRecorder writes login events in batches: one commit holds all events that came in while the one before was being
// written, so that the rate of logins is not the rate of commits.
type loginRecorder struct {
	write func(batch []model.ChangeEvent, lost int)

	mu      sync.Mutex
	pending []model.ChangeEvent
	lost    int // since the last batch
	busy    bool
	workers sync.WaitGroup
}

// maxPendingLogins bounds the memory of events that wait for a store which does not answer.
const maxPendingLogins = 100_000

func (r *loginRecorder) add(e model.ChangeEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.pending) >= maxPendingLogins {
		r.lost++
		return
	}
	r.pending = append(r.pending, e)
	if !r.busy {
		r.busy = true
		r.workers.Go(r.drain)
	}
}

func (r *loginRecorder) drain() {
	for {
		r.mu.Lock()
		batch, lost := r.pending, r.lost
		r.pending, r.lost = nil, 0
		r.busy = len(batch) > 0
		r.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		r.write(batch, lost)
	}
}

func (r *loginRecorder) wait() { r.workers.Wait() }

func (s *Service) writeLogins(batch []model.ChangeEvent, lost int) {
	if lost > 0 {
		s.log.Error("logins could not be recorded", "count", lost, "error", "too many are waiting")
	}
	byOwner := map[model.EnvironmentID][]model.ChangeEvent{}
	for _, e := range batch {
		byOwner[e.EnvironmentID] = append(byOwner[e.EnvironmentID], e)
	}
	for env, events := range byOwner {
		// the caller may be gone; the record must be written all the same
		_, err := s.store.Update(context.Background(), store.Write{Environment: env, Time: events[len(events)-1].Time}, func(tx *store.Tx) error {
			for _, e := range events {
				e.Revision = tx.Revision
				if err := tx.Events.Append(e); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			s.log.Error("logins could not be recorded", "count", len(events), "error", err)
		}
	}
}

// Limits of failed logins (management-api.md 2.3).
const (
	failuresPerMinute = 10
	failureWindow     = time.Minute
	maxTracked        = 100_000 // pairs of client and address; beyond it the oldest windows go first
)

// failures counts failed logins for each client and address in fixed windows of a minute.
type failures struct {
	mu     sync.Mutex
	counts map[failureKey]failureCount
}

type failureKey struct {
	client  model.ClientID
	address string
}

// maxTrackedID cuts what a guesser can make the counts hold; no client id is longer.
const maxTrackedID = 128

func failureOf(client model.ClientID, address string) failureKey {
	return failureKey{client[:min(len(client), maxTrackedID)], address}
}

type failureCount struct {
	start time.Time
	n     int
}

func (f *failures) allow(client model.ClientID, address string, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.counts[failureOf(client, address)]
	return c.n < failuresPerMinute || !c.covers(now)
}

// settle counts the outcome of a check that allow let pass. It reports false, and counts nothing, when so many others
// failed since that the answer must not be given: guesses sent at once get no more answers than guesses in a row.
func (f *failures) settle(client model.ClientID, address string, now time.Time, good bool) bool {
	if !f.allow(client, address, now) {
		return false
	}
	return good || f.add(client, address, now)
}

func (f *failures) add(client model.ClientID, address string, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.counts == nil || len(f.counts) >= maxTracked {
		f.sweep(now)
	}
	key := failureOf(client, address)
	c := f.counts[key]
	if !c.covers(now) {
		c = failureCount{start: now}
	}
	if c.n >= failuresPerMinute {
		return false
	}
	c.n++
	f.counts[key] = c
	return true
}

// sweep drops ended windows, and everything when few have ended: memory and work stay bounded whoever is guessing.
func (f *failures) sweep(now time.Time) {
	kept := map[failureKey]failureCount{}
	for k, c := range f.counts {
		if c.covers(now) {
			kept[k] = c
		}
	}
	if len(kept) > maxTracked/2 {
		kept = map[failureKey]failureCount{}
	}
	f.counts = kept
}

func (c failureCount) covers(now time.Time) bool {
	age := now.Sub(c.start)
	return age >= 0 && age < failureWindow
}
