// Package manage holds the use cases of the management plane: who may call (Authenticate, Caller), the objects of an
// environment and their exported JSON forms (Parse…, Format…), bulk writes of assets and identities, and the whole
// directory in one step (Apply).
//
// Start at Service, then Call. Every write is one transaction of the store with its audit events: all of it or nothing,
// one revision, and with Call.DryRun the same checks and the same answer without the write. Errors are *model.Error or
// model.Errors; everything that is wrong with an object is reported at once.
//
// The package must never answer an access question, never keep state that a restart would miss, and never return or
// record a secret except in the one answer that hands it out.
package manage
