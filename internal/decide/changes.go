package decide

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/identity"
	"github.com/ambit-authz/ambit/internal/model"
)

// Since names an answer that was given: by its revision and, where time has a part in it, by its instant.
type Since struct {
	Revision model.Revision // 0 = none
	Instant  time.Time      // in whole milliseconds; zero = not known
}

// String writes a cursor: the revision, @ and the instant in milliseconds since 1970.
func (s Since) String() string {
	text := strconv.FormatInt(int64(s.Revision), 10)
	if s.Instant.IsZero() {
		return text
	}
	return text + "@" + strconv.FormatInt(s.Instant.UnixMilli(), 10)
}

// ParseSince reads a cursor, or a revision alone.
func ParseSince(text string) (s Since, ok bool) {
	revision, instant, exact := strings.Cut(text, "@")
	n, ok := digits(revision)
	if !ok {
		return s, false
	}
	s.Revision = model.Revision(n)
	if exact {
		if n, ok = digits(instant); !ok || n == 0 {
			return s, false
		}
		s.Instant = time.UnixMilli(n)
	}
	return s, true
}

func digits(text string) (int64, bool) {
	if text == "" || len(text) > 18 || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil
}

// ChangesRequest asks what became of an answer of Token. It has no assets of its own and no signature.
type ChangesRequest struct {
	TokenRequest
	Told  engine.Told
	Since *Since // nil = none, for Watch alone
}

// Changes is what lies between two answers to one question.
type Changes struct {
	*engine.Difference
	Since model.Revision
	Now   Since // the later answer
	ends  [2]*liveEnd
}

// Shown says which attributes the entries of a type show, those of Lost when before is set; nil = all.
func (c *Changes) Shown(t model.TemplateID, before bool) *engine.Projection {
	if before {
		return c.ends[0].shown(t)
	}
	return c.ends[1].shown(t)
}

// Cursor names the answer that the call gives.
func (c *Call) Cursor() Since { return Since{Revision: c.Revision(), Instant: c.started} }

// Changes tells what separates the answer that Token gave at req.Since from the one that it would give now. Errors beside
// those of Token: 410 when the answer at req.Since cannot be told exactly any more.
func (c *Call) Changes(ctx context.Context, req ChangesRequest) (*Changes, error) {
	ctx, cancel, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	defer cancel()
	q, err := c.live(ctx, &req)
	if err != nil {
		return nil, err
	}
	now := standing{state: c.state, instant: c.started}
	if now.residual, err = q.bind(ctx.Done(), now.state, now.instant); err != nil {
		return nil, cmp.Or(context.Cause(ctx), err)
	}
	if req.Since == nil {
		return nil, model.Invalidf("since: required")
	}
	before, err := q.stood(ctx.Done(), c.env, now, *req.Since)
	if err != nil {
		return nil, cmp.Or(context.Cause(ctx), err)
	}
	var types []model.TemplateID
	for _, s := range []standing{before, now} {
		if s.residual != nil {
			types = append(types, s.residual.Types()...)
		}
	}
	out, err := q.compare(engine.NewStep(before.state.snapshot, now.state.snapshot, types), before, now)
	if err != nil {
		return nil, cmp.Or(context.Cause(ctx), err)
	}
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return out, c.keep(ctx, 200, out.result())
}

// result is what the audit tells.
func (c *Changes) result() string {
	return fmt.Sprintf("%d gained, %d lost, %d changed", c.Gained.Len(), c.Lost.Len(), c.Changed.Len())
}

// liveQuestion is a question of Token that is judged at more than one revision. It never changes and holds nothing of any
// of them.
type liveQuestion struct {
	client     model.ClientID
	who        []identity.Choice
	source     netip.Addr
	zone       time.Duration
	combined   bool
	types      []TypeChoice
	policies   bool
	attributes bool
	told       engine.Told
	// combinations of identity rows are refused above this number; 0 = those that the engine refuses
	combinations int
}

// standing is a question bound at a state and an instant.
type standing struct {
	state    *state
	instant  time.Time
	residual *engine.Residual // nil = nobody asks: the identity is not there
}

// live makes the question of a call. The identities are noted and known to be there.
func (c *Call) live(ctx context.Context, req *ChangesRequest) (*liveQuestion, error) {
	who, err := c.whoAsks(ctx, &req.Situation)
	if err != nil {
		return nil, err
	}
	if _, err := c.lookUp(who); err != nil {
		return nil, err
	}
	return &liveQuestion{
		client: c.scope.ClientID, who: who, source: c.source(req.RemoteIP), zone: req.ZoneOffset, combined: req.CombinedMultiValue,
		types: req.Types, policies: req.Policies, attributes: req.Attributes, told: req.Told,
	}, nil
}

// bind binds the question. The state has the scope. Errors: 404 when an identity is not there, those of engine.Bind.
func (q *liveQuestion) bind(done <-chan struct{}, st *state, instant time.Time) (*engine.Residual, error) {
	found, err := identity.BindAll(st.snapshot, q.who)
	if err != nil {
		return nil, err
	}
	question := engine.Question{
		Applications: st.scopes[q.client].ApplicationIDs, SourceIP: q.source, Instant: instant, ZoneOffset: q.zone,
		CombinedMultiValue: q.combined, Done: done,
	}
	combinations := 1
	for i := range found {
		question.Identities = append(question.Identities, asking(&found[i]))
		if combinations *= max(1, len(found[i].Rows)); q.combined && q.combinations > 0 && combinations > q.combinations {
			return nil, model.Invalidf("combinedMultiValue: at most %d combinations of rows can be watched", q.combinations)
		}
	}
	return st.snapshot.Bind(question)
}

