// Package token makes and checks what callers prove themselves with, client secrets and access tokens, and signs answers.
//
// Start at Secrets (New, Hash, Check) and Tokens (Issue, Verify); Incoming judges the tokens of other issuers by the key sets
// that they publish, and AnswerKeys sign answers. Secrets and tokens live in the caller's hands only: the store keeps hashes.
// The server's own keys (ReadOrMakeKey, ReadOrMakeSigningKeys, NewAnswerKeys) are in the data directory, in files that only their
// owner can read; keys of scopes are where their owners put them, and sealed where that is the store.
//
// The package promises that checking costs the same whether or not the client is known, and that nothing it returns as
// an error names a secret, a hash or a token. It must never log, and never accept a token by an algorithm that the token
// itself chose.
package token
