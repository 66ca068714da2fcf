package decide

import (
	"cmp"
	"errors"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/token"
)

// Keys chooses the key that signs the answers to a scope; token.AnswerKeys does.
type Keys interface {
	Choose(scope *model.Scope, stored *model.SigningKey) (*token.AnswerKey, error)
}

// defaultLifetime is how long a signed answer is good of a scope that does not say.
const defaultLifetime = 300 * time.Second

// Signature is what a signed answer says beside the answer (runtime-api.md 8.6). Times are in full seconds.
type Signature struct {
	Issuer    string
	Subject   string // "" = none: the answer is about nobody in particular
	Audience  string // the scope's; "" = none
	ClientID  model.ClientID
	ID        string
	IssuedAt  time.Time
	ExpiresAt time.Time
	key       *token.AnswerKey
}

// Begin starts the token on w. Its payload is what is written to the result, and Close ends it.
func (s *Signature) Begin(w io.Writer) (io.WriteCloser, error) { return s.key.Begin(w) }

// sign makes the signature of an answer that was found, nil when none is wanted. An error is of kind internal: the scope's
// key cannot be used.
func (c *Call) sign(wanted bool, subject string) (*Signature, error) {
	if !wanted {
		return nil, nil
	}
	if c.service.options.Keys == nil {
		return nil, &model.Error{Op: "decide.sign", Err: errors.New("there are no keys")}
	}
	settings := c.scope.Response
	if settings == nil {
		settings = &model.JWTResponse{}
	}
	key, err := c.service.options.Keys.Choose(c.scope, c.state.signingKey(c.scope.StoredKey()))
	if err != nil {
		// as text: what is wrong with the settings is for the log, and not the caller's fault
		return nil, &model.Error{Op: "decide.sign", Err: errors.New(err.Error())}
	}
	lifetime := cmp.Or(time.Duration(settings.LifetimeSeconds)*time.Second, defaultLifetime)
	now := c.service.options.Clock().Truncate(time.Second)
	return &Signature{
		Issuer: cmp.Or(settings.Issuer, c.service.options.Issuer, "ambit"), Subject: subject, Audience: settings.Audience,
		ClientID: c.scope.ClientID, ID: uuid.NewString(), IssuedAt: now, ExpiresAt: now.Add(lifetime), key: key,
	}, nil
}
