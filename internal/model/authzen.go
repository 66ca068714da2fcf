package model

import (
	"cmp"
	"slices"
	"time"
)

// Detail is how much AuthZEN tells of a decision beside yes or no (authzen.md 13).
type Detail string

// The levels of detail, each telling what the one before tells and more.
const (
	DetailNone     Detail = "none"
	DetailReasons  Detail = "reasons"
	DetailPolicies Detail = "policies"
)

func (d Detail) rank() int {
	return slices.Index([]Detail{DetailNone, DetailReasons, DetailPolicies}, d)
}

// Tells reports whether level d tells what level other tells.
func (d Detail) Tells(other Detail) bool { return d.rank() >= other.rank() }

// AuthZENSettings are a scope's settings for OpenID AuthZEN (authzen.md 15). The zero value holds every default.
type AuthZENSettings struct {
	Off           bool   // the routes of AuthZEN refuse the scope
	SearchOff     bool   // the searches do
	Detail        Detail // where a request asks for none; "" = none
	DetailMax     Detail // whatever a request asks for; "" = reasons
	TokenLifetime int    // seconds that an access token of the scope lives; 0 = an hour
}

// DefaultTokenLifetime is how long an access token of a scope lives that says nothing of it, in seconds.
const DefaultTokenLifetime = 3600

// Lifetime is how long an access token of the scope lives.
func (a *AuthZENSettings) Lifetime() time.Duration {
	return time.Duration(cmp.Or(a.TokenLifetime, DefaultTokenLifetime)) * time.Second
}

// DetailFor is the level in force for a request that asks for a level. Anything but one of the three words asks for none.
func (a *AuthZENSettings) DetailFor(asked Detail) Detail {
	limit := cmp.Or(a.DetailMax, DetailReasons)
	if asked.rank() < 0 {
		asked = cmp.Or(a.Detail, DetailNone)
	}
	if asked.Tells(limit) {
		return limit
	}
	return asked
}

// Tokens live from a minute to seven days, as those of API credentials do (management-api.md 4).
const (
	minTokenLifetime = 60
	maxTokenLifetime = 7 * 24 * 3600
)

func (a *AuthZENSettings) check(es *Errors) {
	for _, f := range []struct {
		field string
		level Detail
	}{{"/authzenContext", a.Detail}, {"/authzenContextMax", a.DetailMax}} {
		if f.level != "" && f.level.rank() < 0 {
			es.Add(f.field, "%q is not none, reasons or policies", f.level)
		}
	}
	if a.TokenLifetime != 0 && (a.TokenLifetime < minTokenLifetime || a.TokenLifetime > maxTokenLifetime) {
		es.Add("/authzenTokenLifetime", "is not between %d and %d", minTokenLifetime, maxTokenLifetime)
	}
}
