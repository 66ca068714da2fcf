package bank

import (
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/rego"
)

// environment is the directory as read by the tests; it is the catalog of the policies' names.
type environment struct {
	workspace    string
	assets       map[model.TemplateID]model.AssetTemplate
	identities   map[model.TemplateID]model.IdentityTemplate
	custom       []model.CustomAttribute
	request      map[string][]model.AttributeID // by workspace
	applications []model.Application
	blocks       map[model.BlockID]model.Block
	policies     []model.Policy
}

func (e *environment) IdentityTemplate(id model.TemplateID) (model.IdentityTemplate, bool) {
	t, ok := e.identities[id]
	return t, ok
}

func (e *environment) AssetTemplate(id model.TemplateID) (model.AssetTemplate, bool) {
	t, ok := e.assets[id]
	return t, ok
}

func (e *environment) RequestAttribute(id model.AttributeID) bool {
	return slices.Contains(e.request[e.workspace], id)
}

func (e *environment) CustomAttributes() []model.CustomAttribute { return e.custom }

func (e *environment) Application(id model.ApplicationID) bool {
	return slices.ContainsFunc(e.applications, func(a model.Application) bool { return a.ID == id })
}

func (e *environment) InApplication(id model.TemplateID) bool {
	return slices.ContainsFunc(e.applications, func(a model.Application) bool { return slices.Contains(a.AssetTemplateIDs, id) })
}

func workspaceOf(name string) string { return strings.Split(name, "/")[1] }

// readEnvironment reads all files but the modules.
func readEnvironment(t *testing.T) *environment {
	e := &environment{
		assets:     map[model.TemplateID]model.AssetTemplate{},
		identities: map[model.TemplateID]model.IdentityTemplate{}, request: map[string][]model.AttributeID{},
		blocks: map[model.BlockID]model.Block{},
	}
	for _, name := range glob(t, "authorization-workspaces/*/asset-types/*.json") {
		a := parsed(t, name, form.ParseAssetTemplate)
		a.WorkspaceID = model.WorkspaceID(workspaceOf(name))
		e.assets[a.ID] = a
		e.addPredefined(model.KindRuleset, a.ID, "All")
	}
	for _, name := range glob(t, "identity-workspaces/*/identity-templates/*.json") {
		i := parsed(t, name, form.ParseIdentityTemplate)
		e.identities[i.ID] = i
		e.addPredefined(model.KindDynamicGroup, i.ID, workspaceOf(name)+" All Users")
	}
	for _, name := range glob(t, "authorization-workspaces/*/applications/*.json") {
		application := parsed(t, name, form.ParseApplication)
		e.applications = append(e.applications, application)
		for _, id := range application.AssetTemplateIDs {
			if a, ok := e.assets[id]; !ok || string(a.WorkspaceID) != workspaceOf(name) {
				t.Errorf("%s: asset type %s is not of the workspace", name, id)
			}
		}
	}
	for _, name := range glob(t, "authorization-workspaces/*/request-attributes.json") {
		for _, a := range parsed(t, name, form.ParseRequestAttributes) {
			e.request[workspaceOf(name)] = append(e.request[workspaceOf(name)], a.ID)
		}
	}
	e.custom = parsed(t, "environment/custom-policy-attributes.json", form.ParseCustomAttributes)
	return e
}

// parsed reads a file as the import does.
func parsed[V any](t *testing.T, name string, parse func([]byte) (V, error)) V {
	t.Helper()
	v, err := parse(read(t, name))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return v
}

func (e *environment) addPredefined(kind model.BlockKind, template model.TemplateID, name string) {
	id := model.PredefinedBlockID(kind, template)
	e.blocks[id] = model.Block{ID: id, Kind: kind, Template: template, Name: name, Predefined: true, Branches: []model.Branch{{}}}
}

// parse reads one module of the directory, which must be free of errors and warnings.
func (e *environment) parse(t *testing.T, name string) *rego.Module {
	t.Helper()
	e.workspace = workspaceOf(name)
	options := rego.Options{File: name, Workspace: model.WorkspaceID(e.workspace), Catalog: e}
	if path.Base(name) == "building-blocks.rego" {
		options.Package, options.Target = rego.PackageBuildingBlocks, rego.TargetAuthorization
	}
	m, warnings, err := rego.Parse(read(t, name), options)
	if err != nil || len(warnings) > 0 {
		t.Fatalf("%s: error %v, warnings %v", name, err, warnings)
	}
	return m
}

