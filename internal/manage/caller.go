package manage

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// Caller is an API credential that proved itself with an access token.
type Caller struct {
	ClientID      model.ClientID
	Name          string
	EnvironmentID model.EnvironmentID // "" = the tenant
	Permission    model.Permission
	ExpiresAt     time.Time // of the token
}

// Right is a row of the role table (management-api.md 3).
type Right uint8

const (
	RightRead   Right = iota + 1 // all reads but audit events
	RightWrite                   // all writes in the environment, its audit events, its credentials
	RightTenant                  // environments and credentials of the tenant, tenant audit
)

// refused is the answer to every token that is not good.
func refused() error {
	return &model.Error{
		Kind: model.KindUnauthorized, Code: "MGT-004", Name: "UnauthorizedError",
		Message: "The access token is missing, expired or revoked",
	}
}

// Authenticate finds the caller of an access token. A token ends with its credential, its secret and its permission
// (management-api.md 2.2), so the credential is looked up each time.
func (s *Service) Authenticate(ctx context.Context, bearer string) (Caller, error) {
	claims, err := s.tokens.Verify(bearer)
	if err != nil {
		return Caller{}, refused()
	}
	var c model.Credential
	err = s.store.View(ctx, claims.EnvironmentID, func(tx *store.Tx) error {
		if c, err = tx.Credentials.Find(claims.ClientID); err != nil {
			return err
		}
		if revoked, err := exists(tx.Revocations, claims.ID); err != nil || !revoked {
			return err
		}
		return store.ErrNotFound
	})
	if errors.Is(err, store.ErrNotFound) {
		return Caller{}, refused()
	}
	if err != nil {
		return Caller{}, storeError("manage.Authenticate", err)
	}
	if !claims.Fits(&c) {
		return Caller{}, refused()
	}
	return Caller{
		ClientID: c.ClientID, Name: c.Name, EnvironmentID: c.EnvironmentID, Permission: c.Permission,
		ExpiresAt: claims.ExpiresAt,
	}, nil
}

// Reader is who bears an access token, and which environments he may read. Errors are those of Authenticate.
func (s *Service) Reader(ctx context.Context, bearer string) (id model.ClientID, mayRead func(model.EnvironmentID) bool, err error) {
	caller, err := s.Authenticate(ctx, bearer)
	if err != nil {
		return "", nil, err
	}
	return caller.ClientID, func(env model.EnvironmentID) bool { return caller.May(RightRead, env) }, nil
}

// May reports whether the caller has the right in env ("" = the tenant). A credential of one environment has none in
// any other, existing or not (management-api.md 1.4).
func (c *Caller) May(right Right, env model.EnvironmentID) bool {
	tenant := c.EnvironmentID == ""
	admin := tenant || c.Permission == model.PermissionAdmin // a tenant's credential is always admin
	own := tenant || c.EnvironmentID == env && env != ""
	switch right {
	case RightRead:
		return own && (admin || c.Permission == model.PermissionViewer)
	case RightWrite:
		return own && admin
	case RightTenant:
		return tenant
	}
	return false
}

// Authorize is May as an error; method and resource are named in it.
func (c *Caller) Authorize(right Right, env model.EnvironmentID, method, resource string) error {
	if c.May(right, env) {
		return nil
	}
	return &model.Error{
		Kind: model.KindForbidden, Code: "MGT-005", Name: "ForbiddenError", Args: []string{method, resource},
		Message: fmt.Sprintf("Operation %s for resource %s is not permitted due to the current user's lack of permissions.",
			method, resource),
	}
}

// CheckEnvironment reports an environment that does not exist.
func (s *Service) CheckEnvironment(ctx context.Context, env model.EnvironmentID) error {
	return s.view(ctx, env, func(*store.Tx) error { return nil })
}

// Revision is the current revision of an environment; env "" is the tenant.
func (s *Service) Revision(ctx context.Context, env model.EnvironmentID) (model.Revision, error) {
	var revision model.Revision
	err := s.view(ctx, env, func(tx *store.Tx) error {
		revision = tx.Revision
		return nil
	})
	return revision, err
}

// LastChange is the current revision of an environment and the time of the last commit that the audit trail knows.
func (s *Service) LastChange(ctx context.Context, env model.EnvironmentID) (revision model.Revision, at time.Time, err error) {
	err = s.view(ctx, env, func(tx *store.Tx) error {
		revision = tx.Revision
		for e, err := range tx.Events.Find(time.Time{}, s.now().Add(time.Hour)) {
			if err != nil {
				return err
			}
			// logins are events without a commit of their own
			if e.Action != model.EventLogin && e.Action != model.EventLoginFailed {
				at = e.Time
				return nil
			}
		}
		return nil
	})
	return revision, at, err
}
