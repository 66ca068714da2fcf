package manage

import (
	"bytes"
	"strings"

	"github.com/ambit-authz/ambit/internal/manage/archive"
	"github.com/ambit-authz/ambit/internal/model"
)

// older sorts an archive of the older layout (management-api.md 21.1 rule 4), in which policies lie below the applications
// they are for. It reports false when no file has a name of that layout.
func (l *layout) older(a *archive.Reader, prefix string) (bool, error) {
	folders := map[string]*folder{}
	var notes []string
	found := false
	texts := map[string]map[string]bool{} // of the policies, by workspace
	for _, f := range a.Files {
		top, name, kind := olderPlace(strings.Split(strings.TrimPrefix(f.Path, prefix), "/"))
		if kind == "" {
			notes = append(notes, f.Path+" ignored")
			continue
		}
		found = true
		if kind == kindPolicies {
			again, err := knownText(texts, name, f)
			if err != nil {
				return false, err
			}
			if again {
				continue // the same policy under another of its applications
			}
		}
		into := l.folder(folders, top, name)
		into.byTemplate = top == topIdentity
		into.add(kind, f)
	}
	if found {
		l.notes = notes
	}
	return found, nil
}

// olderPlace is what a path of the older layout means; kind is "" when it means nothing. Identity workspaces take their
// template's id as name.
func olderPlace(parts []string) (top, workspace, kind string) {
	name := parts[len(parts)-1]
	json := strings.HasSuffix(name, ".json")
	switch {
	case archive.Hidden(parts):
	case len(parts) == 1 && json && strings.HasPrefix(name, "identity-template-"):
		id := strings.TrimSuffix(strings.TrimPrefix(name, "identity-template-"), ".json")
		return topIdentity, id, kindIdentityTemplates
	case len(parts) == 2 && json && strings.HasPrefix(name, "asset-template_"):
		return topAuthorization, parts[0], kindAssetTypes
	case len(parts) == 3 && name == "application.json":
		return topAuthorization, parts[0], kindApplications
	case len(parts) == 3 && name == "api-mapper-set.json":
		return topAuthorization, parts[0], kindAPIMapperSets
	case len(parts) == 3 && strings.HasPrefix(name, "policy_") && strings.HasSuffix(name, ".srego"):
		return topAuthorization, parts[0], kindPolicies
	}
	return "", "", ""
}

// knownText reports whether the workspace has a policy of the very same text already, and remembers this one. Two texts
// for one policy id are found later, as two files for any other object.
func knownText(texts map[string]map[string]bool, workspace string, f archive.File) (bool, error) {
	body, err := f.Read(maxRegoFile)
	if err != nil {
		if k := model.KindOf(err); k == model.KindInternal || k == model.KindUnavailable {
			return false, err
		}
		return false, nil // the error of the file, when it is applied
	}
	if texts[workspace] == nil {
		texts[workspace] = map[string]bool{}
	}
	text := string(bytes.TrimSpace(body))
	again := texts[workspace][text]
	texts[workspace][text] = true
	return again, nil
}
