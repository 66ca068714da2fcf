package manage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
	"github.com/ambit-authz/ambit/internal/token"
)

// Bounds of API credentials (management-api.md 4).
const (
	minTokenDuration  = time.Minute
	maxTokenDuration  = 7 * 24 * time.Hour
	maxCredentialName = 100
)

// CredentialView is an API credential as callers see it.
type CredentialView struct {
	Credential model.Credential // Secret is empty
	Secret     string           // only in the one answer that hands it out
	Seen       Seen
	idOff      bool // the id was made for a dry run and means nothing
}

// CredentialBody is the wire form of an API credential.
type CredentialBody struct {
	ID            *string `json:"id"`
	OwnerID       *string `json:"ownerId"`
	OwnerType     string  `json:"ownerType"`
	Name          string  `json:"name"`
	Description   string  `json:"description"`
	Secret        *string `json:"secret"`
	TokenDuration string  `json:"tokenDuration"`
	Permission    string  `json:"permission"`
}

// Body is the wire form.
func (v *CredentialView) Body() CredentialBody {
	f := form.OfCredential(&v.Credential)
	out := CredentialBody{
		OwnerID: f.OwnerID, OwnerType: f.OwnerType, Name: f.Name, Description: f.Description,
		TokenDuration: f.TokenDuration, Permission: f.Permission,
	}
	if !v.idOff {
		out.ID = &f.ID
	}
	if v.Secret != "" {
		out.Secret = &v.Secret
	}
	return out
}

// credentialChange is what a body states. Keys that are left out keep what is stored, or the default.
type credentialChange struct {
	OwnerID       *string `json:"ownerId"`
	OwnerType     *string `json:"ownerType"`
	Name          *string `json:"name"`
	Description   *string `json:"description"`
	TokenDuration *string `json:"tokenDuration"`
	Permission    *string `json:"permission"`
}

// owner is the environment that the body names, "" for the tenant.
func (f *credentialChange) owner() (model.EnvironmentID, error) {
	named := form.OrDefault(f.OwnerID, "")
	kind := form.OrDefault(f.OwnerType, "")
	if kind == "" {
		kind = form.OwnerTenant
		if named != "" {
			kind = form.OwnerEnvironment
		}
	}
	switch {
	case kind == form.OwnerTenant && named == "":
		return "", nil
	case kind == form.OwnerTenant:
		return "", model.Invalidf("/ownerId: the tenant's credentials have none")
	case kind != form.OwnerEnvironment:
		return "", model.Invalidf("/ownerType: is not %s or %s", form.OwnerEnvironment, form.OwnerTenant)
	case named == "":
		return "", model.Invalidf("/ownerId: is missing")
	}
	id, ok := model.ParseUUID(named)
	if !ok {
		return "", NotUUID(named)
	}
	return model.EnvironmentID(id), nil
}

// apply changes c as the body says and reports everything that is wrong with it.
func (f *credentialChange) apply(c *model.Credential) error {
	var errs model.Errors
	c.Name, c.Description = form.OrDefault(f.Name, c.Name), form.OrDefault(f.Description, c.Description)
	if n := utf8.RuneCountInString(c.Name); n < 1 || n > maxCredentialName {
		errs.Add("/name", "has %d characters, 1 to %d are allowed", n, maxCredentialName)
	}
	if f.TokenDuration != nil {
		d, err := parseISODuration(*f.TokenDuration)
		if err == nil && (d < minTokenDuration || d > maxTokenDuration) {
			err = errors.New("is not between PT1M and P7D")
		}
		if err != nil {
			errs.Add("/tokenDuration", "%v", err)
		}
		c.TokenDuration = d
	}
	if f.Permission != nil {
		c.Permission = model.Permission(*f.Permission)
	}
	if c.Permission != model.PermissionAdmin && c.Permission != model.PermissionViewer {
		errs.Add("/permission", "is not %s or %s", model.PermissionAdmin, model.PermissionViewer)
	} else if c.EnvironmentID == "" && c.Permission != model.PermissionAdmin {
		errs.Add("/permission", "the tenant's credentials are always %s", model.PermissionAdmin)
	}
	return errs.OrNil()
}

