// Package store is the contract of Ambit's durable truth: what a database must offer, in transactions, with one
// revision per commit and a feed of what each commit changed. Implementations live in sub-packages; all of them pass
// the suite in storetest.
//
// Start at Store, then Tx. Reads and writes of one environment go through a Tx; everything a Tx shows belongs to one
// consistent state. A store never interprets policies.
package store

import (
	"context"
	"errors"
	"iter"
	"strings"
	"time"

	"github.com/ambit-authz/ambit/internal/model"
)

// Sentinel errors. Implementations return errors for which errors.Is finds these.
var (
	ErrNotFound = errors.New("not found")
	ErrReadOnly = errors.New("write in a read-only transaction")
	ErrTrimmed  = errors.New("the change feed no longer holds these commits") // reload everything
	ErrFull     = errors.New("no space left for the database")
	ErrTaken    = errors.New("the id is taken") // by an object of another environment (scopes, credentials, environments)
	ErrClosed   = errors.New("the store is closed")
	ErrReleased = errors.New("the state is not held any more")
)

// Sequence numbers the commits of all environments together, without gaps, from 1.
type Sequence int64

// Store is safe for concurrent use. Updates are serial; views run beside them and never wait for them.
type Store interface {
	// View runs fn on one consistent state of env ("" = the tenant only). Writes inside fail with ErrReadOnly. The Tx
	// and everything lazily read from it must not be used after fn returns.
	View(ctx context.Context, env model.EnvironmentID, fn func(*Tx) error) error

	// Update runs fn and commits what it wrote, all of it or, when fn or the commit fails, nothing. When Update
	// returns nil the write has survived a power loss. A commit that changed anything raises the revision of w's
	// environment (the tenant's counter for "") by exactly one and takes the next sequence number; one that changed
	// nothing uses neither and returns the current revision with Changed false. With w.DryRun everything runs,
	// then is rolled back: the result tells what would have been, with the revision that is current.
	Update(ctx context.Context, w Write, fn func(*Tx) error) (Commit, error)

	// Feed returns the commits after sequence number after, in order, at most limit. It returns ErrTrimmed when the
	// next one is no longer kept.
	Feed(ctx context.Context, after Sequence, limit int) ([]Commit, error)

	// Watch returns a channel that receives a value after commits (several may be merged into one), until ctx ends.
	Watch(ctx context.Context) <-chan struct{}

	// Backup writes a consistent copy of the whole store to a new file while the store goes on serving. The file
	// appears complete or not at all.
	Backup(ctx context.Context, path string) error

	// Hold keeps the current state of env ("" = the tenant only) readable while others write, until it is closed. It costs
	// a connection, and the store may have to keep what was replaced since: callers bound number and age of what they
	// hold. The store may release a state before that when keeping it costs too much.
	Hold(ctx context.Context, env model.EnvironmentID) (Held, error)

	// Close releases what is held, waits for running transactions and releases the store.
	Close() error
}

// Held is a state of one environment that is kept. It is safe for concurrent use; views run one after the other.
type Held interface {
	// View is Store.View on the state that is held. It returns ErrReleased, also in the middle of fn's reading, once the
	// state is closed or released by the store.
	View(ctx context.Context, fn func(*Tx) error) error
	// Close gives the state up and waits for a running View, whose reads fail. It may be called again.
	Close() error
}

// Write says for whom an Update is made.
type Write struct {
	Environment model.EnvironmentID // "" = the tenant
	Time        time.Time           // stamped on the commit and its objects
	DryRun      bool
}

// Commit is one committed update.
type Commit struct {
	Sequence    Sequence
	Environment model.EnvironmentID
	Revision    model.Revision
	Time        time.Time
	Changed     bool
	Changes     []Change
}

// CollectionName names what a Change is about.
type CollectionName string

