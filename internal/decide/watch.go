package decide

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/ambit-authz/ambit/internal/audit"
	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/token"
)

// Listener hears what a watch has to tell, one news at a time, each in a goroutine of its own that it may hold up: the
// watch then falls behind, and tells all that it missed at once. An error of Tell ends the watch. Close is called once, when
// the watch has ended.
type Listener interface {
	Tell(n *News) error
	Close()
}

// NewsKind is what a news is about.
type NewsKind uint8

// The kinds.
const (
	NewsBeat    NewsKind = iota // nothing has changed up to Cursor
	NewsChanges                 // Changes lead to Cursor
	NewsReset                   // too much has changed: the list at Cursor has to be asked for
	NewsEnd                     // the watch has ended for Reason
)

// News is what a watch tells.
type News struct {
	Kind    NewsKind
	Cursor  Since
	Changes *Changes
	Reason  string
	told    Since // up to which all was told before
}

const (
	// mostNews is how many entries one news has at most: what is not read yet stays in memory.
	mostNews = 10_000
	// mostCombinations is how many combinations of identity rows a watch is judged for, again and again.
	mostCombinations = 100
	// mostKept is how many bytes of a bound question a watch keeps. A heavier one is bound again for every change.
	mostKept = 6 << 10
)

// Watch follows the answer to one question from a revision on. Its methods are for the goroutine that has opened it.
type Watch struct {
	live     *live
	env      *environment
	question *liveQuestion
	record   audit.Decision // of what it tells, but for result, revision and time
	listener Listener
	scope    *model.Scope // as the caller has proved to be it, or is known to
	tokens   Tokens
	verified []token.VerifiedBy // by which the tokens that it was opened with were good
	signed   AccessTokens
	access   string // id of the access token that it was opened with; "" = another credential
	key      string // that signed the access token
	gone     bool
	left     atomic.Bool // the listener is not there any more
	busy     atomic.Bool // a news is on its way; nobody else touches what follows
	// at is the last answer that was told, or is known to be the same. Its residual is nil where it has to be bound again.
	at      standing
	nobody  bool      // at is an answer from before the identity was there
	turns   time.Time // when time may change the answer; zero = never
	expires time.Time // when the credentials do; zero = never
	beat    time.Time // when the listener has to hear something
}

// Watch opens a watch of the answer to req, from the answer at req.Since or, without one, from now. Nothing is told before
// Start. Errors are those of Changes but for 410, see Gone; 400 for a question with very many combinations of rows; 429 and
// 503 when there are too many watches of the scope, or in all.
func (c *Call) Watch(ctx context.Context, req ChangesRequest) (_ *Watch, err error) {
	ctx, cancel, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	defer cancel()
	live, client := c.service.live, c.scope.ClientID
	if err := live.reserve(client); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			live.release(client)
		}
	}()
	q, err := c.live(ctx, &req)
	if err != nil {
		return nil, err
	}
	q.combinations = mostCombinations
	w := &Watch{live: live, env: c.env, question: q, record: c.record, scope: c.scope}
	w.record.Subjects = slices.Clip(w.record.Subjects)
	w.tokens, w.verified, w.signed = c.service.options.Tokens, slices.Clip(c.verified), c.service.options.Access
	// no Done: what is bound here is used for as long as the watch goes on
	now := standing{state: c.state, instant: c.started}
	if now.residual, err = q.bind(nil, now.state, now.instant); err != nil {
		return nil, err
	}
	w.stand(now)
	if req.Since != nil {
		before, err := q.stood(nil, c.env, now, *req.Since)
		switch {
		case model.KindOf(err) == model.KindGone:
			w.gone = true
		case err != nil:
			return nil, err
		default:
			w.nobody = before.residual == nil
			w.stand(before)
		}
	}
	w.expires = c.expiry()
	if c.proof.access {
		w.access, w.key = c.accessClaims().ID, c.accessClaims().KeyID
		w.expires = sooner(w.expires, c.accessClaims().ExpiresAt)
	}
	if err := c.keep(ctx, 200, "watch"); err != nil {
		return nil, err
	}
	return w, nil
}

// Cursor is the answer from which the watch goes on.
func (w *Watch) Cursor() Since {
	return Since{Revision: w.at.state.snapshot.Revision(), Instant: w.at.instant}
}

// Gone reports whether the answer at the Since of the request cannot be told any more: the watch goes on from now, and the
// caller has to ask for the whole list.
func (w *Watch) Gone() bool { return w.gone }

// Start lets l hear what changes. It must be called once, unless Stop is.
func (w *Watch) Start(l Listener) {
	w.listener = l
	w.live.join(w)
}

// Stop ends a watch whose listener is not there any more. It may be called at any time and more than once.
func (w *Watch) Stop() {
	if w.left.Swap(true) {
		return
	}
	if w.listener == nil {
		w.live.release(w.question.client)
		return
	}
	w.live.nudge(w.env)
}

