package casefile

import (
	"crypto/sha1" //nolint:gosec // makes test ids; nothing is protected by it
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/rego"
)

// policyText is a policy of a case: the name of a module section, or the short form, of which a module is made.
type policyText struct {
	Rego     string      `yaml:"rego"`     // section name without ".rego"
	Allow    string      `yaml:"allow"`    // policy id
	Restrict string      `yaml:"restrict"` // policy id
	Who      []blockText `yaml:"who"`
	What     []blockText `yaml:"what"`
	When     []blockText `yaml:"when"`
	Inactive bool        `yaml:"inactive"`
	Header   []string    `yaml:"header"` // application ids of the header
}

// blockText is one block: its branches, each "[Template: ]line; line[ -> Action, Action]", or "all" for the template line
// alone.
type blockText []string

// UnmarshalYAML takes one branch or a list of them.
func (b *blockText) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		*b = blockText{n.Value}
		return nil
	}
	return n.Decode((*[]string)(b))
}

// addPolicies parses the policies of a case into w.
func (l *loader) addPolicies(w *World, policies []policyText) error {
	for _, p := range policies {
		text, known := l.modules[p.Rego]
		if p.Rego == "" {
			text = l.moduleText(p)
		} else if !known {
			return fmt.Errorf("no section %s.rego", p.Rego)
		}
		if err := addModule(w, text, p.Inactive); err != nil {
			return fmt.Errorf("policy %s%s%s: %w\n%s", p.Rego, p.Allow, p.Restrict, err, text)
		}
	}
	sortWorld(w)
	return nil
}

// moduleText writes the short form as Structured Rego.
func (l *loader) moduleText(p policyText) string {
	var b strings.Builder
	id, access := p.Allow, model.Allow
	if p.Restrict != "" {
		id, access = p.Restrict, model.Restrict
	}
	fmt.Fprintf(&b, "# METADATA\n# custom:\n#   plainid:\n#     policyId: %q\n#     name: %q\n#     accessType: %s\n", id, id, access)
	if len(p.Header) > 0 {
		b.WriteString("#     applications:\n")
		for _, a := range p.Header {
			fmt.Fprintf(&b, "#       - id: %q\n", a)
		}
	}
	b.WriteString("package policy\nimport rego.v1\n")
	for i, g := range p.Who {
		l.function(&b, fmt.Sprintf("%s who %d", id, i+1), model.KindDynamicGroup, g)
	}
	for i, r := range p.What {
		l.function(&b, fmt.Sprintf("%s what %d", id, i+1), model.KindRuleset, r)
	}
	for i, c := range p.When {
		l.function(&b, fmt.Sprintf("%s when %d", id, i+1), conditionKind(c), c)
	}
	return b.String()
}

// heads are the functions of the kinds with their arguments (policy-model.md 6.4).
var heads = map[model.BlockKind]string{
	model.KindDynamicGroup:      "dynamic_group(identity)",
	model.KindRuleset:           "ruleset(asset, identity, requestParams, action)",
	model.KindCondition:         "condition(env)",
	model.KindConditionIP:       "condition_ip(env)",
	model.KindConditionIdentity: "condition_identity(identity)",
	model.KindConditionRequest:  "condition_request(requestParams)",
}

func conditionKind(c blockText) model.BlockKind {
	all := strings.Join(c, ";")
	switch {
	case strings.Contains(all, "net.cidr_contains"):
		return model.KindConditionIP
	case strings.Contains(all, "env.time"):
		return model.KindCondition
	case strings.Contains(all, "requestParams"):
		return model.KindConditionRequest
	}
	return model.KindConditionIdentity
}

func (l *loader) function(b *strings.Builder, name string, kind model.BlockKind, branches blockText) {
	for _, branch := range branches {
		fmt.Fprintf(b, "\n# METADATA\n# custom:\n#   plainid:\n#     kind: %s\n#     name: %q\n", kind, name)
		fmt.Fprintf(b, "%s if {\n%s}\n", heads[kind], l.body(kind, branch))
	}
}

