// Package bank is Harbour Bank, the sample environment of Ambit: a retail bank with branches in four regions, as a
// directory in the layout of exports (management-api.md 21.1), and the records of its asset types and identity
// templates, made by a seeded generator.
//
// Start at Files for the configuration and at WriteAssets and WriteIdentities for the records. The same seed and count
// give the same records on every machine and in every version of Go.
//
// The package never reads a clock, a file or the network, and holds no secret.
package bank

import (
	"embed"
	"io/fs"
)

// EnvironmentID and EnvironmentName identify the environment that the policies were exported from.
const (
	EnvironmentID   = "5e7d0c1a-9b3f-4a57-8c21-0d6f5b8e4a10"
	EnvironmentName = "Harbour Bank"
)

// Scopes of the environment: the branch portal reaches all asset types, the reports only the ledger.
const (
	PortalClientID  = "HARBOURPORTAL0000001"
	ReportsClientID = "HARBOURLEDGER0000001"
)

// The people that README.md asks for. All are of SampleTemplate.
const (
	SampleTemplate = "Staff"
	SampleUser     = "mreyes"     // Marta Reyes, teller in Porto
	SampleManager  = "tokafor"    // Tunde Okafor, branch manager in Lagos, who also covers other branches
	SampleAuditor  = "ihalvorsen" // Ingrid Halvorsen, internal auditor with three cases
	SampleRisk     = "lgrant"     // Leonor Grant, chief risk officer, who reads the whole ledger
)

// Seed is the seed of WriteAssets and WriteIdentities.
const Seed uint64 = 20260401

//go:embed authorization-workspaces identity-workspaces environment
var files embed.FS

// Files is the exported directory, with authorization-workspaces, identity-workspaces and environment at its root. It
// holds no records: those come from WriteAssets and WriteIdentities.
func Files() fs.FS { return files }
