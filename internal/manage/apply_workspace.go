package manage

import (
	"cmp"
	"slices"
	"strings"

	"github.com/ambit-authz/ambit/internal/manage/archive"
	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
)

// workspaceAbout is the file workspace.json: what the name of a workspace's folder does not say. The name counts before
// the folder's; a workspace without the file keeps its description and logo.
type workspaceAbout struct {
	Name        string  `json:"name"`
	Description *string `json:"description,omitzero"`
	LogoURL     *string `json:"logoUrl,omitzero"`
}

// about reads the file about a workspace, which is nil when the folder has none. ok is false when it has errors, which are
// reported: then nothing is known of the workspace.
func (a *applier) about(kind string, f *folder) (about *workspaceAbout, ok bool, err error) {
	ok = true
	for _, file := range f.files[kind] { // one: a folder has no name twice
		ok = false
		err = a.file(kind, file, func(body []byte) (string, error) {
			about = &workspaceAbout{}
			if err := form.Decode(body, about); err != nil {
				return f.name, err
			}
			if about.Name == "" {
				about.Name = f.name
			}
			f.archived, ok = about.Name, true
			return about.Name, nil
		})
	}
	return about, ok, err
}

// nameInArchive is the name of a folder's workspace: that of its file, once it is read, else the folder's own.
func (f *folder) nameInArchive() string { return cmp.Or(f.archived, f.name) }

// describe gives a workspace what its file says; without a file it stays as it is.
func (about *workspaceAbout) describe(ws *model.IdentityWorkspace) {
	if about != nil {
		ws.Description, ws.LogoURL = about.Description, about.LogoURL
	}
}

// skip empties a folder that the call is not about.
func (a *applier) skip(f *folder, parameter string) {
	f.files, f.present = map[string][]archive.File{}, map[string]bool{}
	a.report.Notes = append(a.report.Notes, f.path+" left out, because "+parameter+" does not name it")
}

// within reports whether a workspace is among those that the call is limited to, by one of the names that it has.
func within(wanted []string, names ...string) bool {
	return len(wanted) == 0 || slices.ContainsFunc(names, func(n string) bool { return slices.Contains(wanted, n) })
}

// workspaceName is the name in the environment of a workspace folder: renamed, else the one that its file states, else
// that of the stored workspace that the folder means, else the folder's own.
func (a *applier) workspaceName(f *folder, about *workspaceAbout, stored []string) string {
	if renamed, ok := a.o.Rename[f.name]; ok {
		return renamed
	}
	if about != nil {
		return cmp.Or(a.o.Rename[about.Name], about.Name)
	}
	if name, ok := archive.NameOf(f.name, stored); ok {
		return name
	}
	return f.name
}

// noteAbsent notes names of the query that no folder has: they are easily misspelt.
func (a *applier) noteAbsent() error {
	known := map[string]map[string]bool{topAuthorization: {}, topIdentity: {}}
	for _, f := range slices.Concat(a.layout.authorization, a.layout.identity) {
		top, _, _ := strings.Cut(f.path, "/")
		known[top][f.name], known[top][f.nameInArchive()] = true, true
	}
	for _, ws := range a.authorization {
		known[topAuthorization][ws.Name] = true
	}
	for _, ws := range a.identity {
		known[topIdentity][ws.Name] = true
	}
	note := func(text string) { a.report.Notes = append(a.report.Notes, text+" is not in the archive") }
	for _, name := range a.o.AuthWs {
		if !known[topAuthorization][name] {
			note("authWs " + name)
		}
	}
	for _, name := range a.o.IdentityWs {
		if !known[topIdentity][name] {
			note("identityWs " + name)
		}
	}
	for name := range a.o.Rename {
		if !known[topAuthorization][name] && !known[topIdentity][name] {
			note("rename: " + name)
		}
	}
	return nil
}
