package manage

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/lestrrat-go/jwx/v3/jwk"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
	"github.com/ambit-authz/ambit/internal/token"
)

// client is who proved itself with an id and a secret: an API credential or a scope.
type client struct {
	credential *model.Credential
	scope      *model.Scope
	secretID   string // of the scope's secret
}

func (c *client) id() model.ClientID {
	if c.scope != nil {
		return c.scope.ClientID
	}
	return c.credential.ClientID
}

// subject is what an audit event says of the client; of one that is not known nothing.
func (c *client) subject() model.ChangeEvent {
	switch {
	case c.scope != nil:
		return model.ChangeEvent{
			ResourceType: resourceScope, ResourceID: string(c.scope.ClientID), ResourceName: c.scope.Name,
			EnvironmentID: c.scope.EnvironmentID, ClientID: c.scope.ClientID,
		}
	case c.credential != nil:
		return model.ChangeEvent{
			ResourceType: resourceCredential, ResourceID: string(c.credential.ClientID), ResourceName: c.credential.Name,
			EnvironmentID: c.credential.EnvironmentID, ClientID: c.credential.ClientID,
		}
	}
	return model.ChangeEvent{ResourceType: resourceCredential}
}

// identifyClient checks an id and its secret. It records failures only.
func (s *Service) identifyClient(ctx context.Context, l Login) (client, error) {
	now := s.now()
	if !s.failures.allow(l.ClientID, l.ClientIP, now) {
		return client{}, tooManyLogins()
	}
	c, hashes, err := s.findClient(ctx, l)
	if err != nil {
		return client{}, storeError("manage.Login", err)
	}
	good := false
	for _, secret := range l.Secrets {
		id, err := s.secrets.Which(hashes, secret, now)
		if err != nil {
			return client{}, err
		}
		if id != "" {
			good, c.secretID = true, id
		}
	}
	if !s.failures.settle(l.ClientID, l.ClientIP, now, good) {
		return client{}, tooManyLogins() // others failed meanwhile: whether this guess was right is not said
	}
	if !good {
		s.recordLogin(c.subject(), l, now, false)
		return client{}, &model.Error{
			Kind: model.KindUnauthorized, Code: "MGT-004", Name: "UnauthorizedError",
			Message: "The client id or the secret is wrong",
		}
	}
	return c, nil
}

// findClient finds the client of that id with its secrets; the zero client when there is none. A scope that is switched
// off, or may not use its secret in a header, is none (authzen.md 3).
func (s *Service) findClient(ctx context.Context, l Login) (c client, hashes []model.SecretHash, err error) {
	var environments []model.EnvironmentID
	err = s.store.View(ctx, "", func(tx *store.Tx) error {
		credential, err := tx.Credentials.Find(l.ClientID)
		if err == nil {
			c.credential, hashes = &credential, []model.SecretHash{credential.Secret}
		}
		if !l.Runtime {
			return ignoreMissing(err)
		}
		for e, err := range tx.Environments.FindAll() {
			if err != nil {
				return err
			}
			if e.Enabled {
				environments = append(environments, e.ID)
			}
		}
		return ignoreMissing(err)
	})
	// all of them, whether found or not, so that the time tells nothing
	for _, env := range environments {
		if err != nil {
			break
		}
		err = s.store.View(ctx, env, func(tx *store.Tx) error {
			scope, err := tx.Scopes.Find(l.ClientID)
			if err == nil && scope.Enabled && scope.Allows(model.AuthSecretHeader) {
				c.scope, hashes = &scope, scope.Secrets
			}
			return ignoreMissing(err)
		})
	}
	return c, hashes, err
}

