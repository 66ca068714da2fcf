// Package casefile reads the decision cases of testdata/cases: plain text that a policy author can read, and that every
// evaluator, store and API must answer the same way.
//
// Start at Load, then Case. A file is a txtar archive: free text that says what it is about, then sections, described in
// testdata/cases/README.md. Policies are Structured Rego, whole modules or the short form of which the loader makes
// modules; both go through package rego.
//
// Promises: what Load returns is complete and consistent, or Load fails naming file and case. It is for tests only and
// decides nothing.
package casefile

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/ambit-authz/ambit/internal/model"
)

// Suite is one file.
type Suite struct {
	Name  string // file name without ending
	About string
	Cases []Case
}

// Case is a world, one request and what must come of it. Every case stands alone: World holds what is stored, the
// identities that the request names included.
type Case struct {
	ID      string
	Why     string
	Only    string // the one runner that can ask it ("api", "engine"); "" = all
	World   World
	Request Request
	Refused bool // the request is an error of the caller's (400)
	Checks  []Check
	List    *List
}

// World is what is stored in the environment.
type World struct {
	IdentityTemplates []model.IdentityTemplate
	AssetTemplates    []model.AssetTemplate
	Applications      []model.Application
	Blocks            []model.Block
	Policies          []model.Policy
	Assets            map[model.TemplateID][]model.Asset
	Identities        map[model.TemplateID][]model.Identity
}

// Request is who asks, from where and when.
type Request struct {
	Applications []model.ApplicationID // linked to the scope
	Identities   []Identity
	Environment  map[string][]string
	SourceIP     string // as remoteIp; "" = absent
	Peer         string // address of the TCP peer; "" = a loopback address
	Instant      time.Time
	ZoneOffset   *float64 // hours; nil = absent
	Combined     bool     // combinedMultiValue
}

// Identity names a stored identity and carries what the request sends of it (entityAttributes).
type Identity struct {
	Template model.TemplateID
	EntityID string
	Sent     map[string][]string // by the name in the request
}

// Asset is an asset as a request names it.
type Asset struct {
	Template   model.TemplateID
	Path       string
	Attributes model.Attributes
}

// Check is a yes/no question on one asset and one action.
type Check struct {
	Asset   Asset
	Action  string // as on the wire
	Allowed bool
	Reason  string           // when denied; "" = any
	By      []model.PolicyID // granting policies, ascending; nil = any
}

// List is a question for all assets. Assets nil = discovery.
type List struct {
	Types  []model.TemplateID // nil = all
	Assets []Asset
	Want   []Entry
}

// Entry is one line of a list: the actions by their wire names, in the order of the answer.
type Entry struct {
	Template model.TemplateID
	Path     string
	Actions  []string
}

// String writes the entry as it stands in a case file.
func (e Entry) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s %s: %s", e.Template, e.Path, strings.Join(e.Actions, ", ")))
}

// Workspaces of every case world.
const (
	AuthorizationWorkspace model.WorkspaceID = "00000000-0000-4000-8000-0000000000a1"
	IdentityWorkspaceBase  string            = "00000000-0000-4000-8000-0000000001"
)

// Load reads every *.txt file of dir, in name order.
func Load(dir fs.FS) ([]Suite, error) {
	names, err := fs.Glob(dir, "*.txt")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var suites []Suite
	seen := map[string]string{}
	for _, name := range names {
		s, err := loadFile(dir, name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for _, c := range s.Cases {
			if before, twice := seen[c.ID]; twice {
				return nil, fmt.Errorf("%s: case %s is in %s already", name, c.ID, before)
			}
			seen[c.ID] = name
		}
		suites = append(suites, s)
	}
	return suites, nil
}

func loadFile(dir fs.FS, name string) (Suite, error) {
	text, err := fs.ReadFile(dir, name)
	if err != nil {
		return Suite{}, err
	}
	archive := txtar.Parse(text)
	l := loader{dir: dir, modules: map[string]string{}}
	s := Suite{Name: strings.TrimSuffix(path.Base(name), ".txt"), About: strings.TrimSpace(string(archive.Comment))}
	for _, section := range archive.Files {
		if stem, isModule := strings.CutSuffix(section.Name, ".rego"); isModule {
			l.modules[stem] = string(section.Data)
		}
	}
	for _, section := range archive.Files {
		cases, err := l.section(section.Name, string(section.Data))
		if err != nil {
			return Suite{}, fmt.Errorf("section %s: %w", section.Name, err)
		}
		s.Cases = append(s.Cases, cases...)
	}
	if len(s.Cases) == 0 {
		return Suite{}, fmt.Errorf("no cases")
	}
	return s, nil
}

// loader holds what the sections of one file share.
type loader struct {
	dir     fs.FS
	world   worldText
	modules map[string]string // Rego by section name
}

func (l *loader) section(name, text string) ([]Case, error) {
	switch {
	case strings.HasSuffix(name, ".rego"):
		return nil, nil
	case name == "world":
		return nil, l.readWorld(text)
	case name == "cases":
		return l.cases(text)
	case name == "rules STRING", name == "rules NUMERIC":
		return l.ruleTable(model.AttributeType(strings.TrimPrefix(name, "rules ")), text)
	case name == "conditions":
		return l.conditionTable(text)
	}
	return nil, fmt.Errorf("unknown section")
}

// sortWorld brings templates, applications, blocks and policies into the order of their ids.
func sortWorld(w *World) {
	slices.SortFunc(w.IdentityTemplates, func(a, b model.IdentityTemplate) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(w.AssetTemplates, func(a, b model.AssetTemplate) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(w.Applications, func(a, b model.Application) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(w.Policies, func(a, b model.Policy) int { return cmp.Compare(a.ID, b.ID) })
}
