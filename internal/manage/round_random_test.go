package manage_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/manage/archive"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/rego"
)

// MG-74: random environments with every kind of object and odd names: the export applies to itself without a change, and
// on a bare environment it gives the same bytes.
func TestExportRoundRandom(t *testing.T) {
	from, into := newWorld(t), newWorld(t)
	run := 0
	rapid.Check(t, func(r *rapid.T) {
		run++
		env := fmt.Sprintf("5b0c0000-0000-4000-8000-%012d", run)
		g := &generator{r: r, run: run, tree: files{}, taken: map[string]bool{}}
		g.environment()
		for _, w := range []*world{from, into} {
			_, err := w.CreateEnvironment(t.Context(), w.call, manage.NewEnvironment{ID: env, Name: env, Bare: true})
			w.must(err)
		}
		applyTo(r, from, env, g.tree, 2)
		tree := treeOf(r, from, env)
		applyTo(r, from, env, tree, 2)
		applyTo(r, into, env, tree, 2)
		if diff := cmp.Diff(tree, treeOf(r, into, env)); diff != "" {
			r.Fatalf("exports (-from +into):\n%s", diff)
		}
		// two blocks are two, also when their rules are the same
		if diff := cmp.Diff(metadata(g.tree, "#     id: ", "#     policyId: "), metadata(tree, "#     id: ", "#     policyId: ")); diff != "" {
			r.Fatalf("blocks and policies (-before +after):\n%s", diff)
		}
	})
}

