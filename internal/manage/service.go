package manage

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
	"github.com/ambit-authz/ambit/internal/token"
)

// Options are the parts that a Service works with. All but Snapshot are required.
type Options struct {
	Store   store.Store
	Secrets *token.Secrets
	Tokens  *token.Tokens
	Answers *token.AnswerKeys // nil = no keys that a scope could name
	// SigningKeys are those of all environments, as this node decides with them; nil = there are none.
	SigningKeys func() []model.SigningKey
	Now         func() time.Time
	Log         *slog.Logger
	// Snapshot is what decisions about an environment are made from, nil while there is none. Without it every impact
	// preview reads the whole environment.
	Snapshot func(model.EnvironmentID) *engine.Snapshot
	// DropResponses forgets the answers that this node keeps of an environment: those to the clients and about the identities,
	// none = all. It is complete when it returns. nil = no answers are kept.
	DropResponses func(env model.EnvironmentID, clients []model.ClientID, identities []string)
}

// Service is the management plane. All methods may be called from many goroutines at once.
type Service struct {
	store   store.Store
	secrets *token.Secrets
	tokens  *token.Tokens
	answers *token.AnswerKeys
	now     func() time.Time
	log     *slog.Logger

	signingKeys   func() []model.SigningKey
	snapshot      func(model.EnvironmentID) *engine.Snapshot
	dropResponses func(model.EnvironmentID, []model.ClientID, []string)

	cursors  cursors
	states   states
	streams  streamPlaces
	failures failures
	logins   loginRecorder

	failedLogins failedLogins

	mirrors mirrors
}

// New makes a service. Close it before the store is closed.
func New(o Options) *Service {
	s := &Service{
		store: o.Store, secrets: o.Secrets, tokens: o.Tokens, answers: o.Answers, now: o.Now, log: o.Log,
		signingKeys: o.SigningKeys,
		cursors:     newCursors(), snapshot: o.Snapshot, dropResponses: o.DropResponses, states: states{store: o.Store},
	}
	s.logins.write, s.failedLogins.record = s.writeLogins, s.logins.add
	return s
}

// Close waits until every login that was answered is recorded, and gives up what pages hold.
func (s *Service) Close() {
	s.states.close()
	s.failedLogins.flush()
	s.logins.wait()
}

// Call says for whom and how a use case runs.
type Call struct {
	Caller    Caller
	ClientIP  string
	RequestID string
	DryRun    bool
	// IfMatch and IfNoneMatch are versions (Done.Version) that the target must or must not have; "*" stands for any
	// (management-api.md 1.6). Empty lists demand nothing.
	IfMatch, IfNoneMatch []string
	// MatchRequired says that the call is one of those that the environment's setting requireIfMatch is for.
	MatchRequired bool

	trial *trial // of a call that is made only to see what it would change
}

// Result tells what a write did; see its String.
type Result = store.Result

// Results of writes.
const (
	Unchanged = store.Unchanged
	Created   = store.Created
	Updated   = store.Updated
	Deleted   = store.Deleted
)

// Done tells what a write did or would have done.
type Done struct {
	Result   Result
	Revision model.Revision // committed, or current when nothing changed
	Version  string         // of the object after the write; empty when it is deleted or not one object
}

// Seen labels what a read returned.
type Seen struct {
	Revision  model.Revision // of the environment
	Version   string         // of the object; empty for lists
	CreatedAt time.Time
	UpdatedAt time.Time
	Changed   model.Revision // of the object's last change
}

// writer is one write transaction with the audit events that belong to it.
type writer struct {
	*store.Tx
	call   *Call
	now    time.Time
	writes int // events so far, which is one or more for every change
	// observe, when not nil, sees every event.
	observe func(*model.ChangeEvent)
}

// update runs fn in one write transaction on env ("" = tenant); env must exist.
func (s *Service) update(ctx context.Context, call *Call, env model.EnvironmentID, fn func(*writer) error) (model.Revision, error) {
	return s.commit(ctx, call, env, func(w *writer) error {
		if err := mustExist(w.Tx, env); err != nil {
			return err
		}
		return fn(w)
	})
}

// commit is update for an environment that fn makes itself.
func (s *Service) commit(ctx context.Context, call *Call, env model.EnvironmentID, fn func(*writer) error) (model.Revision, error) {
	now := s.now()
	commit, err := s.store.Update(ctx, store.Write{Environment: env, Time: now, DryRun: call.DryRun}, func(tx *store.Tx) error {
		w := &writer{Tx: tx, call: call, now: now}
		if call.trial != nil {
			return call.trial.run(w, fn)
		}
		return fn(w)
	})
	return commit.Revision, storeError("manage.update", err)
}

// view runs fn on one state of env, which must exist.
func (s *Service) view(ctx context.Context, env model.EnvironmentID, fn func(*store.Tx) error) error {
	err := s.store.View(ctx, env, func(tx *store.Tx) error {
		if err := mustExist(tx, env); err != nil {
			return err
		}
		return fn(tx)
	})
	return storeError("manage.view", err)
}

func mustExist(tx *store.Tx, env model.EnvironmentID) error {
	if env == "" {
		return nil
	}
	_, err := tx.Environments.Find(env)
	if errors.Is(err, store.ErrNotFound) {
		return missingResource("Environment", string(env))
	}
	return err
}

