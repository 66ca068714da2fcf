package manage

import (
	"context"
	"crypto"
	"crypto/subtle"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/lestrrat-go/jwx/v3/jwk"

	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

const (
	maxPrivateKey = 64 << 10 // bytes of PEM
	// maxSigningKeys is how many keys of an environment may be published at a time: clients read few of a set.
	maxSigningKeys = 50
	// retiredKey is for how long a key is published after it was replaced: an answer is good for at most a day, and a node that
	// cannot read the store goes on signing with the old one for a while.
	retiredKey = 48 * time.Hour
)

// SigningKeyForm is a key on the wire: never with its private part.
type SigningKeyForm struct {
	Name       string         `json:"name"`
	PrivateKey string         `json:"privateKey"` // as masked
	Algorithm  string         `json:"alg"`
	KID        string         `json:"kid"`
	PublicKey  jsontext.Value `json:"publicKey"`
}

// SigningKeyFormOf is the wire form of a key.
func SigningKeyFormOf(k *model.SigningKey) SigningKeyForm {
	var public struct {
		Algorithm string `json:"alg"`
		KID       string `json:"kid"`
	}
	if json.Unmarshal(k.Public, &public) != nil {
		return SigningKeyForm{Name: k.Name, PublicKey: jsontext.Value("null")}
	}
	return SigningKeyForm{Name: k.Name, PrivateKey: maskedText, Algorithm: public.Algorithm, KID: public.KID, PublicKey: k.Public}
}

const maskedText = "***"

func signingKeySubject() *subject[model.SigningKey] {
	return &subject[model.SigningKey]{
		resource: always[model.SigningKey](resourceSigningKey),
		id:       func(k *model.SigningKey) string { return k.Name },
		name:     func(k *model.SigningKey) string { return k.Name },
		format:   func(k *model.SigningKey) []byte { return form.Encode(SigningKeyFormOf(k)) },
	}
}

func signingKeyKind() *kind[store.Key, model.SigningKey] {
	return &kind[store.Key, model.SigningKey]{
		name: "SigningKey", subject: signingKeySubject(),
		in: func(tx *store.Tx) store.Collection[store.Key, model.SigningKey] { return tx.SigningKeys },
		id: func(key store.Key) string { return key.Owner },
		missing: func(tx *store.Tx, key store.Key) error {
			return missingResource("SigningKey", key.Owner)
		},
	}
}

// FindSigningKeys lists the keys of an environment that sign, by name.
func (s *Service) FindSigningKeys(ctx context.Context, env model.EnvironmentID) ([]Stored[model.SigningKey], Seen, error) {
	return findObjects(ctx, s, env, signingKeyKind(), func(k *model.SigningKey) (store.Key, bool) {
		return store.Key{Owner: k.Name}, k.Retired == ""
	})
}

// FindSigningKey reads one key.
func (s *Service) FindSigningKey(ctx context.Context, env model.EnvironmentID, name string) (Stored[model.SigningKey], error) {
	return findObject(ctx, s, env, signingKeyKind(), store.Key{Owner: name})
}

// PutSigningKey makes or replaces a key, which signs from the commit's revision on; the one that it replaces stays published
// until what it signed has expired, or with revoke ends at once. "***" in the place of the private key keeps what is stored.
func (s *Service) PutSigningKey(ctx context.Context, call Call, env model.EnvironmentID, name string, revoke bool, body []byte) (Stored[model.SigningKey], Done, error) {
	return changeObject(ctx, s, &call, env, signingKeyKind(), store.Key{Owner: name}, func(w *writer, before *model.SigningKey) (model.SigningKey, error) {
		var f struct {
			Name       string `json:"name"`
			PrivateKey string `json:"privateKey"`
		}
		if len(body) > maxPrivateKey {
			return model.SigningKey{}, model.LimitExceeded("bytes of a key", int64(len(body)), maxPrivateKey)
		}
		if err := form.Decode(body, &f); err != nil {
			return model.SigningKey{}, err
		}
		after := model.SigningKey{Name: name}
		var errs model.Errors
		sameID(&errs, "/name", f.Name, name)
		errs.Collect(after.Validate())
		if f.PrivateKey == maskedText && before != nil {
			after = *before
		} else if err := s.seal(w, &after, f.PrivateKey, before); err != nil {
			errs.Add("/privateKey", "%v", err)
		}
		if len(errs) > 0 {
			return after, errs
		}
		if before != nil && !sameKID(before, &after) {
			if err := w.retire(before, revoke); err != nil {
				return after, err
			}
		}
		return after, s.checkPublished(w, &after)
	})
}

// seal makes a key of PEM and checks that the scopes which name it can use it.
func (s *Service) seal(w *writer, key *model.SigningKey, text string, before *model.SigningKey) error {
	switch {
	case s.answers == nil:
		return model.Invalidf("this server has no key store")
	case text == maskedText:
		return model.Invalidf("*** keeps the stored key, and there is none")
	}
	made, err := s.answers.Seal(w.Environment, key.Name, text, before)
	if err != nil {
		return err
	}
	*key = made
	for scope, err := range w.Scopes.FindAll() {
		if err != nil {
			return err
		}
		if scope.StoredKey() != key.Name {
			continue
		}
		if _, err := s.answers.Choose(&scope, key); err != nil {
			return model.Invalidf("scope %s signs with it: %v", scope.ClientID, err)
		}
	}
	return nil
}

// retire keeps the public part of a key that signs no more, unless with revoke, which ends all that had its name, and clears
// away those whose time is over.
func (w *writer) retire(key *model.SigningKey, revoke bool) error {
	var over []model.SigningKey
	err := each(w.SigningKeys.FindAll(), func(k model.SigningKey) {
		if k.Retired != "" && (!w.now.Before(k.Until) || revoke && k.Name == key.Name) {
			over = append(over, k)
		}
	})
	for i := 0; i < len(over) && err == nil; i++ {
		_, err = w.SigningKeys.Delete(store.Key{Owner: over[i].Name, ID: over[i].Retired})
	}
	if err == nil && !revoke {
		_, err = w.SigningKeys.Put(model.SigningKey{
			Name: key.Name, Retired: SigningKeyFormOf(key).KID, Public: key.Public, Until: w.now.Add(retiredKey),
		})
	}
	return err
}

// checkPublished checks that the key can be published beside the others of all environments: a kid names one key.
func (s *Service) checkPublished(w *writer, key *model.SigningKey) error {
	var stored []model.SigningKey
	others, kid := 0, SigningKeyFormOf(key).KID
	err := each(w.SigningKeys.FindAll(), func(k model.SigningKey) {
		stored = append(stored, k)
		if !sameKID(&k, key) {
			others++
		}
	})
	if err != nil {
		return err
	}
	if others >= maxSigningKeys {
		return model.LimitExceeded("keys", int64(others)+1, maxSigningKeys)
	}
	public, err := s.publicKeys(stored)
	if err != nil {
		return err
	}
	other, taken := public.LookupKeyID(kid)
	if taken && !sameKey(other, key.Public) {
		return alreadyExists("Kid", kid)
	}
	return nil
}

func sameKID(a, b *model.SigningKey) bool { return SigningKeyFormOf(a).KID == SigningKeyFormOf(b).KID }

// sameKey compares by the thumbprint of RFC 7638.
func sameKey(a jwk.Key, text []byte) bool {
	b, err := jwk.ParseKey(text)
	if err != nil {
		return false
	}
	x, e1 := a.Thumbprint(crypto.SHA256)
	y, e2 := b.Thumbprint(crypto.SHA256)
	return e1 == nil && e2 == nil && subtle.ConstantTimeCompare(x, y) == 1
}

// DeleteSigningKey ends a key that no scope names. It stays published as one that is replaced.
func (s *Service) DeleteSigningKey(ctx context.Context, call Call, env model.EnvironmentID, name string, revoke bool) (Done, error) {
	return removeObject(ctx, s, &call, env, signingKeyKind(), store.Key{Owner: name}, func(w *writer, key *model.SigningKey) error {
		var users []string
		err := each(w.Scopes.FindAll(), func(scope model.Scope) {
			if scope.StoredKey() == name {
				users = append(users, string(scope.ClientID))
			}
		})
		if err != nil {
			return err
		}
		if len(users) > 0 {
			return inUse("SigningKey", name, "scope", users)
		}
		return w.retire(key, revoke)
	})
}