// parseISODuration reads the ISO 8601 durations whose length does not depend on a calendar: weeks, days, hours, minutes,
// seconds, in whole numbers.
func parseISODuration(text string) (time.Duration, error) {
	bad := errors.New("is not an ISO 8601 duration such as PT60M or P1D")
	rest, ok := strings.CutPrefix(text, "P")
	if !ok || rest == "" {
		return 0, bad
	}
	day, clock, hasClock := strings.Cut(rest, "T")
	if hasClock && clock == "" {
		return 0, bad
	}
	units := []struct {
		letter byte
		size   time.Duration
	}{{'W', 7 * 24 * time.Hour}, {'D', 24 * time.Hour}, {'H', time.Hour}, {'M', time.Minute}, {'S', time.Second}}
	var total time.Duration
	for _, part := range []struct {
		text     string
		from, to int
	}{{day, 0, 2}, {clock, 2, 5}} {
		next := part.from
		for text := part.text; text != ""; {
			digits := strings.IndexFunc(text, func(r rune) bool { return r < '0' || r > '9' })
			if digits < 1 || digits > 7 {
				return 0, bad
			}
			for next < part.to && units[next].letter != text[digits] {
				next++
			}
			if next == part.to {
				return 0, bad
			}
			n := 0
			for _, c := range text[:digits] {
				n = n*10 + int(c-'0')
			}
			if n > int(maxTokenDuration/time.Second) {
				return 0, errors.New("is not between PT1M and P7D")
			}
			total += time.Duration(n) * units[next].size
			text = text[digits+1:]
			next++
		}
	}
	return total, nil
}

// mayCredentials reports whether the caller may see and change the credentials of owner; the error names verb, get or
// what else was tried.
func (c *Caller) mayCredentials(owner model.EnvironmentID, verb string) error {
	right, name, resource, id := RightWrite, "forbiddenEnvironment", "Environment", string(owner)
	if owner == "" {
		right, name, resource, id = RightTenant, "forbiddenTenant", "Tenant", "null"
	}
	if c.May(right, owner) {
		return nil
	}
	return &model.Error{
		Kind: model.KindForbidden, Code: "MGT-005", Name: name, Args: []string{verb, resource, id},
		Message: fmt.Sprintf("operation %s for resource %s %s is not allowed because the current user does not have the appropriate permissions",
			verb, resource, id),
	}
}

func missingCredential(id model.ClientID) error {
	return &model.Error{
		Kind: model.KindNotFound, Code: "MGT-006", Name: "clientNotFoundError", Args: []string{string(id)},
		Message: fmt.Sprintf("Client %s not found", id),
	}
}

// CreateCredential makes an API credential from its wire form, with a secret that is shown in the result and never again.
func (s *Service) CreateCredential(ctx context.Context, call Call, body []byte) (CredentialView, Done, error) {
	var f credentialChange
	if err := form.Decode(body, &f); err != nil {
		return CredentialView{}, Done{}, err
	}
	owner, err := f.owner()
	if err != nil {
		return CredentialView{}, Done{}, err
	}
	if err := call.Caller.mayCredentials(owner, "create"); err != nil {
		return CredentialView{}, Done{}, err
	}
	c := model.Credential{
		ClientID: token.NewClientID(), EnvironmentID: owner, TokenDuration: defaultTokenDuration,
		Permission: model.PermissionAdmin, Generation: 1, CreatedAt: s.now(),
	}
	if err := f.apply(&c); err != nil {
		return CredentialView{}, Done{}, err
	}
	out := CredentialView{idOff: call.DryRun}
	if !call.DryRun {
		out.Secret, c.Secret = s.secrets.New(s.now())
	}
	done := Done{Result: Created}
	done.Revision, err = s.update(ctx, &call, owner, func(w *writer) error {
		if err := w.freeCredential(&c); err != nil {
			return err
		}
		if _, err := put(w, credentialSubject(), w.Credentials, c.ClientID, c); err != nil {
			return err
		}
		done.Version, err = doneVersion(w, w.Credentials, c.ClientID, Created)
		return err
	})
	out.Credential = withoutSecret(c)
	return out, done, err
}

