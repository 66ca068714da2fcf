package decide

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/identity"
	"github.com/ambit-authz/ambit/internal/model"
)

// Search is an Evaluation of which one part is asked for: SearchSubjects finds Primary.EntityID, SearchResources
// Resource.Path, SearchActions Action. What is given of that part but its type and attributes is ignored (authzen.md 8).
type Search struct {
	Evaluation
	// After are names that were judged on the pages before, the latest first; the page begins behind the first of them
	// that is still there. Empty = the beginning.
	After []string
	Limit int // most results of the page
	Scan  int // most candidates that are judged one by one; 0 = any number
	// Time is how long candidates are judged one by one; 0 = as long as a decision may take. At least one is.
	Time time.Duration
}

// Found is a page of a search at one revision, in the order of the catalogue, the directory or the type's actions.
type Found struct {
	Names []string
	// More tells that something may follow; Last is where: what Search.After of the next page begins with.
	More bool
	Last string
	// NotEnumerable tells that candidates of the type asked for are stored nowhere, so that none can be found.
	NotEnumerable bool
}

// ErrLost is the error of a search none of whose After is there any more.
var ErrLost = errors.New("decide: the place of the search is gone")

// SearchSubjects finds who may do Action with Resource. Errors: ErrLost, else those of Token.
func (c *Call) SearchSubjects(ctx context.Context, s *Search) (*Found, error) {
	return c.search(ctx, s, func(ctx context.Context, out *Found) error {
		snapshot := c.state.snapshot
		t, ok := snapshot.IdentityTemplate(s.Primary.Template)
		asset, reason := c.stateAsset(s.Resource, s.Action)
		if !ok || reason != "" {
			return nil
		}
		after, err := latest(s.After, func(id string) bool { _, ok := snapshot.FindIdentity(t.ID, id); return ok })
		if err != nil {
			return err
		}
		merge, said := identity.Describe(t, s.Primary)
		page := &engine.Page{After: after, Limit: s.Limit, Scan: s.Scan}
		if s.Time > 0 {
			late, cancel := context.WithTimeout(ctx, s.Time)
			defer cancel()
			page.Late = late.Done()
		}
		users, err := snapshot.Users(engine.UserQuestion{
			Question: c.question(ctx, &s.Situation), Asset: asset, Actions: []string{s.Action},
			Templates: []model.TemplateID{t.ID}, Page: page,
			Said:     map[model.TemplateID]model.Attributes{t.ID: said},
			Describe: func(_ model.TemplateID, i model.Identity) model.Identity { return merge(i) },
		})
		if err != nil {
			return err
		}
		for u := range users.Entries() {
			out.Names = append(out.Names, u.EntityID())
		}
		out.Last, out.More = users.More()
		return nil
	})
}

// SearchResources finds with what the identity may do Action. Errors: those of SearchSubjects.
func (c *Call) SearchResources(ctx context.Context, s *Search) (*Found, error) {
	return c.search(ctx, s, func(ctx context.Context, out *Found) error {
		residual, unknown, err := c.stated(ctx, &s.Situation)
		t, ok := c.state.snapshot.AssetTemplate(s.Resource.Template)
		if err != nil || unknown != nil || !ok || !slices.Contains(residual.Types(), t.ID) {
			return err
		}
		if _, ok := t.RequestAction(s.Action); !ok || s.Action == "" {
			return nil
		}
		if t.Source != model.SourcePlainID {
			out.NotEnumerable = true
			return nil
		}
		access, err := residual.Select(engine.Selection{
			Templates: []engine.TemplateSelection{{Template: t.ID, Actions: []string{s.Action}}},
			Assets:    []engine.Asset{{Template: t.ID, Attributes: sentAttributes(t, s.Resource.Attributes)}},
		})
		if err != nil {
			return err
		}
		after, err := latest(s.After, func(path string) bool { _, ok := c.state.snapshot.FindAsset(t.ID, path); return ok })
		if err != nil {
			return err
		}
		entries := access.Entries()
		if after != "" {
			entries, _ = access.Behind(after)
		}
		out.take(s, after, paths(entries))
		return nil
	})
}

func paths(entries iter.Seq[engine.Entry]) iter.Seq[string] {
	return func(yield func(string) bool) {
		for e := range entries {
			if !yield(e.Path()) {
				return
			}
		}
	}
}

// SearchActions finds what the identity may do with Resource. Errors: those of SearchSubjects.
func (c *Call) SearchActions(ctx context.Context, s *Search) (*Found, error) {
	return c.search(ctx, s, func(ctx context.Context, out *Found) error {
		residual, unknown, err := c.stated(ctx, &s.Situation)
		t, ok := c.state.snapshot.AssetTemplate(s.Resource.Template)
		if err != nil || unknown != nil || !ok {
			return err
		}
		at := func(value string) int {
			return slices.IndexFunc(t.Actions, func(a model.Action) bool { return a.Value == value })
		}
		after, err := latest(s.After, func(value string) bool { return at(value) >= 0 })
		if err != nil {
			return err
		}
		out.take(s, after, func(yield func(string) bool) {
			for _, a := range t.Actions[at(after)+1:] {
				asset, reason := c.stateAsset(s.Resource, a.Value)
				if reason == "" && residual.Evaluate(asset, a.Value).Allowed && !yield(a.Value) {
					return
				}
			}
		})
		return nil
	})
}

// take fills the page, and looks one further.
func (f *Found) take(s *Search, after string, names iter.Seq[string]) {
	f.Last = after
	for name := range names {
		if len(f.Names) == s.Limit {
			f.More = true
			return
		}
		f.Names, f.Last = append(f.Names, name), name
	}
}

// latest is the first of the names that is still there, "" when there are none.
func latest(names []string, isThere func(string) bool) (string, error) {
	if len(names) == 0 {
		return "", nil
	}
	if i := slices.IndexFunc(names, isThere); i >= 0 {
		return names[i], nil
	}
	return "", ErrLost
}

// search opens the call for one of the searches and records what it found.
func (c *Call) search(ctx context.Context, s *Search, find func(context.Context, *Found) error) (*Found, error) {
	ctx, cancel, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	defer cancel()
	if err := c.AdmitAuthZEN(true); err != nil {
		return nil, err
	}
	c.source(s.RemoteIP) // for the record, also of a search that asks nobody
	out := &Found{}
	if err := find(ctx, out); err != nil && !errors.Is(err, engine.ErrStopped) {
		return nil, err
	}
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return out, c.keep(ctx, 200, fmt.Sprintf("%d found for %s", len(out.Names), s.wanted()))
}
