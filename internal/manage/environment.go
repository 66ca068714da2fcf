package manage

import (
	"context"

	"github.com/google/uuid"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// NewEnvironment says what CreateEnvironment makes.
type NewEnvironment struct {
	ID          string // uuid; "" = made, null in a dry run
	Name        string
	Description string
	Bare        bool // without the workspaces Default and User
}

// EnvironmentView is an environment with what is known of it.
type EnvironmentView struct {
	Environment model.Environment
	Counts      Counts
	Seen        Seen
	idOff       bool // the id was made for a dry run and means nothing
}

// Form is the exported form of the environment.
func (v *EnvironmentView) Form() EnvironmentForm {
	f := environmentForm(&v.Environment)
	if v.idOff {
		f.ID = nil
	}
	return f
}

// Counts are how many objects an environment has (management-api.md 16).
type Counts struct {
	Policies          int `json:"policies"`
	InactivePolicies  int `json:"inactivePolicies"`
	Applications      int `json:"applications"`
	AssetTemplates    int `json:"assetTemplates"`
	IdentityTemplates int `json:"identityTemplates"`
	Scopes            int `json:"scopes"`
}

// CreateEnvironment makes an environment at revision 1 (policy-model.md 2.2). Names are unique in the tenant.
func (s *Service) CreateEnvironment(ctx context.Context, call Call, n NewEnvironment) (EnvironmentView, error) {
	e := model.Environment{Name: n.Name, Description: n.Description, Enabled: true, ID: model.EnvironmentID(uuid.NewString())}
	if n.ID != "" {
		id, ok := model.ParseUUID(n.ID)
		if !ok {
			return EnvironmentView{}, NotUUID(n.ID)
		}
		e.ID = model.EnvironmentID(id)
	}
	if err := e.Validate(); err != nil {
		return EnvironmentView{}, err
	}
	var out EnvironmentView
	_, err := s.commit(ctx, &call, e.ID, func(w *writer) error {
		if err := w.freeEnvironment(&e); err != nil {
			return err
		}
		if _, err := put(w, environmentSubject(), w.Environments, e.ID, e); err != nil {
			return err
		}
		if !n.Bare {
			if _, err := w.addAuthorizationWorkspace("Default", false); err != nil {
				return err
			}
			t := model.IdentityTemplate{ID: "User"}
			t.Normalize()
			if _, err := w.addIdentityWorkspace("User", t); err != nil {
				return err
			}
		}
		var err error
		out, err = viewEnvironment(w.Tx, e)
		out.Seen.Revision++ // the commit's own
		return err
	})
	out.idOff = n.ID == "" && call.DryRun
	return out, err
}

// NotUUID is V-032.
func NotUUID(text string) *model.Error {
	return &model.Error{
		Kind: model.KindUnprocessable, Code: "V-032", Name: "UnprocessableEntityError",
		Args: []string{text, "uuid"}, Message: "$: " + text + " is an invalid uuid",
	}
}

// freeEnvironment refuses an id or a name that is taken.
func (w *writer) freeEnvironment(e *model.Environment) error {
	for other, err := range w.Environments.FindAll() {
		switch {
		case err != nil:
			return err
		case other.ID == e.ID:
			return alreadyExists("Environment", string(e.ID))
		case other.Name == e.Name:
			return alreadyExists("Environment", e.Name)
		}
	}
	return nil
}

// FindEnvironment reads one environment.
func (s *Service) FindEnvironment(ctx context.Context, env model.EnvironmentID) (EnvironmentView, error) {
	var out EnvironmentView
	err := s.view(ctx, env, func(tx *store.Tx) error {
		e, err := tx.Environments.Find(env)
		if err != nil {
			return err
		}
		out, err = viewEnvironment(tx, e)
		return err
	})
	return out, err
}

// FindEnvironments lists the environments that the caller sees, by id; name limits the list when it is not empty.
func (s *Service) FindEnvironments(ctx context.Context, caller *Caller, name string) ([]EnvironmentView, error) {
	var visible []model.EnvironmentID
	err := s.view(ctx, "", func(tx *store.Tx) error {
		for e, err := range tx.Environments.FindAll() {
			if err != nil {
				return err
			}
			if caller.May(RightRead, e.ID) && (name == "" || name == e.Name) {
				visible = append(visible, e.ID)
			}
		}
		return nil
	})
	out := make([]EnvironmentView, 0, len(visible))
	for _, id := range visible {
		if err != nil {
			break
		}
		var v EnvironmentView
		if v, err = s.FindEnvironment(ctx, id); model.KindOf(err) == model.KindNotFound {
			err = nil // deleted in between
			continue
		}
		out = append(out, v)
	}
	return out, err
}

func viewEnvironment(tx *store.Tx, e model.Environment) (EnvironmentView, error) {
	_, seen, err := find(tx, tx.Environments, e.ID, "Environment", string(e.ID))
	if err != nil {
		return EnvironmentView{}, err
	}
	out := EnvironmentView{Environment: e, Seen: seen}
	for p, err := range tx.Policies.FindAll() {
		if err != nil {
			return out, err
		}
		out.Counts.Policies++
		if p.Inactive {
			out.Counts.InactivePolicies++
		}
	}
	for _, c := range []struct {
		n     *int
		count func() (int, error)
	}{
		{&out.Counts.Applications, func() (int, error) { return count(tx.Applications) }},
		{&out.Counts.AssetTemplates, func() (int, error) { return count(tx.AssetTemplates) }},
		{&out.Counts.IdentityTemplates, func() (int, error) { return count(tx.IdentityTemplates) }},
		{&out.Counts.Scopes, func() (int, error) { return count(tx.Scopes) }},
	} {
		if *c.n, err = c.count(); err != nil {
			return out, err
		}
	}
	return out, nil
}

func count[K comparable, V any](c store.Collection[K, V]) (int, error) {
	n := 0
	for _, err := range c.FindAll() {
		if err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}
