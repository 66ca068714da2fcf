package manage

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
	"github.com/ambit-authz/ambit/internal/token"
)

// ScopeView is a scope as callers see it: never with its secrets.
type ScopeView struct {
	Scope model.Scope // Secrets is nil
	Seen  Seen
	idOff bool // the id was made for a dry run and means nothing
}

// Form is the exported form of the scope.
func (v *ScopeView) Form() form.Scope {
	f := form.OfScope(&v.Scope)
	if v.idOff {
		f.ClientID = nil
	}
	return f
}

// Incomplete reports whether the scope states no authentication methods and so works with all (management-api.md 18).
func (v *ScopeView) Incomplete() bool { return len(v.Scope.AuthMethods) == 0 }

// CreateScope makes a scope from the JSON body of management-api.md 18 with one secret: the one given as "secret", else a
// new one, which is returned and never shown again. In a dry run no id and no secret is made.
func (s *Service) CreateScope(ctx context.Context, call Call, env model.EnvironmentID, body []byte) (ScopeView, string, error) {
	var f struct {
		form.Scope `json:",inline"`
		Secret     *string `json:"secret"`
	}
	if err := form.Decode(body, &f); err != nil {
		return ScopeView{}, "", err
	}
	made := f.ClientID == nil
	if made {
		id := string(token.NewClientID())
		f.ClientID = &id
	}
	scope, err := f.Model(env)
	if err != nil {
		return ScopeView{}, "", err
	}
	var secret string
	if f.Secret != nil {
		hash, err := s.secrets.Hash(*f.Secret, s.now())
		if err != nil {
			return ScopeView{}, "", err
		}
		secret, scope.Secrets = *f.Secret, []model.SecretHash{hash}
	} else if !call.DryRun {
		var hash model.SecretHash
		secret, hash = s.secrets.New(s.now())
		scope.Secrets = []model.SecretHash{hash}
	}
	var out ScopeView
	_, err = s.update(ctx, &call, env, func(w *writer) error {
		if err := precondition(w, w.Scopes, scope.ClientID, "Scope", string(scope.ClientID)); err != nil {
			return err
		}
		if taken, err := exists(w.Scopes, scope.ClientID); err != nil || taken {
			return orTaken(err, &scope)
		}
		if err := cmp.Or(w.checkScope(&scope), s.checkKey(w, &model.Scope{}, &scope)); err != nil {
			return err
		}
		if _, err := w.putScope(scope); err != nil {
			return err
		}
		out, err = viewScope(w.Tx, scope.ClientID)
		out.Seen.Revision++ // the commit's own
		return err
	})
	if err != nil {
		return ScopeView{}, "", err
	}
	out.idOff = made && call.DryRun
	if call.DryRun {
		out.Seen.Revision--
	}
	return out, secret, nil
}

// orTaken is the error of a client id that another scope or credential of the tenant has.
func orTaken(err error, scope *model.Scope) error {
	if err == nil || errors.Is(err, store.ErrTaken) {
		return alreadyExists("Scope", string(scope.ClientID))
	}
	return err
}

// putScope stores a scope; an id that is taken elsewhere in the tenant is a conflict.
func (w *writer) putScope(scope model.Scope) (Result, error) {
	result, err := put(w, scopeSubject(), w.Scopes, scope.ClientID, scope)
	if errors.Is(err, store.ErrTaken) {
		return result, orTaken(err, &scope)
	}
	return result, err
}

// checkScope checks what a scope refers to: its applications exist, its name is free.
func (w *writer) checkScope(scope *model.Scope) error {
	var errs model.Errors
	for _, id := range scope.ApplicationIDs {
		found, err := exists(w.Applications, id)
		if err != nil {
			return err
		}
		if !found {
			errs = append(errs, missingResource("Application", string(id)))
		}
	}
	for other, err := range w.Scopes.FindAll() {
		if err != nil {
			return err
		}
		if other.Name == scope.Name && other.ClientID != scope.ClientID {
			errs = append(errs, alreadyExists("Scope", scope.Name))
		}
	}
	return errs.OrNil()
}

// checkKey checks that the key which signs the answers to a scope is in the key store and may be used (management-api.md 18).
// before is the scope as it was: what stays as it is was checked when it was made.
func (s *Service) checkKey(w *writer, before, scope *model.Scope) error {
	if s.answers != nil && before.ClientID == "" && !w.call.Caller.May(RightTenant, "") && s.answers.Reserved(scope.ClientID) {
		return model.Errors{{Kind: model.KindInvalid, Message: "/clientId: the key store has a key of that name, so only a credential of the tenant may make the scope"}}
	}
	r := scope.Response
	switch {
	case r == nil, before.Response != nil && *before.Response == *r:
		return nil
	case s.answers != nil:
		stored, err := w.storedKey(scope)
		if err == nil {
			_, err = s.answers.Choose(scope, stored)
		}
		return err
	case r.SecretStore != "" || r.KeyName != "" || r.KeyID != "":
		return model.Errors{{Kind: model.KindInvalid, Message: "/jwtResponse/keyName: this server has no key store"}}
	}
	return nil
}

