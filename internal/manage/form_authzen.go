package manage

import (
	"cmp"

	"github.com/ambit-authz/ambit/internal/model"
)

// AuthZENForm is the exported form of a scope's settings for AuthZEN (authzen.md 15). Nil = the default.
type AuthZENForm struct {
	Enabled       *bool   `json:"authzenEnabled"`
	SearchEnabled *bool   `json:"authzenSearchEnabled"`
	Context       *string `json:"authzenContext"`
	ContextMax    *string `json:"authzenContextMax"`
	TokenLifetime *int    `json:"authzenTokenLifetime"`
}

func authZENForm(a *model.AuthZENSettings) AuthZENForm {
	on, search := !a.Off, !a.SearchOff
	level, limit := string(cmp.Or(a.Detail, model.DetailNone)), string(cmp.Or(a.DetailMax, model.DetailReasons))
	lifetime := cmp.Or(a.TokenLifetime, model.DefaultTokenLifetime)
	return AuthZENForm{Enabled: &on, SearchEnabled: &search, Context: &level, ContextMax: &limit, TokenLifetime: &lifetime}
}

// settings has a default in one form only, so that saying it changes nothing.
func (f *AuthZENForm) settings(errs *model.Errors) model.AuthZENSettings {
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
		Off: !orDefault(f.Enabled, true), SearchOff: !orDefault(f.SearchEnabled, true),
		Detail:        model.Detail(unless(orDefault(f.Context, ""), string(model.DetailNone))),
		DetailMax:     model.Detail(unless(orDefault(f.ContextMax, ""), string(model.DetailReasons))),
		TokenLifetime: unless(orDefault(f.TokenLifetime, 0), model.DefaultTokenLifetime),
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
