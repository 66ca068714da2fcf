package decide

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/token"
)

// Managers judges an access token of the management plane: whose it is, and which environments its bearer may read. Its
// errors are those of the management API.
type Managers func(ctx context.Context, token string) (id model.ClientID, mayRead func(model.EnvironmentID) bool, err error)

// manager asks with a management token what a scope would be told. Such an answer is a simulation and no decision.
type manager struct {
	token   string
	id      model.ClientID
	mayRead func(model.EnvironmentID) bool // nil = not authenticated yet
}

// AllowSimulation lets the call be asked with a management token in place of the credentials of the scope that it names. It
// must come before the call is authenticated. A call without it never looks at such a token.
func (c *Call) AllowSimulation() {
	if text := tokenOf(c.in.Authorization); c.service.options.Managers != nil && token.ClaimsManagement(text) {
		c.manager = &manager{token: text}
	}
}

// authenticateManager checks the management token.
func (c *Call) authenticateManager(ctx context.Context) (err error) {
	if c.manager.mayRead == nil && !c.service.limits.allow("", c.address) {
		return tooMany()
	}
	id, mayRead, err := c.service.options.Managers(ctx, c.manager.token)
	if err != nil {
		return err
	}
	if c.env != nil && !mayRead(c.env.id) {
		return noSuchScope(c.scope.ClientID)
	}
	c.manager.id, c.manager.mayRead, c.record.SimulatedBy = id, mayRead, id
	return nil
}

// simulate finds the scope that a manager asks for. A scope of an environment that he may not read is not there.
func (c *Call) simulate(ctx context.Context, id model.ClientID) error {
	if c.manager.mayRead == nil {
		return &model.Error{Op: "decide", Err: errors.New("the manager is not authenticated")}
	}
	if id == "" {
		return model.Invalidf("clientId: required")
	}
	c.look()
	env, st, scope := c.service.options.Directory.find(id)
	if scope == nil || !c.manager.mayRead(env.id) {
		return noSuchScope(id)
	}
	c.env, c.state, c.scope = env, st, scope
	c.record.Environment = env.id
	return ctx.Err()
}

// instant is the time of a question (E22).
func (c *Call) instant(s *Situation) time.Time {
	if c.manager != nil && !s.instant.IsZero() {
		return s.instant
	}
	return c.started
}

func noSuchScope(id model.ClientID) error {
	id = model.ClientID(firstRunes(string(id), 128))
	return &model.Error{
		Kind: model.KindNotFound, Code: "MGT-006", Name: "ScopeNotFoundError", Args: []string{"Scope", string(id)},
		Message: fmt.Sprintf("Scope: [%s] not found, or disabled", id),
	}
}