// load parses all modules, holds that shared blocks are the same everywhere, and takes them by their ids.
func (e *environment) load(t *testing.T) {
	t.Helper()
	var inactive []string
	unmarshal(t, read(t, "environment/policy-states.json"), &inactive)
	for _, name := range regoFiles(t) {
		m := e.parse(t, name)
		var ids []model.BlockID
		for _, b := range m.Blocks {
			ids = append(ids, b.Block.ID)
			switch stored, ok := e.blocks[b.Block.ID]; {
			case b.Block.ID == "":
				t.Errorf("%s: block %s has no id", name, b.Block.Name)
			case !ok:
				e.blocks[b.Block.ID] = b.Block
			case stored.Name != b.Block.Name || stored.Kind != b.Block.Kind || !cmp.Equal(stored.Branches, b.Block.Branches) && !stored.Predefined:
				t.Errorf("%s: block %s differs from the one of the same id", name, b.Block.Name)
			}
		}
		if m.Policy != nil {
			p := m.Resolve(ids)
			p.Inactive = slices.Contains(inactive, string(p.ID))
			e.policies = append(e.policies, p)
		}
	}
}

// TestModulesPrintBack: the directory is what an export would write, byte for byte (policy-model.md 6.7, stability).
func TestModulesPrintBack(t *testing.T) {
	e := readEnvironment(t)
	e.load(t)
	options := rego.PrintOptions{Extended: true, SourceEnvironment: EnvironmentID, CustomAttributes: e.custom}
	find := func(id model.BlockID) (model.Block, bool) { b, ok := e.blocks[id]; return b, ok }
	for _, p := range e.policies {
		got, err := rego.PrintPolicy(p, find, options)
		if err != nil {
			t.Fatal(err)
		}
		names := glob(t, "authorization-workspaces/*/policies/"+string(p.ID)+".rego")
		if d := cmp.Diff(string(read(t, names[0])), string(got)); d != "" {
			t.Errorf("%s: %s", names[0], d)
		}
	}
	for _, name := range glob(t, "authorization-workspaces/*/building-blocks.rego") {
		var blocks []model.Block
		for _, b := range e.parse(t, name).Blocks {
			blocks = append(blocks, b.Block)
		}
		if d := cmp.Diff(string(read(t, name)), string(rego.PrintBlocks(blocks, options))); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// TestEveryConstructOccurs: the bank shows every operator, side, kind of block and form of condition.
func TestEveryConstructOccurs(t *testing.T) {
	e := readEnvironment(t)
	e.load(t)
	missing := map[string]bool{"Restrict": true, "inactive": true, "several groups": true, "all actions": true, "over midnight": true, "request zone": true, "IP restrict": true, "IP allow": true, "several branches": true, "right identity": true, "right request": true}
	for op := model.OpEqual; op <= model.OpGreaterEqual; op++ {
		missing[op.String()] = true
	}
	for _, kind := range []model.BlockKind{model.KindDynamicGroup, model.KindRuleset, model.KindCondition, model.KindConditionIP, model.KindConditionIdentity, model.KindConditionRequest} {
		missing[string(kind)] = true
	}
	seen := func(what string, when bool) {
		if when {
			delete(missing, what)
		}
	}
	for _, p := range e.policies {
		seen("Restrict", p.Access == model.Restrict)
		seen("inactive", p.Inactive)
		seen("several groups", len(p.DynamicGroups) > 1)
		for _, use := range p.Rulesets {
			seen("all actions", use.AllActions)
		}
	}
	for _, b := range e.blocks {
		seen(string(b.Kind), true)
		seen("several branches", len(b.Branches) > 1)
		seen("IP restrict", b.IP != nil && b.IP.Restrict)
		seen("IP allow", b.IP != nil && !b.IP.Restrict)
		for _, r := range b.Ranges {
			seen("over midnight", r.Start > r.End)
			seen("request zone", r.Zone == model.ZoneRequest)
		}
		for _, branch := range b.Branches {
			for _, r := range branch.Rules {
				seen(r.Op.String(), true)
				seen("right identity", r.RightIsRef() && r.Ref.Side == model.SideIdentity)
				seen("right request", r.RightIsRef() && r.Ref.Side == model.SideRequest)
			}
		}
	}
	for what := range missing {
		t.Errorf("no example of %s", what)
	}
}

// snapshot compiles the environment with all of its records.
func snapshot(t *testing.T) *engine.Snapshot {
	t.Helper()
	e := readEnvironment(t)
	e.load(t)
	empty, err := engine.New(engine.Configuration{
		Environment: EnvironmentID, Enabled: true,
		AssetTemplates:    slices.Collect(maps.Values(e.assets)),
		IdentityTemplates: slices.Collect(maps.Values(e.identities)),
		Applications:      e.applications, Blocks: slices.Collect(maps.Values(e.blocks)), Policies: e.policies,
	})
	if err != nil {
		t.Fatal(err)
	}
	delta := engine.Delta{Revision: 1, Assets: map[model.TemplateID]engine.Records[model.Asset]{}, Identities: map[model.TemplateID]engine.Records[model.Identity]{}}
	for _, id := range AssetTemplates() {
		seq, err := Assets(id, Seed, AssetCount)
		if err != nil {
			t.Fatal(err)
		}
		delta.Assets[id] = engine.Records[model.Asset]{Put: noError(seq)}
	}
	for _, id := range IdentityTemplates() {
		seq, err := Identities(id, Seed, IdentityCount)
		if err != nil {
			t.Fatal(err)
		}
		delta.Identities[id] = engine.Records[model.Identity]{Put: noError(seq)}
	}
	full, err := empty.Next(delta)
	if err != nil {
		t.Fatal(err)
	}
	return full
}

func noError[R any](seq iter.Seq[R]) iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		for r := range seq {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// question asks for one member of staff from the server's own machine, at night on a Sunday.
func question(t *testing.T, s *engine.Snapshot, user string) engine.Question {
	t.Helper()
	i, ok := s.FindIdentity(SampleTemplate, user)
	if !ok {
		t.Fatalf("%s is unknown", user)
	}
	return engine.Question{
		Applications: []model.ApplicationID{"branch-portal", "document-archive", "general-ledger"},
		Identities:   []engine.Identity{{Template: SampleTemplate, EntityID: user, Inactive: i.Inactive, Attributes: i.Attributes, Rows: i.Rows}},
		SourceIP:     netip.MustParseAddr("127.0.0.1"),
		Instant:      time.Date(2026, 8, 23, 3, 0, 0, 0, time.UTC),
	}
}

func answer(t *testing.T, s *engine.Snapshot, q engine.Question) want {
	t.Helper()
	residual, err := s.Bind(q)
	if err != nil {
		t.Fatal(err)
	}
	access, err := residual.Select(engine.Selection{})
	if err != nil {
		t.Fatal(err)
	}
	w, sets := want{}, access.ActionSets()
	for entry := range access.Entries() {
		var actions []string
		for _, g := range sets[entry.Actions] {
			actions = append(actions, g.Action.Value)
		}
		w.grant(entry.Template(), model.Asset{Path: entry.Path()}, actions...)
	}
	return w
}

// TestAnswers asks the engine, with all policies and records of the bank.
func TestAnswers(t *testing.T) {
	s := snapshot(t)
	for name, test := range map[string]func(*testing.T, *engine.Snapshot){
		"people": answersOfThePeople, "README": firstAccountsOfReadme, "place and time": updatesDependOnPlaceAndTime,
		"whole ledger": riskReadsTheWholeLedger, "unmanaged device": unmanagedDeviceTakesAway,
	} {
		t.Run(name, func(t *testing.T) { test(t, s) })
	}
}

// answersOfThePeople: the engine's answers are those that README.md explains, asset by asset and action by action.
func answersOfThePeople(t *testing.T, s *engine.Snapshot) {
	records := allAssets(t)
	check := func(what string, want, got want) {
		t.Helper()
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %.2000s", what, d)
		}
	}
	check("teller", wantTeller(records), answer(t, s, question(t, s, SampleUser)))
	check("manager", wantManager(records, "Abuja-01", "Accra-02"), answer(t, s, question(t, s, SampleManager)))
	check("auditor", wantAuditor(records), answer(t, s, question(t, s, SampleAuditor)))

	q := question(t, s, SampleManager)
	q.CombinedMultiValue = true
	check("manager row by row", wantManager(records, "Abuja-01"), answer(t, s, q))
}

// firstAccountsOfReadme: the entries shown on the front page are those that the engine writes.
func firstAccountsOfReadme(t *testing.T, s *engine.Snapshot) {
	page, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := ""
	for _, user := range []string{SampleUser, SampleManager, SampleAuditor} {
		residual, err := s.Bind(question(t, s, user))
		if err != nil {
			t.Fatal(err)
		}
		access, err := residual.Select(engine.Selection{Templates: []engine.TemplateSelection{{Template: "Accounts"}}})
		if err != nil {
			t.Fatal(err)
		}
		for entry := range access.Entries() {
			line := entry.Append(nil, &engine.Projection{Names: []model.AttributeID{"branch", "segment", "status"}})
			var actions []string
			for _, g := range access.ActionSets()[entry.Actions] {
				actions = append(actions, `{"action":"`+g.Action.Value+`"}`)
			}
			shown += string(line) + "[" + strings.Join(actions, ",") + "]}\n"
			break
		}
	}
	if !strings.Contains(string(page), "```json\n"+shown+"```") {
		t.Errorf("README.md does not show\n%s", shown)
	}
}

// updatesDependOnPlaceAndTime: the teller may update in the branch network while the branch is open, else only view.
func updatesDependOnPlaceAndTime(t *testing.T, s *engine.Snapshot) {
	for _, c := range []struct {
		place string
		at    time.Time
		want  string
	}{
		{"10.20.7.15", time.Date(2026, 8, 24, 10, 0, 0, 0, time.UTC), "[view update block]"},
		{"10.20.7.15", time.Date(2026, 8, 22, 9, 30, 0, 0, time.UTC), "[view update block]"}, // Saturday 10:30 in Lisbon
		{"10.20.7.15", time.Date(2026, 8, 24, 18, 0, 0, 0, time.UTC), "[view]"},              // 19:00 in Lisbon
		{"198.51.100.9", time.Date(2026, 8, 24, 10, 0, 0, 0, time.UTC), "[view]"},
	} {
		q := question(t, s, SampleUser)
		q.SourceIP, q.Instant = netip.MustParseAddr(c.place), c.at
		sets := map[string]int{}
		for _, actions := range answer(t, s, q)["Accounts"] {
			sets[fmt.Sprint(actions)]++
		}
		if sets[c.want] == 0 || c.want == "[view]" && len(sets) > 1 {
			t.Errorf("from %s at %s: %v, want %s", c.place, c.at, sets, c.want)
		}
	}
}

// riskReadsTheWholeLedger, and exports it inside the bank only.
func riskReadsTheWholeLedger(t *testing.T, s *engine.Snapshot) {
	for place, want := range map[string]string{"127.0.0.1": "[read export]", "203.0.113.8": "[read]"} {
		q := question(t, s, SampleRisk)
		q.SourceIP = netip.MustParseAddr(place)
		rows := answer(t, s, q)["LedgerRows"]
		if got := fmt.Sprint(rows["gl-00000001"]); len(rows) != AssetCount || got != want {
			t.Errorf("from %s: %d rows with %s, want %s", place, len(rows), got, want)
		}
	}
}

// unmanagedDeviceTakesAway: on a personal laptop the manager reads, but downloads and shares public papers only.
func unmanagedDeviceTakesAway(t *testing.T, s *engine.Snapshot) {
	sensitive := map[string]bool{}
	for _, a := range collectAssets(t, "Documents") {
		sensitive[a.Path] = !atMost(a, "sensitivity", "1")
	}
	count := func(posture string) map[string]int {
		q, counts := question(t, s, SampleManager), map[string]int{}
		q.Identities = append(q.Identities, engine.Identity{Template: "Device", EntityID: "LT-TOKAFOR", Attributes: model.Attributes{"posture": {posture}, "patchAgeDays": {"3"}}})
		for path, actions := range answer(t, s, q)["Documents"] {
			for _, action := range actions {
				counts[action+map[bool]string{true: " sensitive", false: " public"}[sensitive[path]]]++
			}
		}
		return counts
	}
	managed, personal := count("managed"), count("personal")
	if managed["download sensitive"] == 0 || managed["sign sensitive"] == 0 {
		t.Errorf("managed: %v", managed)
	}
	if personal["download sensitive"]+personal["share sensitive"]+personal["sign sensitive"] > 0 || personal["read sensitive"] == 0 || personal["download public"] == 0 {
		t.Errorf("personal: %v", personal)
	}
}