func withoutSecret(c model.Credential) model.Credential {
	c.Secret = model.SecretHash{}
	return c
}

// freeCredential refuses a name that another credential of the owner has.
func (w *writer) freeCredential(c *model.Credential) error {
	for other, err := range w.Credentials.FindAll() {
		if err != nil {
			return err
		}
		if other.EnvironmentID == c.EnvironmentID && other.Name == c.Name && other.ClientID != c.ClientID {
			return &model.Error{
				Kind: model.KindInvalid, Code: "MGT-008", Name: "clientAlreadyExists", Args: []string{c.Name},
				Message: fmt.Sprintf("client %s already exists", c.Name),
			}
		}
	}
	return nil
}

// FindCredential reads one credential, if the caller may see it. To those who may see no credentials at all it does not
// tell which exist.
func (s *Service) FindCredential(ctx context.Context, caller *Caller, id model.ClientID) (CredentialView, error) {
	owner, err := s.credentialOwner(ctx, caller, id, "get")
	if err != nil {
		return CredentialView{}, err
	}
	var out CredentialView
	err = s.view(ctx, owner, func(tx *store.Tx) error {
		c, seen, err := find(tx, tx.Credentials, id, "Client", string(id))
		if model.KindOf(err) == model.KindNotFound {
			return missingCredential(id)
		}
		out = CredentialView{Credential: withoutSecret(c), Seen: seen}
		return err
	})
	return out, err
}