const (
	Environments            CollectionName = "environment"
	AuthorizationWorkspaces CollectionName = "authorization workspace"
	IdentityWorkspaces      CollectionName = "identity workspace"
	IdentityTemplates       CollectionName = "identity template"
	IdentitySources         CollectionName = "identity source"
	MapperSets              CollectionName = "mapper set"
	AssetTemplates          CollectionName = "asset template"
	Applications            CollectionName = "application"
	RequestAttributes       CollectionName = "request attribute"
	APIMapperSets           CollectionName = "API mapper set"
	CustomAttributes        CollectionName = "custom attribute"
	Blocks                  CollectionName = "building block"
	Policies                CollectionName = "policy"
	Scopes                  CollectionName = "scope"
	Credentials             CollectionName = "credential"
	Revocations             CollectionName = "revocation"
	Reports                 CollectionName = "report"
	PAAGroups               CollectionName = "PAA group"
	PAASources              CollectionName = "PAA source"
	PAAViews                CollectionName = "PAA views"
	SigningKeys             CollectionName = "signing key"
	Assets                  CollectionName = "asset"
	Identities              CollectionName = "identity"
)

// Change names what a commit changed: one object by Key (collections) or, for assets and identities, the records of one
// Template. It carries no content: a reader fetches what is there now, so that several commits can be followed in one
// step. Events of Tx.Events are not part of the feed.
type Change struct {
	Collection CollectionName
	Key        string // of a collection; Key.String for keys of two parts
	Deleted    bool   // of a collection

	Template  model.TemplateID // records only
	Positions []int64          // records put, ascending
	Removed   []string         // keys of records deleted
	// Cleared: all records were removed first. Of an environment: it was deleted first, with all that was in it, and made
	// again. The end of an environment stands before the other changes of its commit.
	Cleared bool
}

// Tx is one transaction on one environment. Its collections are ready to use; it is not safe for concurrent use.
type Tx struct {
	Environment model.EnvironmentID
	Revision    model.Revision // of the environment, before this transaction's own commit
	Sequence    Sequence       // last commit this transaction can see

	// Tenant-wide collections: not limited to Environment. Deleting an environment deletes everything in it.
	Environments Collection[model.EnvironmentID, model.Environment]
	Credentials  Collection[model.ClientID, model.Credential]
	Revocations  Collection[string, model.Revocation] // by token id

	// Collections of Environment. Putting a template does not touch its records.
	AuthorizationWorkspaces Collection[model.WorkspaceID, model.AuthorizationWorkspace]
	IdentityWorkspaces      Collection[model.WorkspaceID, model.IdentityWorkspace]
	IdentityTemplates       Collection[model.TemplateID, model.IdentityTemplate]
	IdentitySources         Collection[Key, model.IdentitySource] // template, id
	MapperSets              Collection[Key, model.MapperSet]      // template, id
	AssetTemplates          Collection[model.TemplateID, model.AssetTemplate]
	Applications            Collection[model.ApplicationID, model.Application]
	RequestAttributes       Collection[Key, model.RequestAttribute] // authorization workspace, id
	APIMapperSets           Collection[model.ApplicationID, model.APIMapperSet]
	CustomAttributes        Collection[string, model.CustomAttribute]
	Blocks                  Collection[model.BlockID, model.Block] // FindAll in order of first insertion
	Policies                Collection[model.PolicyID, model.Policy]
	Scopes                  Collection[model.ClientID, model.Scope]
	Reports                 Collection[string, model.Report]
	PAAGroups               Collection[string, model.PAAGroup]
	PAASources              Collection[Key, model.PAASource] // group, id
	PAAViews                Collection[string, model.PAAViews]
	SigningKeys             Collection[Key, model.SigningKey] // name, kid of a retired one

	// Records of one template, in insertion order. The template need not be checked by the store.
	Assets     func(model.TemplateID) Records[model.Asset]
	Identities func(model.TemplateID) Records[model.Identity]

	// MoveRecords makes all records of one template those of another, which must have none (else ErrTaken), and returns
	// how many there were. kind is Assets or Identities. Records keep their positions; the feed tells the old template as
	// cleared and the new one as cleared and put. The cost of writing does not follow the number of records.
	MoveRecords func(kind CollectionName, from, to model.TemplateID) (int64, error)

	Events Events
}

