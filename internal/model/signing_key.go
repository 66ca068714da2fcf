package model

import "time"

// Stores of keys that sign answers (policy-model.md 2.4); the empty text in JWTResponse means: the file of the client id, if
// there is one, else the server's own key.
const (
	KeysFile        = "FILE"        // of the directory of keys
	KeysEnvironment = "ENVIRONMENT" // variables of the server's process
	KeysDatabase    = "DATABASE"    // SigningKey of the scope's environment
)

// SigningKey is a key of an environment that signs the answers to the scopes which name it (runtime-api.md 8.6), or one that
// did before and is still published (8.7).
type SigningKey struct {
	Name    string    // external id
	Retired string    // kid of one that was replaced or deleted; "" = the key that signs
	Sealed  []byte    // private key and certificates, sealed; nil of a retired one
	Public  []byte    // as the JWK set shows it
	Until   time.Time // end of the publication of a retired one
}

// Validate checks the name.
func (k *SigningKey) Validate() error {
	var es Errors
	es.check("/name", CheckExternalID(k.Name))
	return es.OrNil()
}