// credentialOwner finds whose a credential is and whether the caller may deal with it.
func (s *Service) credentialOwner(ctx context.Context, caller *Caller, id model.ClientID, verb string) (model.EnvironmentID, error) {
	if err := caller.mayCredentials(caller.EnvironmentID, verb); err != nil {
		return "", err
	}
	var c model.Credential
	err := s.view(ctx, "", func(tx *store.Tx) (err error) {
		c, err = tx.Credentials.Find(id)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return "", missingCredential(id)
	}
	if err != nil {
		return "", err
	}
	return c.EnvironmentID, caller.mayCredentials(c.EnvironmentID, verb)
}

// CredentialFilter says which credentials FindCredentials lists. Empty texts demand nothing but Owner, "" being the
// tenant.
type CredentialFilter struct {
	Owner                model.EnvironmentID
	ID, Name, Permission string
	Descending           bool
}

// FindCredentials lists the credentials of one owner by name, without secrets.
func (s *Service) FindCredentials(ctx context.Context, caller *Caller, f CredentialFilter) ([]CredentialView, Seen, error) {
	if err := caller.mayCredentials(f.Owner, "get"); err != nil {
		return nil, Seen{}, err
	}
	var out []CredentialView
	var seen Seen
	err := s.view(ctx, f.Owner, func(tx *store.Tx) error {
		seen.Revision = tx.Revision
		for c, err := range tx.Credentials.FindAll() {
			if err != nil {
				return err
			}
			if c.EnvironmentID == f.Owner && (f.ID == "" || f.ID == string(c.ClientID)) && (f.Name == "" || f.Name == c.Name) &&
				(f.Permission == "" || f.Permission == string(c.Permission)) {
				out = append(out, CredentialView{Credential: withoutSecret(c)})
			}
		}
		return nil
	})
	slices.SortFunc(out, func(a, b CredentialView) int {
		order := strings.Compare(a.Credential.Name, b.Credential.Name)
		if f.Descending {
			return -order
		}
		return order
	})
	return out, seen, err
}

// PutCredential changes name, description, duration and permission. Tokens that were issued before end when the
// permission changes (management-api.md 2.2).
func (s *Service) PutCredential(ctx context.Context, call Call, id model.ClientID, body []byte) (CredentialView, Done, error) {
	return s.changeCredential(ctx, call, id, "update", func(c *model.Credential) error {
		var f credentialChange
		if err := form.Decode(body, &f); err != nil {
			return err
		}
		var stated struct {
			ID *string `json:"id"`
		}
		if err := form.Decode(body, &stated); err != nil {
			return err
		}
		if stated.ID != nil && *stated.ID != string(id) {
			return model.Invalidf("/id: cannot be changed")
		}
		if f.OwnerID != nil || f.OwnerType != nil {
			owner, err := f.owner()
			if err != nil {
				return err
			}
			if owner != c.EnvironmentID {
				return model.Invalidf("/ownerId: cannot be changed")
			}
		}
		before := c.Permission
		if err := f.apply(c); err != nil {
			return err
		}
		if c.Permission != before {
			c.Generation++
		}
		return nil
	})
}

// MakeCredentialSecret replaces the secret; the old one and its tokens end at once. A dry run makes none.
func (s *Service) MakeCredentialSecret(ctx context.Context, call Call, id model.ClientID) (CredentialView, Done, error) {
	secret := ""
	out, done, err := s.changeCredential(ctx, call, id, "update", func(c *model.Credential) error {
		if !call.DryRun {
			secret, c.Secret = s.secrets.New(s.now())
		}
		c.Generation++
		return nil
	})
	if err == nil {
		out.Secret = secret
	}
	return out, done, err
}

func (s *Service) changeCredential(ctx context.Context, call Call, id model.ClientID, verb string, change func(*model.Credential) error) (CredentialView, Done, error) {
	var out CredentialView
	var done Done
	owner, err := s.credentialOwner(ctx, &call.Caller, id, verb)
	if err != nil {
		return out, done, err
	}
	done.Revision, err = s.update(ctx, &call, owner, func(w *writer) error {
		c, err := w.Credentials.Find(id)
		if errors.Is(err, store.ErrNotFound) {
			return missingCredential(id)
		} else if err != nil {
			return err
		}
		if err := precondition(w, w.Credentials, id, "Client", string(id)); err != nil {
			return err
		}
		if err := change(&c); err != nil {
			return err
		}
		if err := w.freeCredential(&c); err != nil {
			return err
		}
		if done.Result, err = put(w, credentialSubject(), w.Credentials, id, c); err != nil {
			return err
		}
		if done.Version, err = doneVersion(w, w.Credentials, id, done.Result); err != nil {
			return err
		}
		out.Credential = withoutSecret(c)
		return nil
	})
	return out, done, err
}

// DeleteCredential ends a credential, its secret and its tokens at once. The last one of the tenant stays.
func (s *Service) DeleteCredential(ctx context.Context, call Call, id model.ClientID) (Done, error) {
	done := Done{Result: Deleted}
	owner, err := s.credentialOwner(ctx, &call.Caller, id, "delete")
	if err != nil {
		return done, err
	}
	done.Revision, err = s.update(ctx, &call, owner, func(w *writer) error {
		if err := precondition(w, w.Credentials, id, "Client", string(id)); err != nil {
			return err
		}
		others := 0
		for c, err := range w.Credentials.FindAll() {
			if err != nil {
				return err
			}
			if c.EnvironmentID == "" && c.ClientID != id {
				others++
			}
		}
		if owner == "" && others == 0 {
			return inUse("Client", string(id), "the tenant", []string{"it is the last admin credential"})
		}
		result, err := remove(w, credentialSubject(), w.Credentials, id)
		if err == nil && result == Unchanged {
			return missingCredential(id)
		}
		return err
	})
	return done, err
}