// Key is a key of two parts: the owner's id and the object's.
type Key struct{ Owner, ID string }

// String joins the parts as Change.Key has them: with a NUL between, which no id contains.
func (k Key) String() string { return k.Owner + "\x00" + k.ID }

// ParseKey is the inverse of Key.String.
func ParseKey(s string) Key {
	owner, id, _ := strings.Cut(s, "\x00")
	return Key{Owner: owner, ID: id}
}

// Result tells what a put did.
type Result uint8

const (
	Unchanged Result = iota // the stored object is equal; nothing was written
	Created
	Updated
	Deleted
)

// String gives the result as it stands in Ambit-Result headers and reports.
func (r Result) String() string {
	return [...]string{"unchanged", "created", "updated", "deleted"}[r]
}

// Collection holds configuration objects by key. Returned objects are the caller's to keep but not to change.
type Collection[K comparable, V any] interface {
	// Find returns ErrNotFound for a key that is not stored.
	Find(key K) (V, error)
	// FindAll yields every object, by key ascending in code point order unless the field in Tx says otherwise.
	FindAll() iter.Seq2[V, error]
	// Put stores v under its own key, replacing what is there.
	Put(v V) (Result, error)
	// Delete returns Unchanged for a key that is not stored.
	Delete(key K) (Result, error)
	// Stamp tells when an object was made and last changed; ErrNotFound as Find.
	Stamp(key K) (Stamp, error)
}

// Stamp is the life of an object (policy-model.md 1.2 rule 8).
type Stamp struct {
	CreatedAt, UpdatedAt time.Time
	Revision             model.Revision // of the last change
}

// Records holds the assets or identities of one template by key (path, entity id). A record keeps its position, given
// at first insertion and growing, until it is deleted. Millions of records stream through: nothing here loads them all.
type Records[R any] interface {
	// Find returns ErrNotFound for a key that is not stored.
	Find(key string) (R, error)
	// After yields the records whose position is greater than position, ascending, with their positions.
	After(position int64) iter.Seq2[Positioned[R], error]
	// At yields the records at the given ascending positions; positions that are gone are passed over.
	At(positions []int64) iter.Seq2[Positioned[R], error]
	Count() (int64, error)
	Put(r R) (Result, error)
	Delete(key string) (Result, error)
	// Clear deletes all records and returns how many there were.
	Clear() (int64, error)
}

// Positioned is a record with its position.
type Positioned[R any] struct {
	Position int64
	Record   R
}

// Events is the administration audit, newest last. Appending is part of the transaction; nothing changes or removes an
// event but its age.
type Events interface {
	Append(e model.ChangeEvent) error
	// Find yields the events of the transaction's environment ("" = tenant level), newest first, that lie in [from, to).
	Find(from, to time.Time) iter.Seq2[model.ChangeEvent, error]
	// Select returns one page of the events of the transaction's environment that fit q, newest first, and how many fit
	// in all. Its cost follows the page, the number of different EventKinds and how many hours have events, not the number
	// of events, unless q names a resource.
	Select(q EventQuery) (page []model.ChangeEvent, total int, err error)
}

// EventKind is what few different values of describe many events.
type EventKind struct {
	Action, ResourceType, ParentType string
	ClientID                         model.ClientID
}

// EventQuery says which events are wanted. Fields left out demand nothing.
type EventQuery struct {
	From, To time.Time            // [From, To); a zero To = no end
	Kind     func(EventKind) bool // nil = every kind
	// ResourceID and NotResourceID are ids that the event's resource has or does not have.
	ResourceID, NotResourceID *string
	Offset, Limit             int // Limit is above 0
}
