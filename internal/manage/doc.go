// Package manage holds the use cases of the management plane: who may call (Authenticate, Caller), the objects of an
// environment, bulk writes of assets and identities, the whole directory in one step (Apply, Export), and what a change would
// do to decisions (Impact).
//
// What needs neither the service nor the store has rooms of its own: form (the exported JSON forms of objects), bulk (many
// records as NDJSON and CSV) and archive (directories as zip and tar, file names).
//
// Start at Service, then Call; object.go has the course of every write of one object, mirror.go what is kept in memory to
// read policies. Every write is one transaction of the store with its audit events: all of it or nothing,
// one revision, and with Call.DryRun the same checks and the same answer without the write. Errors are *model.Error or
// model.Errors; everything that is wrong with an object is reported at once.
//
// The package must never answer an access question, never keep state whose loss does harm (a restart ends the lists that
// are read page by page), and never return or record a secret except in the one answer that hands it out.
package manage
