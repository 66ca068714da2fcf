// Package engine answers questions about access. It compiles an environment into an immutable Snapshot, binds the known
// side of a question (who asks, from where, when) and keeps what remains of the policies as data, the Residual. Every
// answer is a use of that one form: Select finds all assets through the attribute index, Evaluate judges one, Explain
// says why.
//
// Start at Snapshot.Bind, then Residual. The meaning of policies is policy-model.md section 4; there is no second
// evaluator in this program.
//
// The package does no I/O, reads no clock, writes no log and takes no lock. A Snapshot never changes; Next makes the
// following one with work in proportion to the change and shares the rest. All methods of Snapshot, Residual and Access
// may be called from many goroutines at once.
package engine

import (
	"errors"
	"iter"
	"net/netip"
	"time"

	"github.com/ambit-authz/ambit/internal/model"
)

// Configuration is everything of one environment but its records.
type Configuration struct {
	Environment       model.EnvironmentID
	Enabled           bool
	AssetTemplates    []model.AssetTemplate
	IdentityTemplates []model.IdentityTemplate
	Applications      []model.Application
	Blocks            []model.Block
	Policies          []model.Policy
}

// Delta is one step from a snapshot to the next. Objects put replace those of the same id. Records are read from the
// iterators once, in insertion order; an error that one yields ends Next with that error.
type Delta struct {
	Revision          model.Revision
	Enabled           *bool
	AssetTemplates    Change[model.TemplateID, model.AssetTemplate]
	IdentityTemplates Change[model.TemplateID, model.IdentityTemplate]
	Applications      Change[model.ApplicationID, model.Application]
	Blocks            Change[model.BlockID, model.Block]
	Policies          Change[model.PolicyID, model.Policy]
	Assets            map[model.TemplateID]Records[model.Asset]
	Identities        map[model.TemplateID]Records[model.Identity]
}

// Change lists what was put and what was deleted.
type Change[K comparable, V any] struct {
	Put     []V
	Deleted []K
}

// Records is the change of the records of one template: first Clear, then Removed, then Put.
type Records[R any] struct {
	Clear   bool
	Removed []string
	Put     iter.Seq2[R, error] // nil = none
}

// Question is the known side of a question.
type Question struct {
	Applications []model.ApplicationID // linked to the calling scope (E2)
	Identities   []Identity            // 1 to 3, each of another template (E16)
	Environment  map[string][]string   // request attributes (E15); a key without values is missing
	SourceIP     netip.Addr            // unmapped; the zero Addr makes every IP condition false (E27)
	Instant      time.Time             // E22
	ZoneOffset   time.Duration         // of zone "request" (E23)
	// CombinedMultiValue evaluates every row of an identity as an identity of its own (E20).
	CombinedMultiValue bool
	// Types are the asset types that are asked about: no others are reached, nor bound. nil = every type.
	Types []model.TemplateID
	// Done, once it is closed, ends Bind and Select with ErrStopped: nobody waits for the answer. nil = never.
	Done <-chan struct{}
}

// ErrStopped is the error of a question whose Done was closed before it was answered.
var ErrStopped = errors.New("engine: the question was given up")

func (q *Question) stopped() bool {
	select {
	case <-q.Done:
		return true
	default:
		return false
	}
}

// Identity is a bound identity: what package identity made of the directory and the request (E13).
type Identity struct {
	Template   model.TemplateID
	EntityID   string
	Inactive   bool             // in no group
	Attributes model.Attributes // outside the rows; uid is added by the engine and cannot be replaced
	Rows       []model.Attributes
}

// Asset is an asset that a request describes: of a REQUEST type, or one of a stored type with or without values that
// replace stored ones (E12).
type Asset struct {
	Template   model.TemplateID
	Path       string
	Attributes model.Attributes // by attribute id; those of unknown attributes are ignored
}
