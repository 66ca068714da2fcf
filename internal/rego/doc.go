// Package rego reads and writes Structured Rego, the text form of policies and building blocks (policy-model.md 6 and 7).
//
// Start at Parse (text to Module), PrintPolicy and PrintBlocks (stored objects to text) and RulesKey (when two blocks
// have the same rules). The way of a text: scan.go makes tokens and collects the metadata comments, parse.go and line.go
// read functions and their lines, metadata.go and header.go read the YAML, build.go and its neighbours check them and
// make blocks.
//
// Promises: Parse reports every error it can find, at most 100, in order of position, each with the code, text and
// position of policy-model.md 7, and never panics. What PrintPolicy writes is deterministic byte for byte, is read back
// by Parse as the same policy, and is a Rego version 1 module that the Open Policy Agent compiles. All functions are
// safe for concurrent use.
//
// Never: it does not decide, does not resolve blocks against stored ones (policy-model.md 8 is package manage's), and
// does not accept Rego beyond the grammar of policy-model.md 6.3.
package rego