// Reasons for which a watch ends.
const (
	endEnvironment = "environment" // it is disabled or gone
	endScope       = "scope"       // it is disabled or gone
	endCredentials = "credentials" // secrets or methods of the scope have changed: the caller has to show them again
	endSettings    = "settings"    // how callers and users are recognized has changed
	endIdentity    = "identity"    // it is not there any more
	endExpired     = "expired"     // a token or secret that the watch was opened with
	endNotReady    = "notReady"    // the store has been away for too long, or the question cannot be answered any more
	endShutdown    = "shutdown"
)

// slack is by how much the instant of an answer may lie outside the time of its revision: a call may wait for a revision
// after its instant is fixed, and the clocks of servers differ.
const slack = time.Minute

// stood binds the question as it stood at an answer that was given. The error is 410 when there is any doubt about that
// answer.
func (q *liveQuestion) stood(done <-chan struct{}, env *environment, now standing, since Since) (out standing, err error) {
	gone := &model.Error{
		Kind: model.KindGone, Code: "AMB-410", Name: "RevisionGone",
		Message: fmt.Sprintf("since: the changes since revision %d are not known; ask for the whole list", since.Revision),
	}
	m, ok := env.moment(since.Revision, now.instant)
	if !ok || q.otherwise(m.state, now.state) != "" {
		return out, gone
	}
	out = standing{state: m.state, instant: since.Instant}
	exact := !since.Instant.IsZero()
	switch {
	case !exact:
		out.instant = m.from
	case !m.answeredAt(since.Instant, now.instant):
		return out, gone
	}
	out.residual, err = q.bind(done, out.state, out.instant)
	if model.KindOf(err) == model.KindNotFound {
		return out, nil // then there was no answer: everything is new
	}
	if err != nil {
		return out, err
	}
	if !exact && out.residual.Timed() {
		// Nothing says at which time it was answered: perhaps by another server, or by this one before it was started again,
		// hours before or after the revision was the newest one here.
		return out, gone
	}
	return out, nil
}

// otherwise tells why a question that was asked at one state cannot be judged at another one as if it had been asked there:
// the way in which callers and users are recognized is another one. "" = it can.
func (q *liveQuestion) otherwise(a, b *state) string {
	before, now := a.scopes[q.client], b.scopes[q.client]
	switch {
	case b.snapshot == nil || !b.enabled || !a.enabled:
		return endEnvironment
	case now == nil || !now.Enabled || before == nil || !before.Enabled:
		return endScope
	case before != now && (before.IdentityMatching != now.IdentityMatching || !slices.Equal(before.TrustedProxies, now.TrustedProxies) ||
		(before.TrustedProxies == nil) != (now.TrustedProxies == nil) || !reflect.DeepEqual(before.JWT, now.JWT)):
		return endSettings
	case a.jwt != b.jwt && !reflect.DeepEqual(a.jwt, b.jwt), !sameMatchers(a.matchers, b.matchers):
		return endSettings
	case !sameTemplates(a.snapshot, b.snapshot):
		return endSettings
	}
	return ""
}

func sameMatchers(a, b []identity.Matcher) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0] || reflect.DeepEqual(a, b))
}

// sameTemplates: a request that names no template means the only one.
func sameTemplates(a, b *engine.Snapshot) bool {
	return slices.EqualFunc(a.IdentityTemplates(), b.IdentityTemplates(), func(x, y *model.IdentityTemplate) bool { return x.ID == y.ID })
}

// liveEnd is what a question asks for at one state.
type liveEnd struct {
	selection   engine.Selection
	projections map[model.TemplateID]*engine.Projection
	none        bool
}

func (q *liveQuestion) end(snapshot *engine.Snapshot) *liveEnd {
	e := &liveEnd{selection: engine.Selection{Policies: q.policies}, none: !q.attributes}
	if q.types != nil {
		e.selection.Templates, e.projections = chooseTypes(snapshot, q.types)
	}
	return e
}

func (e *liveEnd) shown(t model.TemplateID) *engine.Projection {
	if e.none {
		return &noAttributes
	}
	return e.projections[t]
}

// compare tells what lies between two standings at the ends of a step.
func (q *liveQuestion) compare(step *engine.Step, before, now standing) (*Changes, error) {
	out := &Changes{
		Since: before.state.snapshot.Revision(), Now: Since{now.state.snapshot.Revision(), now.instant},
		ends: [2]*liveEnd{q.end(before.state.snapshot), q.end(now.state.snapshot)},
	}
	var err error
	out.Difference, err = step.Compare(
		engine.Side{Residual: before.residual, Selection: out.ends[0].selection, Shown: out.ends[0].shown},
		engine.Side{Residual: now.residual, Selection: out.ends[1].selection, Shown: out.ends[1].shown}, q.told)
	return out, err
}
