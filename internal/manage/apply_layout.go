package manage

import (
	"slices"
	"strings"

	"github.com/ambit-authz/ambit/internal/manage/archive"
	"github.com/ambit-authz/ambit/internal/model"
)

// Kinds of files and objects, as they are named in folders and in the summary of a report.
const (
	kindCustomAttributes        = "custom-policy-attributes"
	kindIdentityWorkspaces      = "identity-workspaces"
	kindIdentityTemplates       = "identity-templates"
	kindIdentitySources         = "identity-sources"
	kindMapperSets              = "mapper-sets"
	kindMatchers                = "matchers"
	kindAuthorizationWorkspaces = "authorization-workspaces"
	kindAssetTypes              = "asset-types"
	kindRequestAttributes       = "request-attributes"
	kindApplications            = "applications"
	kindAPIMapperSets           = "api-mapper-sets"
	kindBuildingBlocks          = "building-blocks"
	kindPolicies                = "policies"
	kindPolicyStates            = "policy-states"
	kindScopes                  = "scopes"
	kindAssets                  = "assets"
	kindIdentities              = "identities"
)

// singular is the kind of one item of a report.
func singular(kind string) string {
	switch kind {
	case kindPolicies:
		return "policy"
	case kindIdentities:
		return "identities"
	}
	return strings.TrimSuffix(kind, "s")
}

// layout is an archive sorted by what its files mean (management-api.md 21.1).
type layout struct {
	environment   folder
	authorization []*folder // by name
	identity      []*folder // by name
	notes         []string
}

// folder is one workspace folder, or the folder environment.
type folder struct {
	name    string
	path    string
	files   map[string][]archive.File // by kind, in order of path
	present map[string]bool           // kinds that have a file or a folder, for prune
	// byTemplate: the name is a template's id, which finds an existing workspace before its name does (the older layout).
	byTemplate bool
	archived   string // the workspace's name in its file, as far as it is read
}

func newFolder(path, name string) *folder {
	return &folder{name: name, path: path, files: map[string][]archive.File{}, present: map[string]bool{}}
}

func (f *folder) add(kind string, file archive.File) {
	f.files[kind] = append(f.files[kind], file)
	f.present[kind] = true
}

const (
	topAuthorization = "authorization-workspaces"
	topIdentity      = "identity-workspaces"
	topEnvironment   = "environment"
)

// Files that have a name of their own.
const (
	fileCustomAttributes  = "custom-policy-attributes.json"
	fileScopes            = "scopes.json"
	filePolicyStates      = "policy-states.json"
	fileBuildingBlocks    = "building-blocks.rego"
	fileRequestAttributes = "request-attributes.json"
	fileMatcher           = "matcher.json"
	fileWorkspace         = "workspace.json"
)

// readLayout sorts the files of an archive. Everything may lie below one common folder.
func readLayout(a *archive.Reader) (*layout, error) {
	l := &layout{environment: *newFolder(topEnvironment, "")}
	prefix := commonFolder(a)
	folders := map[string]*folder{}
	for _, f := range a.Files {
		short := strings.TrimPrefix(f.Path, prefix)
		tests := strings.HasSuffix(short, ".test.yaml") // of `ambit test`, at home beside the policies
		parts := strings.Split(short, "/")
		if !l.place(folders, parts, f) && !tests {
			l.notes = append(l.notes, f.Path+" ignored"+wrongEnding(parts))
		}
	}
	for _, dir := range a.Dirs {
		parts := strings.Split(strings.TrimPrefix(dir+"/", prefix), "/")
		parts = parts[:len(parts)-1]
		if len(parts) == 3 && isTop(parts[0]) && !archive.Hidden(parts) {
			l.folder(folders, parts[0], parts[1]).present[parts[2]] = true
		}
	}
	if len(folders) == 0 && len(l.environment.files) == 0 {
		known, err := l.older(a, prefix)
		if err != nil {
			return nil, err
		}
		if !known {
			return nil, model.Invalidf("the archive has no file of the layout of an environment")
		}
	}
	for _, list := range [][]*folder{l.authorization, l.identity} {
		slices.SortFunc(list, func(x, y *folder) int { return strings.Compare(x.name, y.name) })
	}
	return l, nil
}

func isTop(name string) bool { return name == topAuthorization || name == topIdentity }