// storeError classifies the errors of a store that a caller can do something about.
func storeError(op string, err error) error {
	if errors.Is(err, store.ErrFull) {
		return model.NoSpace(op, err)
	}
	if errors.Is(err, store.ErrClosed) || errors.Is(err, store.ErrReleased) {
		return &model.Error{Kind: model.KindUnavailable, Op: op, Err: err}
	}
	if _, ok := errors.AsType[*model.Error](err); ok {
		return err
	}
	return model.Internal(op, err)
}

// event appends the audit event of one change (management-api.md 14.1).
func (w *writer) event(e model.ChangeEvent) error {
	w.writes++
	e.ID, e.Time = uuid.NewString(), w.now
	e.EnvironmentID, e.Revision = w.Environment, w.Revision+1
	e.ClientID, e.ClientIP, e.RequestID = w.call.Caller.ClientID, w.call.ClientIP, w.call.RequestID
	if w.observe != nil {
		w.observe(&e)
	}
	return w.Events.Append(e)
}

// subject is how one kind of object appears in audit events.
type subject[V any] struct {
	resource func(*V) string // resourceType of the event
	id       func(*V) string
	name     func(*V) string
	format   func(*V) []byte                // exported form, without secrets
	parent   func(*V) (resource, id string) // nil = none
}

// put stores v and records the change. It checks nothing.
func put[K comparable, V any](w *writer, s *subject[V], c store.Collection[K, V], key K, v V) (Result, error) {
	before, err := c.Find(key)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return Unchanged, err
	}
	result, err := c.Put(v)
	if err != nil || result == Unchanged {
		return result, err
	}
	e := s.event(&v, model.EventCreate)
	if result == Updated {
		e.Action, e.Before = model.EventUpdate, string(s.format(&before))
	}
	e.After = string(s.format(&v))
	return result, w.event(e)
}

// remove deletes an object and records it. Unchanged means that it was not there.
func remove[K comparable, V any](w *writer, s *subject[V], c store.Collection[K, V], key K) (Result, error) {
	before, err := c.Find(key)
	if errors.Is(err, store.ErrNotFound) {
		return Unchanged, nil
	}
	if err != nil {
		return Unchanged, err
	}
	if _, err := c.Delete(key); err != nil {
		return Unchanged, err
	}
	e := s.event(&before, model.EventDelete)
	e.Before = string(s.format(&before))
	return Deleted, w.event(e)
}

func (s *subject[V]) event(v *V, action string) model.ChangeEvent {
	e := model.ChangeEvent{Action: action, ResourceType: s.resource(v), ResourceID: s.id(v), ResourceName: s.name(v)}
	if s.parent != nil {
		e.ParentType, e.ParentID = s.parent(v)
	}
	return e
}

// precondition checks IfMatch and IfNoneMatch of the call against what is stored.
func precondition[K comparable, V any](w *writer, c store.Collection[K, V], key K, resource, id string) error {
	version, err := versionOf(c, key)
	if err != nil {
		return err
	}
	return w.meets(version, resource, id)
}

// meets checks IfMatch and IfNoneMatch of the call against the stored version, "" when there is no such object.
func (w *writer) meets(version, resource, id string) error {
	call := w.call
	if version != "" && call.lacksMatch() {
		e, err := w.Environments.Find(w.Environment)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if e.RequireIfMatch {
			return matchRequired()
		}
	}
	if len(call.IfMatch) > 0 && (version == "" || !matches(call.IfMatch, version)) ||
		len(call.IfNoneMatch) > 0 && version != "" && matches(call.IfNoneMatch, version) {
		return &model.Error{
			Kind: model.KindPrecondition, Code: "MGT-011", Name: "PreconditionFailedError",
			Args: []string{resource, id}, Message: resource + ": [" + id + "] has changed",
		}
	}
	return nil
}

// lacksMatch reports whether the call is one that the setting requireIfMatch is for and states no version.
func (c *Call) lacksMatch() bool {
	return c.MatchRequired && len(c.IfMatch) == 0 && len(c.IfNoneMatch) == 0
}

func matchRequired() *model.Error {
	return &model.Error{
		Kind: model.KindPrecondition, Code: "MGT-013", Name: "PreconditionRequiredError", Message: "If-Match is required",
	}
}

func matches(versions []string, version string) bool {
	for _, v := range versions {
		if v == "*" || v == version {
			return true
		}
	}
	return false
}

// versionOf is the version of a stored object, "" when it is not there.
func versionOf[K comparable, V any](c store.Collection[K, V], key K) (string, error) {
	stamp, err := c.Stamp(key)
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	return version(stamp.Revision), err
}

func version(r model.Revision) string { return strconv.FormatInt(int64(r), 10) }

// doneVersion is the version that an object has once the write is committed.
func doneVersion[K comparable, V any](w *writer, c store.Collection[K, V], key K, result Result) (string, error) {
	switch result {
	case Unchanged:
		return versionOf(c, key)
	case Deleted:
		return "", nil
	}
	return version(w.Revision + 1), nil
}

// find reads one object with its stamp.
func find[K comparable, V any](tx *store.Tx, c store.Collection[K, V], key K, resource, id string) (V, Seen, error) {
	v, err := c.Find(key)
	if errors.Is(err, store.ErrNotFound) {
		return v, Seen{}, missingResource(resource, id)
	}
	if err != nil {
		return v, Seen{}, err
	}
	stamp, err := c.Stamp(key)
	return v, Seen{
		Revision: tx.Revision, Version: version(stamp.Revision), CreatedAt: stamp.CreatedAt,
		UpdatedAt: stamp.UpdatedAt, Changed: stamp.Revision,
	}, err
}