func ignoreMissing(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// claimsOf reads an access token of either audience.
func (s *Service) claimsOf(text string) (token.Claims, bool) {
	claims, err := s.tokens.Verify(text)
	if err != nil {
		claims, err = s.tokens.VerifyRuntime(text)
	}
	return claims, err == nil
}

// Revoke ends an access token (RFC 7009). Only the client it was issued to may; a token that is not good is none to end,
// which is no error.
func (s *Service) Revoke(ctx context.Context, l Login, text string, dryRun bool) error {
	c, err := s.identifyClient(ctx, l)
	if err != nil {
		return err
	}
	claims, ok := s.claimsOf(text)
	if !ok {
		return nil
	}
	if claims.ClientID != c.id() {
		return &model.Error{
			Kind: model.KindInvalid, Code: "MGT-001", Name: "InvalidGrantError",
			Message: "The token was issued to another client",
		}
	}
	call := Call{Caller: Caller{ClientID: c.id()}, ClientIP: l.ClientIP, RequestID: l.RequestID, DryRun: dryRun}
	_, err = s.update(ctx, &call, claims.EnvironmentID, func(w *writer) error {
		if err := w.forgetRevocations(); err != nil {
			return err
		}
		result, err := w.Revocations.Put(model.Revocation{TokenID: claims.ID, ExpiresAt: claims.ExpiresAt})
		if err != nil || result == Unchanged {
			return err
		}
		e := c.subject()
		e.Action = model.EventInvalidate
		return w.event(e)
	})
	return err
}

// forgetRevocations drops those whose tokens have expired anyway.
func (w *writer) forgetRevocations() error {
	for r, err := range w.Revocations.FindAll() {
		if err == nil && !w.now.Before(r.ExpiresAt) {
			_, err = w.Revocations.Delete(r.TokenID)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Introspection is what RFC 7662 tells of a token; only Active counts when it is false.
type Introspection struct {
	Active              bool
	TokenID             string
	ClientID            model.ClientID
	EnvironmentID       model.EnvironmentID // "" = the tenant
	Permission          model.Permission    // empty for runtime tokens
	Scope               string
	Audience, Issuer    string
	IssuedAt, ExpiresAt time.Time
}

// IntrospectAs is Introspect for a caller who proves itself with a client's id and secret.
func (s *Service) IntrospectAs(ctx context.Context, l Login, text string) (Introspection, error) {
	c, err := s.identifyClient(ctx, l)
	if err != nil {
		return Introspection{}, err
	}
	if c.scope != nil {
		return Introspection{}, forbiddenIntrospection()
	}
	return s.Introspect(ctx, &Caller{
		ClientID: c.credential.ClientID, EnvironmentID: c.credential.EnvironmentID, Permission: c.credential.Permission,
	}, text)
}

func forbiddenIntrospection() error {
	return &model.Error{
		Kind: model.KindForbidden, Code: "MGT-005", Name: "ForbiddenError", Args: []string{"POST", "Token"},
		Message: "Operation POST for resource Token is not permitted due to the current user's lack of permissions.",
	}
}

// Introspect tells an admin of the token's owner, or of the tenant, whether a token is good now and whose it is. Of
// tokens of others it tells no more than of dead ones.
func (s *Service) Introspect(ctx context.Context, caller *Caller, text string) (Introspection, error) {
	if !caller.May(RightWrite, caller.EnvironmentID) && !caller.May(RightTenant, "") {
		return Introspection{}, forbiddenIntrospection()
	}
	claims, ok := s.claimsOf(text)
	if !ok {
		return Introspection{}, nil
	}
	right := RightWrite
	if claims.EnvironmentID == "" {
		right = RightTenant
	}
	if !caller.May(right, claims.EnvironmentID) {
		return Introspection{}, nil
	}
	out := Introspection{
		TokenID: claims.ID, ClientID: claims.ClientID, EnvironmentID: claims.EnvironmentID, Permission: claims.Role,
		Scope: "runtime", Audience: claims.Audience, Issuer: s.tokens.Issuer(), IssuedAt: claims.IssuedAt, ExpiresAt: claims.ExpiresAt,
	}
	if claims.Audience == token.AudienceManagement {
		out.Scope = grantScope(&model.Credential{EnvironmentID: claims.EnvironmentID, Permission: claims.Role})
	}
	err := s.store.View(ctx, claims.EnvironmentID, func(tx *store.Tx) (err error) {
		out.Active, err = s.lives(tx, &claims)
		return err
	})
	if err != nil || !out.Active {
		return Introspection{}, storeError("manage.Introspect", err)
	}
	return out, nil
}

// lives reports whether what a verified token stands on is still there.
func (s *Service) lives(tx *store.Tx, claims *token.Claims) (bool, error) {
	if revoked, err := exists(tx.Revocations, claims.ID); err != nil || revoked {
		return false, err
	}
	if claims.Audience == token.AudienceManagement {
		c, err := tx.Credentials.Find(claims.ClientID)
		return err == nil && claims.Fits(&c), ignoreMissing(err)
	}
	environment, err := tx.Environments.Find(claims.EnvironmentID)
	if err != nil || !environment.Enabled {
		return false, ignoreMissing(err)
	}
	scope, err := tx.Scopes.Find(claims.ClientID)
	return err == nil && scope.Enabled && claims.FitsScope(&scope, s.now()), ignoreMissing(err)
}

// Issuer is the iss of all tokens.
func (s *Service) Issuer() string { return s.tokens.Issuer() }

// KeySet is the JWK set under which access tokens and signed answers are verified (runtime-api.md 8.7).
func (s *Service) KeySet() ([]byte, error) {
	set, err := s.publicKeys(nil)
	if err != nil {
		return nil, err
	}
	out, err := json.Marshal(set, json.Deterministic(true))
	return out, model.Internal("manage.KeySet", err)
}

// publicKeys are all keys that are published, each kid once. more are keys of an environment that this node may not have
// heard of yet.
func (s *Service) publicKeys(more []model.SigningKey) (jwk.Set, error) {
	set, err := s.tokens.KeySet()
	if err != nil || s.answers == nil {
		return set, err
	}
	if s.signingKeys != nil {
		more = slices.Concat(more, s.signingKeys())
	}
	keys, err := s.answers.PublicKeys(more...)
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		if kid, _ := k.KeyID(); hasKey(set, kid) {
			continue
		}
		if err := set.AddKey(k); err != nil {
			return nil, model.Internal("manage.publicKeys", err)
		}
	}
	return set, nil
}

func hasKey(set jwk.Set, kid string) bool {
	_, found := set.LookupKeyID(kid)
	return found
}
