// Package model is the domain of Ambit: containers, templates, records, building blocks and policies as
// policy-model.md defines them, the values they are made of, and the one error type of the program.
//
// Start at policy.go (Policy, Block, Rule), then template.go and record.go. Types are plain data without behaviour
// beyond validation and comparison. A value of this package that has been handed to another package is never changed
// again: to change one, copy it.
//
// The package imports nothing of Ambit, does no I/O and reads no clock.
package model
