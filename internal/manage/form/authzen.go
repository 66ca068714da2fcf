package form

import (
	"cmp"

	"github.com/ambit-authz/ambit/internal/model"
)

// AuthZEN is the exported form of a scope's settings for AuthZEN (authzen.md 15). Nil = the default.
type AuthZEN struct {
	Enabled       *bool   `json:"authzenEnabled"`
	SearchEnabled *bool   `json:"authzenSearchEnabled"`
	Context       *string `json:"authzenContext"`
	ContextMax    *string `json:"authzenContextMax"`
	TokenLifetime *int    `json:"authzenTokenLifetime"`
}

func ofAuthZEN(a *model.AuthZENSettings) AuthZEN {
	on, search := !a.Off, !a.SearchOff
	level, limit := string(cmp.Or(a.Detail, model.DetailNone)), string(cmp.Or(a.DetailMax, model.DetailReasons))
	lifetime := cmp.Or(a.TokenLifetime, model.DefaultTokenLifetime)
	return AuthZEN{Enabled: &on, SearchEnabled: &search, Context: &level, ContextMax: &limit, TokenLifetime: &lifetime}
}

// settings has a default in one form only, so that saying it changes nothing.
func (f *AuthZEN) settings(errs *model.Errors) model.AuthZENSettings {
	if f.TokenLifetime != nil && *f.TokenLifetime == 0 {
		errs.Add("/authzenTokenLifetime", "is not above 0")
	}
	for _, level := range []struct {
		field string
		text  *string
	}{{"/authzenContext", f.Context}, {"/authzenContextMax", f.ContextMax}} {
		if level.text != nil && *level.text == "" {
			errs.Add(level.field, "is empty")
		}
	}
	return model.AuthZENSettings{
		Off: !OrDefault(f.Enabled, true), SearchOff: !OrDefault(f.SearchEnabled, true),
		Detail:        model.Detail(unless(OrDefault(f.Context, ""), string(model.DetailNone))),
		DetailMax:     model.Detail(unless(OrDefault(f.ContextMax, ""), string(model.DetailReasons))),
		TokenLifetime: unless(OrDefault(f.TokenLifetime, 0), model.DefaultTokenLifetime),
	}
}

// unless is v, or the zero value in the place of the default.
func unless[T comparable](v, def T) T {
	if v == def {
		var zero T
		return zero
	}
	return v
}