// storedKey is the key of the database that the scope names, nil when there is none.
func (w *writer) storedKey(scope *model.Scope) (*model.SigningKey, error) {
	name := scope.StoredKey()
	if name == "" {
		return nil, nil //nolint:nilnil // as the comment says
	}
	key, err := w.SigningKeys.Find(store.Key{Owner: name})
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil //nolint:nilnil // as the comment says
	}
	return &key, err
}

// FindScope reads one scope.
func (s *Service) FindScope(ctx context.Context, env model.EnvironmentID, id model.ClientID) (ScopeView, error) {
	found, err := findObject(ctx, s, env, scopeKind(), id)
	found.Object.Secrets = nil
	return ScopeView{Scope: found.Object, Seen: found.Seen}, err
}

func viewScope(tx *store.Tx, id model.ClientID) (ScopeView, error) {
	scope, seen, err := find(tx, tx.Scopes, id, "Scope", string(id))
	scope.Secrets = nil
	return ScopeView{Scope: scope, Seen: seen}, err
}

// FindScopes lists the scopes by id; name and application limit the list when they are not empty.
func (s *Service) FindScopes(ctx context.Context, env model.EnvironmentID, name string, application model.ApplicationID) ([]ScopeView, Seen, error) {
	out := []ScopeView{}
	var seen Seen
	err := s.view(ctx, env, func(tx *store.Tx) error {
		seen.Revision = tx.Revision
		for scope, err := range tx.Scopes.FindAll() {
			if err != nil {
				return err
			}
			if name != "" && scope.Name != name || application != "" && !slices.Contains(scope.ApplicationIDs, application) {
				continue
			}
			v, err := viewScope(tx, scope.ClientID)
			if err != nil {
				return err
			}
			out = append(out, v)
		}
		return nil
	})
	return out, seen, err
}

// PutScope replaces a scope, or makes it without secrets. It never touches secrets.
func (s *Service) PutScope(ctx context.Context, call Call, env model.EnvironmentID, id model.ClientID, body []byte) (ScopeView, Done, error) {
	return s.changeScope(ctx, call, env, id, func(*model.Scope, bool) (model.Scope, error) {
		var f form.Scope
		if err := form.Decode(body, &f); err != nil {
			return model.Scope{}, err
		}
		return scopeOf(&f, env, id)
	})
}

// PatchScope changes a scope by a JSON merge patch (RFC 7396).
func (s *Service) PatchScope(ctx context.Context, call Call, env model.EnvironmentID, id model.ClientID, patch []byte) (ScopeView, Done, error) {
	return s.changeScope(ctx, call, env, id, func(before *model.Scope, found bool) (model.Scope, error) {
		if !found {
			return model.Scope{}, missingResource("Scope", string(id))
		}
		merged, err := form.Patch(form.Encode(form.OfScope(before)), patch)
		if err != nil {
			return model.Scope{}, err
		}
		var f form.Scope
		if err := form.Decode(merged, &f); err != nil {
			return model.Scope{}, err
		}
		return scopeOf(&f, env, id)
	})
}

// scopeOf is the scope of the form; the id in the body is the one in the path, or absent.
func scopeOf(f *form.Scope, env model.EnvironmentID, id model.ClientID) (model.Scope, error) {
	if f.ClientID != nil && *f.ClientID != string(id) {
		return model.Scope{}, model.Errors{{Kind: model.KindInvalid, Message: "/clientId: differs from that of the path"}}
	}
	text := string(id)
	f.ClientID = &text
	return f.Model(env)
}

func scopeKind() *kind[model.ClientID, model.Scope] {
	return &kind[model.ClientID, model.Scope]{
		name: "Scope", subject: scopeSubject(),
		in: func(tx *store.Tx) store.Collection[model.ClientID, model.Scope] { return tx.Scopes },
		id: func(id model.ClientID) string { return string(id) },
	}
}

func (s *Service) changeScope(ctx context.Context, call Call, env model.EnvironmentID, id model.ClientID,
	change func(before *model.Scope, found bool) (model.Scope, error),
) (ScopeView, Done, error) {
	out, done, err := changeObject(ctx, s, &call, env, scopeKind(), id, func(w *writer, before *model.Scope) (model.Scope, error) {
		found := before != nil
		if !found {
			before = &model.Scope{}
		}
		scope, err := change(before, found)
		if err != nil {
			return scope, err
		}
		scope.Secrets = before.Secrets
		return scope, cmp.Or(w.checkScope(&scope), s.checkKey(w, before, &scope))
	})
	out.Object.Secrets = nil
	return ScopeView{Scope: out.Object, Seen: out.Seen}, done, err
}

// DeleteScope ends a scope with its secrets.
func (s *Service) DeleteScope(ctx context.Context, call Call, env model.EnvironmentID, id model.ClientID) (Done, error) {
	return removeObject(ctx, s, &call, env, scopeKind(), id, nil)
}