// body writes the lines of a branch; a template that is not named is the world's default one.
func (l *loader) body(kind model.BlockKind, branch string) string {
	text, actions, limited := strings.Cut(branch, " -> ")
	side, template := "identity", string(l.world.Default.Identity)
	if kind == model.KindRuleset {
		side, template = "asset", string(l.world.Default.Asset)
	}
	if before, after, named := strings.Cut(text, ": "); named && !strings.ContainsAny(before, `"(=;`) {
		template, text = before, after
	}
	var b strings.Builder
	if kind == model.KindDynamicGroup || kind == model.KindRuleset || kind == model.KindConditionIdentity {
		fmt.Fprintf(&b, "\t%s.template == %q\n", side, template)
	}
	if text = strings.TrimSpace(text); text != "all" {
		b.WriteString("\t" + text + "\n")
	}
	if limited {
		fmt.Fprintf(&b, "\taction.id in [\"%s\"]\n", strings.Join(strings.Split(strings.TrimSpace(actions), ", "), `", "`))
	}
	return b.String()
}

// addModule parses one module and puts its policy and blocks into w. A block is known by its id, or else by kind,
// template and name (policy-model.md 6.6).
func addModule(w *World, text string, inactive bool) error {
	m, _, err := rego.Parse([]byte(text), rego.Options{Package: rego.PackagePolicy, Workspace: AuthorizationWorkspace, Catalog: catalog{w}})
	if err != nil {
		return err
	}
	return w.addParsed(m, inactive)
}

// blockID gives a block without an id one that depends on what it is called only.
func blockID(b model.Block) model.BlockID {
	if id, ok := model.ParseUUID(string(b.ID)); ok {
		return model.BlockID(id)
	}
	h := sha1.Sum([]byte(fmt.Sprintf("%s\x00%s\x00%s", b.Kind, b.Template, b.Name))) //nolint:gosec // see the import
	return model.BlockID(fmt.Sprintf("%x-%x-5%x-8%x-%x", h[0:4], h[4:6], h[6:8], h[8:10], h[10:16])[:36])
}

// catalog is the case's world as package rego wants to see it.
type catalog struct{ w *World }

func (c catalog) IdentityTemplate(id model.TemplateID) (model.IdentityTemplate, bool) {
	for _, t := range c.w.IdentityTemplates {
		if t.ID == id {
			return t, true
		}
	}
	return model.IdentityTemplate{}, false
}

func (c catalog) AssetTemplate(id model.TemplateID) (model.AssetTemplate, bool) {
	for _, t := range c.w.AssetTemplates {
		if t.ID == id {
			return t, true
		}
	}
	return model.AssetTemplate{}, false
}

func (c catalog) RequestAttribute(model.AttributeID) bool { return false }

func (c catalog) CustomAttributes() []model.CustomAttribute { return nil }

func (c catalog) Application(id model.ApplicationID) bool {
	for _, a := range c.w.Applications {
		if a.ID == id {
			return true
		}
	}
	return false
}

func (c catalog) InApplication(id model.TemplateID) bool {
	for _, a := range c.w.Applications {
		for _, t := range a.AssetTemplateIDs {
			if t == id {
				return true
			}
		}
	}
	return false
}

// addParsed stores a parsed policy under the ids of its blocks; a block that is stored already must be the same.
func (w *World) addParsed(m *rego.Module, inactive bool) error {
	ids := make([]model.BlockID, len(m.Blocks))
	for i, parsed := range m.Blocks {
		b := parsed.Block
		b.ID = blockID(b)
		ids[i] = b.ID
		at := slices.IndexFunc(w.Blocks, func(s model.Block) bool { return s.ID == b.ID })
		if at < 0 {
			w.Blocks = append(w.Blocks, b)
		} else if !reflect.DeepEqual(w.Blocks[at], b) {
			return fmt.Errorf("block %q has other rules in another policy of the case", b.Name)
		}
	}
	p := m.Resolve(ids)
	p.Inactive = inactive
	if slices.ContainsFunc(w.Policies, func(q model.Policy) bool { return q.ID == p.ID }) {
		return fmt.Errorf("policy id %q is given twice", p.ID)
	}
	w.Policies = append(w.Policies, p)
	return nil
}