// stand makes s what was told last. A residual that is light is kept.
func (w *Watch) stand(s standing) {
	w.turns = time.Time{}
	if s.residual != nil {
		w.turns, _ = s.residual.Until()
		if s.residual = s.residual.Slim(); s.residual.Weight() > mostKept {
			s.residual = nil
		}
	}
	w.at = s
}

// expiry is when a credential of the call ends at the earliest. Which of a scope's secrets it has shown is not known.
func (c *Call) expiry() time.Time {
	first := c.expires
	if c.proof.method != model.AuthJWT {
		for i := range c.scope.Secrets {
			if at := c.scope.Secrets[i].ExpiresAt; at.After(c.started) {
				first = sooner(first, at)
			}
		}
	}
	return first
}

// sooner is the earlier of two times, the zero time standing for never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// unproved tells why the credentials that the watch was opened with are not good any more at st, "" while they are. Issuers
// are looked at when the scope has changed; else before something is told, see distrusted.
func (w *Watch) unproved(st *state, now time.Time) string {
	scope := st.scopes[w.question.client]
	changed := scope != w.scope
	switch {
	case changed && !sameCredentials(w.scope, scope), w.access != "" && st.revoked[w.access]:
		return endCredentials
	case !w.expires.IsZero() && !now.Before(w.expires):
		return endExpired
	}
	w.scope = scope
	if changed {
		return w.distrusted()
	}
	return ""
}

// distrusted tells why the tokens that the watch was opened with are not good any more though they have not ended: their keys
// were withdrawn, or have not been heard of for too long. It goes by what is known here, and never waits.
func (w *Watch) distrusted() string {
	if w.access != "" && !w.signed.Stands(w.key) {
		return endCredentials
	}
	for _, by := range w.verified {
		switch err := w.tokens.Stands(by); {
		case errors.Is(err, token.ErrRefused):
			return endCredentials
		case err != nil:
			return endNotReady
		}
	}
	return ""
}

// next judges the question again at st. It gives what has to be told, nil for nothing. way is what lies between the last
// answer's state and st, nil when only time has passed.
func (w *Watch) next(way *way, st *state, now time.Time) (*News, error) {
	turned := !w.turns.IsZero() && !now.Before(w.turns)
	after := standing{state: st, instant: now}
	var step *engine.Step
	if way != nil {
		step = way.step
		if w.at.residual != nil && !turned && !way.concerns(w.question) {
			if kept, ok := step.Carry(w.at.residual); ok {
				after.residual = kept
				if !step.Touches(kept) {
					w.at = after
					return nil, nil
				}
			}
		}
	} else {
		step = engine.NewStep(st.snapshot, st.snapshot, nil)
	}
	before, err := w.bound()
	if err != nil {
		return nil, err
	}
	bound := after.residual == nil
	if bound {
		if after.residual, err = w.question.bind(nil, st, now); err != nil {
			return nil, err
		}
	}
	changes, err := w.question.compare(step, before, after)
	if err != nil {
		return nil, err
	}
	if bound {
		w.stand(after)
	} else {
		w.at = after
	}
	w.nobody = false
	n := &News{Cursor: changes.Now}
	switch {
	case changes.Len() == 0:
		return nil, nil
	case changes.Len() > mostNews:
		n.Kind = NewsReset
	default:
		n.Kind, n.Changes = NewsChanges, changes
	}
	return n, nil
}

// bound is the last answer's standing with its residual.
func (w *Watch) bound() (standing, error) {
	before := w.at
	if before.residual != nil || w.nobody {
		return before, nil
	}
	var err error
	before.residual, err = w.question.bind(nil, before.state, before.instant)
	return before, err
}

// due is when the watch has to be looked at again though nothing was written.
func (w *Watch) due() time.Time {
	return sooner(w.beat, sooner(w.turns, w.expires))
}

// tell records a news and lets the listener hear it.
func (w *Watch) tell(ctx context.Context, n *News) error {
	if n.Kind == NewsChanges || n.Kind == NewsReset {
		d := w.record
		d.Start, d.Revision, d.Status, d.Result = n.Cursor.Instant, n.Cursor.Revision, 200, "reset"
		if n.Kind == NewsChanges {
			d.Result = n.Changes.result()
		}
		if err := w.live.audit.Record(ctx, d); err != nil {
			_ = w.listener.Tell(&News{Kind: NewsEnd, Cursor: n.told, Reason: endNotReady})
			return fmt.Errorf("no audit record: %w", err)
		}
	}
	return w.listener.Tell(n)
}

// endFor is the reason to end a watch whose question could not be judged.
func endFor(err error) string {
	if model.KindOf(err) == model.KindNotFound {
		return endIdentity
	}
	return endNotReady
}

// expireBy notes that something that the call shows is good until at only.
func (c *Call) expireBy(at time.Time) { c.expires = sooner(c.expires, at) }

// expiryOf is the expiry time of a verified token, or the past when it cannot be read.
func expiryOf(claims map[string]any) time.Time {
	seconds, err := strconv.ParseFloat(fmt.Sprint(claims["exp"]), 64)
	if err != nil || !(seconds >= 1 && seconds <= 1<<40) {
		return time.Unix(1, 0)
	}
	return time.Unix(int64(seconds), 0)
}
