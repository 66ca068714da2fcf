package manage

import (
	"context"
	"strings"

	"github.com/google/uuid"

	"github.com/ambit-authz/ambit/internal/manage/form"
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
func (v *EnvironmentView) Form() form.Environment {
	f := form.OfEnvironment(&v.Environment)
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
		if err := precondition(w, w.Environments, e.ID, "Environment", string(e.ID)); err != nil {
			return err
		}
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
		_, out.Seen, err = find(w.Tx, w.Environments, e.ID, "Environment", string(e.ID))
		out.Seen.Revision++ // the commit's own
		if err != nil {
			return err
		}
		cat, err := readCatalog(w.Tx)
		if err != nil {
			return err
		}
		out.Environment, out.Counts = e, countsOf(cat)
		return nil
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
	taken, err := exists(w.Environments, e.ID)
	if err != nil {
		return err
	}
	if taken {
		return alreadyExists("Environment", string(e.ID))
	}
	return w.freeEnvironmentName(e)
}

// freeEnvironmentName refuses a name that another environment has.
func (w *writer) freeEnvironmentName(e *model.Environment) error {
	for other, err := range w.Environments.FindAll() {
		if err != nil {
			return err
		}
		if other.Name == e.Name && other.ID != e.ID {
			return alreadyExists("Environment", e.Name)
		}
	}
	return nil
}

// FindEnvironment reads one environment.
func (s *Service) FindEnvironment(ctx context.Context, env model.EnvironmentID) (EnvironmentView, error) {
	var out EnvironmentView
	err := s.view(ctx, env, func(tx *store.Tx) (err error) {
		out.Environment, out.Seen, err = find(tx, tx.Environments, env, "Environment", string(env))
		return err
	})
	if err == nil {
		out.Counts, err = s.counts(ctx, env)
	}
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

// counts looks at the mirror: an environment with many policies is not read to be counted.
func (s *Service) counts(ctx context.Context, env model.EnvironmentID) (out Counts, err error) {
	err = s.look(ctx, env, func(m *mirror) error {
		out = countsOf(m.catalog)
		out.Policies = len(m.policies)
		for i := range m.policies {
			if m.policies[i].inactive {
				out.InactivePolicies++
			}
		}
		return nil
	})
	if err != nil {
		return out, err
	}
	err = s.view(ctx, env, func(tx *store.Tx) error {
		return each(tx.Scopes.FindAll(), func(model.Scope) { out.Scopes++ })
	})
	return out, err
}

func countsOf(c *catalog) Counts {
	return Counts{
		Applications: len(c.applications), AssetTemplates: len(c.assetTypes), IdentityTemplates: len(c.identityTemplates),
	}
}

func environmentKind() *kind[model.EnvironmentID, model.Environment] {
	return &kind[model.EnvironmentID, model.Environment]{
		name: "Environment", subject: environmentSubject(),
		in: func(tx *store.Tx) store.Collection[model.EnvironmentID, model.Environment] { return tx.Environments },
		id: func(id model.EnvironmentID) string { return string(id) },
	}
}

// PutEnvironment replaces name, description and settings of an environment (management-api.md 16).
func (s *Service) PutEnvironment(ctx context.Context, call Call, env model.EnvironmentID, body []byte) (EnvironmentView, Done, error) {
	return s.changeEnvironment(ctx, &call, env, func(before *model.Environment) (model.Environment, error) {
		return parseEnvironment(before, body)
	})
}

// PatchEnvironment changes name, description or settings by a JSON merge patch (RFC 7396).
func (s *Service) PatchEnvironment(ctx context.Context, call Call, env model.EnvironmentID, patch []byte) (EnvironmentView, Done, error) {
	return s.changeEnvironment(ctx, &call, env, func(before *model.Environment) (model.Environment, error) {
		merged, err := form.Patch(form.Encode(form.OfEnvironment(before)), patch)
		if err != nil {
			return model.Environment{}, err
		}
		return parseEnvironment(before, merged)
	})
}

// parseEnvironment reads the form of an environment. What the form does not have stays as it was before.
func parseEnvironment(before *model.Environment, body []byte) (model.Environment, error) {
	var f struct {
		ID          *string `json:"id"`
		Name        string  `json:"name"`
		Description string  `json:"description"`
		Settings    struct {
			Enabled        *bool `json:"enabled"`
			RequireIfMatch bool  `json:"requireIfMatch"`
		} `json:"settings"`
	}
	if err := form.Decode(body, &f); err != nil {
		return model.Environment{}, err
	}
	e := *before
	e.Name, e.Description = f.Name, f.Description
	e.Enabled, e.RequireIfMatch = form.OrDefault(f.Settings.Enabled, true), f.Settings.RequireIfMatch
	var errs model.Errors
	if f.ID != nil && !strings.EqualFold(*f.ID, string(e.ID)) {
		errs.Add("/id", "differs from that of the path")
	}
	errs.Collect(e.Validate())
	return e, errs.OrNil()
}

func (s *Service) changeEnvironment(ctx context.Context, call *Call, env model.EnvironmentID,
	change func(before *model.Environment) (model.Environment, error),
) (EnvironmentView, Done, error) {
	stored, done, err := changeObject(ctx, s, call, env, environmentKind(), env, func(w *writer, before *model.Environment) (model.Environment, error) {
		if before == nil {
			return model.Environment{}, missingResource("Environment", string(env))
		}
		e, err := change(before)
		if err != nil {
			return e, err
		}
		return e, w.freeEnvironmentName(&e)
	})
	out := EnvironmentView{Environment: stored.Object, Seen: stored.Seen}
	if err != nil {
		return out, done, err
	}
	out.Seen.Revision = done.Revision
	out.Counts, err = s.counts(ctx, env)
	return out, done, err
}

// DeleteEnvironment ends an environment with everything in it, records, scopes and credentials included; name must be its
// name (management-api.md 16). The event is the tenant's, and so is the revision.
func (s *Service) DeleteEnvironment(ctx context.Context, call Call, env model.EnvironmentID, name string) (Done, error) {
	done, err := removeObject(ctx, s, &call, "", environmentKind(), env, func(w *writer, e *model.Environment) error {
		if e.RequireIfMatch && w.call.lacksMatch() {
			return matchRequired()
		}
		if e.Name != name {
			return model.InvalidParameter("name", "it is not the environment's name")
		}
		return nil
	})
	if err == nil && !call.DryRun {
		s.mirrors.forget(env)
		s.states.forget(env)
	}
	return done, err
}

// FindJWTSettings reads how tokens are judged where neither scope nor identity template says so (runtime-api.md 4.3).
func (s *Service) FindJWTSettings(ctx context.Context, env model.EnvironmentID) (form.JWTSettings, Seen, error) {
	found, err := findObject(ctx, s, env, environmentKind(), env)
	return environmentJWT(&found.Object), found.Seen, err
}

// PutJWTSettings replaces them. They are a part of the environment and share its version.
func (s *Service) PutJWTSettings(ctx context.Context, call Call, env model.EnvironmentID, body []byte) (form.JWTSettings, Done, error) {
	stored, done, err := changeObject(ctx, s, &call, env, environmentKind(), env, func(_ *writer, before *model.Environment) (model.Environment, error) {
		if before == nil {
			return model.Environment{}, missingResource("Environment", string(env))
		}
		var f form.JWTSettings
		if err := form.Decode(body, &f); err != nil {
			return *before, err
		}
		e := *before
		if e.JWT = f.Model(); e.JWT.IsZero() {
			e.JWT = nil
			return e, nil
		}
		return e, e.JWT.Validate()
	})
	return environmentJWT(&stored.Object), done, err
}

// environmentJWT shows settings that were never made as empty ones.
func environmentJWT(e *model.Environment) form.JWTSettings {
	if e.JWT == nil {
		return *form.OfJWTSettings(&model.JWTSettings{})
	}
	return *form.OfJWTSettings(e.JWT)
}
