package form

import (
	"cmp"
	"strings"

	"github.com/ambit-authz/ambit/internal/model"
)

// Workspace is the exported form of an authorization workspace (management-api.md 17).
type Workspace struct {
	ID          *string `json:"id"` // nil when it would be made, in a dry run
	Name        string  `json:"name"`
	Description *string `json:"description,omitzero"`
	LogoURL     *string `json:"logoUrl,omitzero"`
}

// IdentityWorkspace is that of an identity workspace.
type IdentityWorkspace struct {
	Workspace          `json:",inline"`
	IdentityTemplateID *string   `json:"identityTemplateId"`
	Matchers           []Matcher `json:"matchers"`      // at most one
	Bare               bool      `json:"bare,omitzero"` // read when a workspace is made, never written
}

// OfAuthorizationWorkspace is the exported form of w.
func OfAuthorizationWorkspace(w *model.AuthorizationWorkspace) Workspace {
	return Workspace{ID: optional(string(w.ID), ""), Name: w.Name, Description: w.Description, LogoURL: w.LogoURL}
}

// FormatAuthorizationWorkspace writes the exported form of w, compact and bare.
func FormatAuthorizationWorkspace(w *model.AuthorizationWorkspace) []byte {
	return Encode(OfAuthorizationWorkspace(w))
}

// OfIdentityWorkspace is the exported form of w.
func OfIdentityWorkspace(w *model.IdentityWorkspace) IdentityWorkspace {
	template := string(w.TemplateID)
	f := IdentityWorkspace{
		Workspace:          Workspace{ID: optional(string(w.ID), ""), Name: w.Name, Description: w.Description, LogoURL: w.LogoURL},
		IdentityTemplateID: &template, Matchers: []Matcher{},
	}
	if w.Matcher != nil {
		f.Matchers = append(f.Matchers, OfMatcher(w.Matcher))
	}
	return f
}

// FormatIdentityWorkspace writes the exported form of w, compact and bare.
func FormatIdentityWorkspace(w *model.IdentityWorkspace) []byte {
	return Encode(OfIdentityWorkspace(w))
}

// Model turns the form into a workspace and checks it; before is the stored one, nil for a new one. A form
// without a template id keeps the stored one.
func (f *IdentityWorkspace) Model(id model.WorkspaceID, before *model.IdentityWorkspace) (model.IdentityWorkspace, error) {
	ws := model.IdentityWorkspace{ID: id, Name: f.Name, Description: f.Description, LogoURL: f.LogoURL}
	var kept model.TemplateID
	if before != nil {
		kept = before.TemplateID
	}
	ws.TemplateID = cmp.Or(model.TemplateID(OrDefault(f.IdentityTemplateID, "")), kept, defaultTemplateID(f.Name))
	var errs model.Errors
	switch n := len(f.Matchers); {
	case n > 1:
		errs.Add("/matchers", "has %d items, the limit is 1", n)
	case n == 1:
		m, err := f.Matchers[0].Model()
		errs.CollectUnder("/matchers/0", err)
		ws.Matcher = m
	}
	unmatched := ws
	unmatched.Matcher = nil // its errors are told under its place in the list
	errs.Collect(unmatched.Validate())
	return ws, errs.OrNil()
}

// defaultTemplateID is that of a workspace whose maker names none (management-api.md 17).
func defaultTemplateID(name string) model.TemplateID {
	return model.TemplateID(strings.Join(strings.Fields(name), ""))
}
