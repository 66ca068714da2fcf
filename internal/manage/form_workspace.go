package manage

import (
	"strings"

	"github.com/google/uuid"

	"github.com/ambit-authz/ambit/internal/model"
)

// WorkspaceForm is the exported form of an authorization workspace (management-api.md 17).
type WorkspaceForm struct {
	ID          *string `json:"id"` // nil when it would be made, in a dry run
	Name        string  `json:"name"`
	Description *string `json:"description,omitzero"`
	LogoURL     *string `json:"logoUrl,omitzero"`
}

// IdentityWorkspaceForm is that of an identity workspace.
type IdentityWorkspaceForm struct {
	WorkspaceForm      `json:",inline"`
	IdentityTemplateID *string       `json:"identityTemplateId"`
	Matchers           []MatcherForm `json:"matchers"`      // at most one
	Bare               bool          `json:"bare,omitzero"` // read when a workspace is made, never written
}

// AuthorizationWorkspaceFormOf is the exported form of w.
func AuthorizationWorkspaceFormOf(w *model.AuthorizationWorkspace) WorkspaceForm {
	return WorkspaceForm{ID: optional(string(w.ID), ""), Name: w.Name, Description: w.Description, LogoURL: w.LogoURL}
}

func formatAuthorizationWorkspace(w *model.AuthorizationWorkspace) []byte {
	return encode(AuthorizationWorkspaceFormOf(w))
}

// IdentityWorkspaceFormOf is the exported form of w.
func IdentityWorkspaceFormOf(w *model.IdentityWorkspace) IdentityWorkspaceForm {
	template := string(w.TemplateID)
	f := IdentityWorkspaceForm{
		WorkspaceForm:      WorkspaceForm{ID: optional(string(w.ID), ""), Name: w.Name, Description: w.Description, LogoURL: w.LogoURL},
		IdentityTemplateID: &template, Matchers: []MatcherForm{},
	}
	if w.Matcher != nil {
		f.Matchers = append(f.Matchers, MatcherFormOf(w.Matcher))
	}
	return f
}

func formatIdentityWorkspace(w *model.IdentityWorkspace) []byte {
	return encode(IdentityWorkspaceFormOf(w))
}

// newWorkspaceForm reads the form of a workspace of either kind that a call makes. made tells that the id is a new one.
func newWorkspaceForm(body []byte) (f IdentityWorkspaceForm, made bool, err error) {
	if err := decode(body, &f); err != nil {
		return f, false, err
	}
	if made = f.ID == nil; made {
		id := uuid.NewString()
		f.ID = &id
	}
	id, ok := model.ParseUUID(*f.ID)
	if !ok {
		return f, made, NotUUID(*f.ID)
	}
	f.ID = &id
	return f, made, nil
}

// workspaceFormOf reads the form of the workspace of that id; the id in the body is the same, or absent.
func workspaceFormOf(body []byte, id model.WorkspaceID) (f IdentityWorkspaceForm, err error) {
	if err := decode(body, &f); err != nil {
		return f, err
	}
	if f.ID != nil && !strings.EqualFold(*f.ID, string(id)) {
		return f, model.Errors{{Kind: model.KindInvalid, Message: "/id: differs from that of the path"}}
	}
	return f, nil
}

// patchedWorkspace is the form before with a JSON merge patch.
func patchedWorkspace(before, patch []byte, id model.WorkspaceID) (IdentityWorkspaceForm, error) {
	merged, err := mergePatch(before, patch)
	if err != nil {
		return IdentityWorkspaceForm{}, err
	}
	return workspaceFormOf(merged, id)
}