// metadata are the different lines of all Rego files that begin so.
func metadata(tree files, beginnings ...string) []string {
	lines := map[string]bool{}
	for path, text := range tree {
		for line := range strings.SplitSeq(text, "\n") {
			for _, b := range beginnings {
				if strings.HasSuffix(path, ".rego") && strings.HasPrefix(line, b) {
					lines[line] = true
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(lines))
}

func applyTo(r *rapid.T, w *world, env string, tree files, revision model.Revision) {
	report, err := w.Apply(w.t.Context(), w.call, model.EnvironmentID(env), open(w.t, zipOf(w.t, tree), archive.Zip), manage.ApplyOptions{Prune: true})
	if err != nil || len(report.Errors) > 0 {
		r.Fatalf("%v\n%s\n%v", err, texts(report.Errors), tree)
	}
	if report.Revision != revision || len(report.Notes) > 0 {
		r.Fatalf("revision %d, want %d: %+v, notes %q", report.Revision, revision, report.Items, report.Notes)
	}
}

func treeOf(r *rapid.T, w *world, env string) files {
	var out strings.Builder
	if _, err := w.Export(w.t.Context(), model.EnvironmentID(env), everything(), &out); err != nil {
		r.Fatal(err)
	}
	return unzip(w.t, []byte(out.String()))
}

// generator makes a random environment as files, which are named in another way than exports name them.
type generator struct {
	r     *rapid.T
	run   int
	tree  files
	taken map[string]bool
	n     int // for ids and paths

	identity []identityPart
	policies []string
}

type identityPart struct {
	workspace model.WorkspaceID
	template  model.TemplateID
	groups    []model.Block
}

func (g *generator) draw(label string, high int) int { return rapid.IntRange(0, high).Draw(g.r, label) }
func (g *generator) bool(label string) bool          { return rapid.Bool().Draw(g.r, label) }

// name is an odd name that is not taken in a space of names.
func (g *generator) name(space string) string {
	letters := rapid.SampledFrom([]rune("abAB/\\:*?\"<>|.~_#'-{}%&é長\u0301 \u00a0"))
	for {
		name := strings.TrimSpace(string(rapid.SliceOfN(letters, 1, 6).Draw(g.r, space)))
		if key := space + "\x00" + name; name != "" && !g.taken[key] {
			g.taken[key] = true
			return name
		}
		g.n++
		if name := fmt.Sprintf("n/%d", g.n); !g.taken[space+"\x00"+name] {
			g.taken[space+"\x00"+name] = true
			return name
		}
	}
}

func (g *generator) id() model.BlockID {
	g.n++
	return model.BlockID(fmt.Sprintf("%08x-0000-4000-9000-%012x", g.run, g.n))
}

func (g *generator) file(path string, v any) {
	text, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		g.r.Fatal(err)
	}
	g.tree[path] = string(text)
}

type object = map[string]any

func (g *generator) text(label string) *string {
	if g.bool(label) {
		return nil
	}
	text := rapid.StringMatching(`[ -~é\n]{0,8}`).Draw(g.r, label)
	return &text
}

func (g *generator) about(path, name string) {
	about := object{"name": name}
	if text := g.text("description"); text != nil {
		about["description"] = *text
	}
	g.file(path+"workspace.json", about)
}

func (g *generator) environment() {
	if g.bool("custom") {
		g.file("environment/custom-policy-attributes.json", []object{
			{"key": "note", "name": "Note", "displayOrder": g.draw("order", 3), "type": "string", "x": object{"y": []int{1}}},
			{"key": "a level", "name": "Level", "displayOrder": 1, "type": "number", "multiValue": true},
		})
	} else {
		g.tree["environment/custom-policy-attributes.json"] = "[]"
	}
	for i := range 1 + g.draw("identity", 1) {
		g.identityWorkspace(fmt.Sprintf("identity-workspaces/i%d/", i))
	}
	var apps []string
	for i := range g.draw("authorization", 2) {
		apps = append(apps, g.authorizationWorkspace(fmt.Sprintf("authorization-workspaces/w%d/", i))...)
	}
	if g.bool("scopes") {
		g.file("environment/scopes.json", []object{{
			"clientId": fmt.Sprintf("SCOPE%d", g.run), "name": g.name("scope"), "applicationIds": apps, "authMethods": []string{},
			"trustedProxies": []string{"10.0.0.0/8"}, "cacheSeconds": g.draw("cache", 9),
			"authzenEnabled": g.bool("authzen"), "authzenContext": []string{"none", "reasons", "policies"}[g.draw("detail", 2)],
			"authzenTokenLifetime": 3600 - g.draw("lifetime", 1)*1800,
		}})
	}
	var inactive []string
	for _, id := range g.policies {
		if g.bool("inactive") {
			inactive = append(inactive, id)
		}
	}
	if len(inactive) > 0 {
		g.file("environment/policy-states.json", inactive)
	}
}

func (g *generator) identityWorkspace(path string) {
	name, template := g.name("identity workspace"), g.name("identity template")
	g.about(path, name)
	g.file(path+"identity-templates/t.json", object{"data": object{"templateId": template, "attributes": []object{
		{"attributeId": "port", "displayName": "Port", "type": "STRING", "isAvailableForPolicies": true},
		{"attributeId": "rank", "displayName": "Rank", "type": "NUMERIC", "isAvailableForPolicies": true, "isUsedInAccessRequest": true},
	}}})
	if g.bool("sources") {
		source := g.name("source")
		g.file(path+"identity-sources/s.json", object{"sources": []object{{
			"sourceId": source, "displayName": source, "sourceType": "EXTERNAL_INPUT", "sourceMetaData": object{"paaGroupId": "g", "viewName": "v"},
		}}})
		g.file(path+"mapper-sets/m.json", object{"mapperSetId": g.name("mapper set"), "displayName": "Set", "linkedSources": []object{{
			"sourceId": source, "sourceUsedAs": "MAIN", "mappers": []object{},
		}}})
	}
	if g.bool("matcher") {
		g.file(path+"matcher.json", object{"templateMatcher": "$.kind", "matcherValue": template, "identityIdMapper": "$.sub", "claimMappings": object{"port": "$.port"}})
	}
	if file, ok := fileOf(template); ok && g.bool("identities") {
		g.tree[path+"identities/"+file+".ndjson"] = `{"entityId":"iris/1","attributes":{"port":["b","a"]},"rows":[{"rank":1.50},{"rank":[2]}]}` + "\n" +
			`{"entityId":"noa","isActive":false,"attributes":{}}` + "\n"
	}
	part := identityPart{workspace: "ws", template: model.TemplateID(template)}
	for range g.draw("groups", 3) {
		part.groups = append(part.groups, g.group(template, name))
	}
	g.blocks(path, part.groups)
	g.identity = append(g.identity, part)
}

// fileOf is the template's name as a file name, where it is one.
func fileOf(template string) (string, bool) {
	return template, !strings.ContainsAny(template, `/\:*?"<>|`) && !strings.HasPrefix(template, ".")
}

// blocks puts some of the blocks into the file of those that no policy uses; policies use others, or the same.
func (g *generator) blocks(path string, all []model.Block) {
	var unused []model.Block
	for _, b := range all {
		if g.bool("unused") {
			unused = append(unused, b)
		}
	}
	if len(unused) > 0 {
		g.tree[path+"building-blocks.rego"] = string(rego.PrintBlocks(unused, rego.PrintOptions{Extended: true}))
	}
}

func (g *generator) group(template, workspace string) model.Block {
	b := model.Block{
		ID: g.id(), Kind: model.KindDynamicGroup, Template: model.TemplateID(template), Name: g.name("group of " + workspace),
		Description: g.text("description"),
	}
	for range 1 + g.draw("branches", 1) {
		b.Branches = append(b.Branches, model.Branch{Rules: []model.Rule{g.rule(model.SideIdentity, "port")}})
	}
	return b
}

// rule has few different values, so that different blocks often have the same rules.
func (g *generator) rule(side model.Side, attribute model.AttributeID) model.Rule {
	rule := model.Rule{Left: model.Ref{Side: side, Attribute: attribute}, Op: model.OpEqual}
	rule.Literals = []model.Literal{{Text: rapid.SampledFrom([]string{"a", "\"b\"\t`", "é\n\\", ""}).Draw(g.r, "value")}}
	if g.bool("list") {
		rule.Op = model.OpNotIn
		rule.Literals = append(rule.Literals, model.Literal{Text: "z"})
	}
	return rule
}

func (g *generator) authorizationWorkspace(path string) (apps []string) {
	name := g.name("authorization workspace")
	g.about(path, name)
	types := g.assetTypes(path)
	for i := range g.draw("applications", 2) {
		app := g.name("application")
		apps = append(apps, app)
		form := object{"applicationId": app, "displayName": "Application", "assetTemplateIds": types[:g.draw("held", len(types))]}
		if text := g.text("description"); text != nil {
			form["description"] = *text
		}
		g.file(fmt.Sprintf("%sapplications/a%d.json", path, i), form)
		if g.bool("mappers") {
			g.file(fmt.Sprintf("%sapi-mapper-sets/a%d.json", path, i), object{"data": object{
				"apiMappersSetId": app, "applicationIds": []string{app}, "pathIndexing": rapid.SampledFrom([]string{"AS_SENT", "SEGMENTS"}).Draw(g.r, "indexing"),
				"apiMappers": []object{{
					"mapperId": g.name("mapper"), "displayName": "Read", "matchPattern": "/quays/*/cargo/**", "matchType": "WILDCARDS",
					"restMethods": []string{"GET"}, "priority": g.draw("priority", 3), "filteringType": "INCLUDE", "assetTemplates": []object{},
				}},
			}})
		}
	}
	if g.bool("request attributes") {
		g.file(path+"request-attributes.json", []object{{"id": "channel", "displayName": "Channel", "mappings": []object{{"source": "QUERY", "path": "c"}}}})
	}
	if len(types) == 0 {
		return apps
	}
	var rulesets, conditions []model.Block
	for range 1 + g.draw("rulesets", 2) {
		template := rapid.SampledFrom(types).Draw(g.r, "type")
		rulesets = append(rulesets, model.Block{
			ID: g.id(), Kind: model.KindRuleset, Template: model.TemplateID(template), Name: g.name("ruleset of " + template),
			Branches: []model.Branch{{Rules: []model.Rule{g.rule(model.SideAsset, "berth")}}}, Description: g.text("description"),
		})
	}
	for range g.draw("conditions", 3) {
		conditions = append(conditions, g.condition(name))
	}
	g.blocks(path, slices.Concat(rulesets, conditions))
	for i := range g.draw("policies", 3) {
		g.policy(fmt.Sprintf("%spolicies/p%d.rego", path, i), rulesets, conditions, apps)
	}
	return apps
}

func (g *generator) assetTypes(path string) (types []string) {
	for i := range g.draw("types", 2) {
		id := g.name("asset type")
		types = append(types, id)
		source := rapid.SampledFrom([]string{"REQUEST", "EXTERNAL", "PLAINID"}).Draw(g.r, "source")
		form := object{
			"templateId": id, "displayName": id, "source": source, "isUsedForFiltering": g.bool("filtering"), "paaGroupId": "g", "viewName": "v",
			"attributes": []object{{"attributeId": "berth", "displayName": "Berth", "type": "STRING", "isMultiValue": source != "REQUEST", "calculationFunction": "f()"}},
			"actions":    []object{{"actionId": "Load it", "value": "load"}, {"actionId": "View"}},
		}
		if source != "EXTERNAL" {
			delete(form, "paaGroupId")
			delete(form, "viewName")
		}
		g.file(fmt.Sprintf("%sasset-types/t%d.json", path, i), form)
		if file, ok := fileOf(id); ok && source == "PLAINID" && g.bool("assets") {
			g.tree[path+"assets/"+file+".csv"] = "path,name,berth\r\n\"quay/7, north\",Oil,A|B\r\nz,,\r\na,,é\r\n"
		}
	}
	return types
}

func (g *generator) condition(workspace string) model.Block {
	b := model.Block{ID: g.id(), Name: g.name("condition of " + workspace), Description: g.text("description")}
	switch g.draw("condition", 3) {
	case 0:
		b.Kind = model.KindCondition
		b.Ranges = []model.TimeRange{{
			Zone: rapid.SampledFrom([]string{"Europe/Lisbon", model.ZoneRequest}).Draw(g.r, "zone"), Days: []time.Weekday{time.Monday, time.Friday},
			Months: []time.Month{2, 12}, Start: 3600 * g.draw("start", 23), End: 43_199, EndDate: model.Date{Year: 2030, Month: 2, Day: 28},
		}}
	case 1:
		b.Kind = model.KindConditionIP
		b.IP = &model.IPCondition{Restrict: g.bool("restrict"), Text: []string{"10.0.0.0/8", "2001:db8::/32"}}
	case 2:
		b.Kind, b.Template = model.KindConditionIdentity, g.identity[0].template
		b.Branches = []model.Branch{{Rules: []model.Rule{g.rule(model.SideIdentity, "port")}}}
	default:
		b.Kind = model.KindConditionRequest
		b.Branches = []model.Branch{{Rules: []model.Rule{g.rule(model.SideRequest, "channel")}}}
	}
	return b
}

// subset is a random choice of a list, in its order.
func subset[V any](g *generator, label string, all []V) []V {
	var out []V
	for _, v := range all {
		if g.bool(label) {
			out = append(out, v)
		}
	}
	return out
}

func (g *generator) policy(path string, rulesets, conditions []model.Block, apps []string) {
	part := g.identity[g.draw("template", len(g.identity)-1)]
	groups := subset(g, "group", part.groups)
	if len(groups) == 0 {
		groups = []model.Block{g.group(string(part.template), string(part.template)+" policy "+path)}
	}
	chosen := subset(g, "ruleset", rulesets)
	if len(chosen) == 0 {
		chosen = rulesets[:1]
	}
	p := model.Policy{
		ID: model.PolicyID(g.name("policy")), Name: g.name("policy name"), Description: g.text("description"),
		Access: model.Allow, Use: model.PolicyUseDynamic,
	}
	for _, app := range subset(g, "application", apps) {
		p.Applications = append(p.Applications, model.ApplicationID(app))
	}
	if g.tree["environment/custom-policy-attributes.json"] != "[]" && g.bool("note") {
		p.CustomAttributes = []model.CustomValue{
			{Key: "note", Values: []model.Literal{{Text: "x: #y"}}},
			{Key: "a level", Values: []model.Literal{{Text: "1.50", Number: true}, {Text: "2", Number: true}}, List: true},
		}
	}
	all := map[model.BlockID]model.Block{}
	for _, b := range groups {
		all[b.ID] = b
		p.DynamicGroups = append(p.DynamicGroups, b.ID)
	}
	for _, b := range chosen {
		all[b.ID] = b
		use := model.RulesetUse{BlockID: b.ID, AllActions: g.bool("all actions")}
		if !use.AllActions {
			use.ActionIDs = []model.ActionID{"Load it"}
		}
		p.Rulesets = append(p.Rulesets, use)
	}
	for _, b := range subset(g, "condition", conditions) {
		all[b.ID] = b
		p.Conditions = append(p.Conditions, b.ID)
	}
	text, err := rego.PrintPolicy(p, func(id model.BlockID) (model.Block, bool) {
		b, ok := all[id]
		return b, ok
	}, rego.PrintOptions{Extended: true})
	if err != nil {
		g.r.Fatal(err)
	}
	g.policies = append(g.policies, string(p.ID))
	g.tree[path] = string(text)
}
