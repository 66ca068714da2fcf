package manage

import "github.com/ambit-authz/ambit/internal/model"

// Hash makes the stored form of a secret for tests that store credentials themselves.
func (s *Service) Hash(secret string) (model.SecretHash, error) {
	return s.secrets.Hash(secret, s.now())
}

// StoreError gives the tests the classification of store errors.
var StoreError = storeError

// Relink is relink.
var Relink = relink //nolint:gochecknoglobals // a name for tests
