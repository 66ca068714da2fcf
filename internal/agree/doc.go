// Package agree holds the test that every endpoint gives the same answer: one random environment, asked through the real
// handlers by every route that decides, on a real store.
//
// Start at TestAllEndpointsAgree, then question.ask. The package holds tests only and is imported by nothing. It judges
// nothing by itself: each answer is held against the answers of the other endpoints, and truth tests of package engine
// hold the engine against a reference.
package agree
