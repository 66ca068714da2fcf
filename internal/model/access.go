package model

import "time"

// Revocation ends one access token before its time (management-api.md 2.4). It means nothing once the token has expired.
type Revocation struct {
	TokenID   string
	ExpiresAt time.Time // of the token
}

// Report is a finished report of an environment (management-api.md 14.6).
type Report struct {
	ID        string // uuid
	Type      string
	Attribute string // key of the custom attribute
	Format    string // PDF, JSON or CSV
	CreatedAt time.Time
	Content   []byte
}