// LinkApplication adds an application to a scope, or with link false takes it away.
func (s *Service) LinkApplication(ctx context.Context, call Call, env model.EnvironmentID, id model.ClientID, app model.ApplicationID, link bool) (Done, error) {
	_, done, err := s.changeScope(ctx, call, env, id, func(before *model.Scope, found bool) (model.Scope, error) {
		if !found {
			return model.Scope{}, missingResource("Scope", string(id))
		}
		scope := *before
		at := slices.Index(scope.ApplicationIDs, app)
		switch {
		case link && at < 0:
			scope.ApplicationIDs = append(slices.Clone(scope.ApplicationIDs), app)
		case !link && at >= 0:
			if scope.ApplicationIDs = slices.Delete(slices.Clone(scope.ApplicationIDs), at, at+1); len(scope.ApplicationIDs) == 0 {
				scope.ApplicationIDs = nil // equal objects are equal values
			}
		}
		return scope, nil
	})
	return done, err
}

// SecretView is what can be seen of a secret.
type SecretView struct {
	ID        string
	CreatedAt time.Time
	ExpiresAt time.Time // zero = never
}

// MakeScopeSecret makes a further secret, which is returned and never shown again. The living ones end after expireOld
// (0 = at once); a third living secret is a conflict (management-api.md 18). A dry run makes none.
func (s *Service) MakeScopeSecret(ctx context.Context, call Call, env model.EnvironmentID, id model.ClientID, expireOld time.Duration) (secret string, view SecretView, done Done, err error) {
	now := s.now()
	var hash model.SecretHash
	if !call.DryRun {
		secret, hash = s.secrets.New(now)
	}
	done, err = s.changeSecrets(ctx, call, env, id, func(secrets []model.SecretHash) ([]model.SecretHash, error) {
		secrets = endingSecrets(secrets, now, expireOld)
		if len(secrets) >= model.MaxSecrets {
			return nil, inUse("Scope", string(id), "living secrets", secretIDs(secrets))
		}
		return append(secrets, hash), nil // empty in a dry run, which is rolled back
	})
	done.Result = Created // of the secret
	if err != nil {
		return "", SecretView{}, done, err
	}
	return secret, SecretView{ID: hash.ID, CreatedAt: hash.CreatedAt}, done, nil
}

// changeSecrets changes nothing of a scope but its secrets.
func (s *Service) changeSecrets(ctx context.Context, call Call, env model.EnvironmentID, id model.ClientID,
	change func([]model.SecretHash) ([]model.SecretHash, error),
) (Done, error) {
	_, done, err := changeObject(ctx, s, &call, env, scopeKind(), id, func(_ *writer, before *model.Scope) (model.Scope, error) {
		if before == nil {
			return model.Scope{}, missingResource("Scope", string(id))
		}
		scope := *before
		var err error
		scope.Secrets, err = change(slices.Clone(before.Secrets))
		if len(scope.Secrets) == 0 {
			scope.Secrets = nil
		}
		return scope, err
	})
	return done, err
}

// endingSecrets are those that still live after their end was brought forward.
func endingSecrets(secrets []model.SecretHash, now time.Time, after time.Duration) []model.SecretHash {
	end := now.Add(after)
	var living []model.SecretHash
	for _, h := range secrets {
		if h.ExpiresAt.IsZero() || h.ExpiresAt.After(end) {
			h.ExpiresAt = end
		}
		if h.Alive(now) {
			living = append(living, h)
		}
	}
	return living
}

func secretIDs(secrets []model.SecretHash) []string {
	var ids []string
	for _, h := range secrets {
		ids = append(ids, h.ID)
	}
	return ids
}

// FindScopeSecrets lists the living secrets of a scope.
func (s *Service) FindScopeSecrets(ctx context.Context, env model.EnvironmentID, id model.ClientID) ([]SecretView, Seen, error) {
	out := []SecretView{}
	var seen Seen
	err := s.view(ctx, env, func(tx *store.Tx) error {
		var scope model.Scope
		var err error
		if scope, seen, err = find(tx, tx.Scopes, id, "Scope", string(id)); err != nil {
			return err
		}
		for _, h := range scope.Secrets {
			if h.Alive(s.now()) {
				out = append(out, SecretView{ID: h.ID, CreatedAt: h.CreatedAt, ExpiresAt: h.ExpiresAt})
			}
		}
		return nil
	})
	return out, seen, err
}

// DeleteScopeSecret ends one secret at once.
func (s *Service) DeleteScopeSecret(ctx context.Context, call Call, env model.EnvironmentID, id model.ClientID, secretID string) (Done, error) {
	done, err := s.changeSecrets(ctx, call, env, id, func(secrets []model.SecretHash) ([]model.SecretHash, error) {
		kept := slices.DeleteFunc(slices.Clone(secrets), func(h model.SecretHash) bool { return h.ID == secretID })
		if len(kept) == len(secrets) {
			return nil, missingResource("Secret", secretID)
		}
		return kept, nil
	})
	done.Result, done.Version = Deleted, "" // of the secret
	return done, err
}