// commonFolder is the one folder below which everything lies, with its slash, or "" when the layout begins at the root.
func commonFolder(a *archive.Reader) string {
	common := ""
	for _, f := range a.Files {
		first, _, below := strings.Cut(f.Path, "/")
		switch {
		case archive.Hidden([]string{first}):
			continue
		case !below || isTop(first) || first == topEnvironment:
			return ""
		case common == "":
			common = first
		case common != first:
			return ""
		}
	}
	if common == "" {
		return ""
	}
	return common + "/"
}

func (l *layout) folder(folders map[string]*folder, top, name string) *folder {
	key := top + "/" + name
	if f, ok := folders[key]; ok {
		return f
	}
	f := newFolder(key, name)
	folders[key] = f
	if top == topAuthorization {
		l.authorization = append(l.authorization, f)
	} else {
		l.identity = append(l.identity, f)
	}
	return f
}

// place puts a file where its path says; false means that its name has no meaning.
func (l *layout) place(folders map[string]*folder, parts []string, f archive.File) bool {
	if archive.Hidden(parts) {
		return false
	}
	if len(parts) == 2 && parts[0] == topEnvironment {
		kind, ok := environmentFiles(parts[1])
		if ok {
			l.environment.add(kind, f)
		}
		return ok
	}
	if len(parts) < 3 || len(parts) > 4 || !isTop(parts[0]) {
		return false
	}
	kind, ok := workspaceFiles(parts[0], parts[2:])
	if ok {
		l.folder(folders, parts[0], parts[1]).add(kind, f)
	}
	return ok
}

func environmentFiles(name string) (kind string, ok bool) {
	switch name {
	case fileCustomAttributes:
		return kindCustomAttributes, true
	case fileScopes:
		return kindScopes, true
	case filePolicyStates:
		return kindPolicyStates, true
	}
	return "", false
}

func workspaceFiles(top string, parts []string) (kind string, ok bool) {
	if len(parts) == 1 {
		switch {
		case parts[0] == fileBuildingBlocks:
			return kindBuildingBlocks, true
		case parts[0] == fileRequestAttributes && top == topAuthorization:
			return kindRequestAttributes, true
		case parts[0] == fileMatcher && top == topIdentity:
			return kindMatchers, true
		case parts[0] == fileWorkspace:
			return top, true // the kind has the name of its top folder
		}
		return "", false
	}
	kind = parts[0]
	json, rego := strings.HasSuffix(parts[1], ".json"), strings.HasSuffix(parts[1], ".rego")
	rows := strings.HasSuffix(parts[1], ".ndjson") || strings.HasSuffix(parts[1], ".csv")
	switch kind {
	case kindApplications, kindAssetTypes, kindAPIMapperSets:
		ok = top == topAuthorization && json
	case kindPolicies:
		ok = top == topAuthorization && rego
	case kindAssets:
		ok = top == topAuthorization && rows
	case kindIdentityTemplates, kindIdentitySources, kindMapperSets:
		ok = top == topIdentity && json
	case kindIdentities:
		ok = top == topIdentity && rows
	}
	return kind, ok
}

// wrongEnding says, of a file of data in the folder of a kind that has files of another form, how theirs end: whoever wrote an
// asset type in YAML meant it to count. Of anything else it says nothing.
func wrongEnding(parts []string) string {
	if len(parts) != 4 || !isTop(parts[0]) || archive.Hidden(parts) {
		return ""
	}
	name := parts[3]
	switch name[strings.LastIndexByte(name, '.')+1:] {
	case "json", "yaml", "yml", "rego", "ndjson", "csv":
	default:
		return ""
	}
	for _, ending := range []string{".json", ".rego", ".ndjson"} {
		if _, ok := workspaceFiles(parts[0], []string{parts[2], baseID(name) + ending}); !ok {
			continue
		}
		if ending == ".ndjson" {
			ending += " or .csv"
		}
		return ": files in " + parts[2] + " end in " + ending
	}
	return ""
}

// baseID is the id that a file name suggests; it counts only for files that name their object in no other way.
func baseID(file string) string {
	name := file[strings.LastIndexByte(file, '/')+1:]
	if i := strings.LastIndexByte(name, '.'); i > 0 {
		return name[:i]
	}
	return name
}
