package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v3"
)

// workspace is the authorization workspace that a command is about.
type workspace struct {
	Workspace string `short:"w" env:"AMBIT_WORKSPACE" workspace:"authorization" placeholder:"NAME" help:"Authorization workspace by name or id; not needed when there is only one."`
}

// identityWorkspace is the identity workspace that a command is about.
type identityWorkspace struct {
	Workspace string `short:"w" env:"AMBIT_IDENTITY_WORKSPACE" workspace:"identity" placeholder:"NAME" help:"Identity workspace by name or id; not needed when there is only one."`
}

// matching is how an import finds building blocks that are there already.
type matching struct {
	ByName bool `name:"by-name" query:"evaluateByBBName" help:"Building blocks of the same name are the same; else their rules decide."`
}

type policiesCommand struct {
	List     listPolicies     `cmd:"" help:"List policies." call:"POST /api/1.0/policies-search/{env}" columns:"ID=policyId NAME=displayName ACCESS=accessType STATE=state COMPLETE=isPolicyCompleted APPLICATIONS=applicationIds" example:"ambit policies list --state active --application portal --all"`
	Get      getPolicy        `cmd:"" help:"Print a policy as Rego or in its JSON form." call:"GET /api/2.0/policies/{env}?filter[authWsId]={workspace}&filter[id]={id}" example:"ambit policies get quay_days -w Quays"`
	Import   importPolicy     `cmd:"" help:"Create or replace a policy." call:"POST /api/2.0/policies/{env}?filter[authWsId]={workspace}" example:"ambit policies import -f quay_days.rego -w Quays --dry-run"`
	Validate validatePolicy   `cmd:"" help:"Check a policy; nothing is stored." call:"POST /api/2.0/policies/{env}/validation?filter[authWsId]={workspace}" example:"ambit policies validate -f quay_days.rego"`
	Enable   setPolicyState   `cmd:"" help:"Make a policy active." call:"PATCH /api/2.0/policies/{env}?filter[authWsId]={workspace}&filter[id]={id}" patch:"/state true" example:"ambit policies enable quay_days"`
	Disable  setPolicyState   `cmd:"" help:"Make a policy inactive." call:"PATCH /api/2.0/policies/{env}?filter[authWsId]={workspace}&filter[id]={id}" patch:"/state false" example:"ambit policies disable quay_days --dry-run"`
	Delete   deletePolicies   `cmd:"" help:"Delete policies, all or none." call:"DELETE /api/2.0/policies/{env}?filter[authWsId]={workspace}" example:"ambit policies delete quay_days night_watch --yes"`
	Of       policiesOfOneApp `cmd:"" name:"of-application" help:"List the policies of an application." call:"GET /policy-mgmt/1.0/policies/{env}?filter[appId]={application}" columns:"ID=id NAME=name ACCESS=accessType STATE=state" example:"ambit policies of-application portal"`
}

type listPolicies struct {
	listing
	Workspaces   []string   `name:"workspace" short:"w" workspace:"authorization" body:"authzWsIds" placeholder:"NAME" help:"Only of this authorization workspace; may be repeated."`
	Applications []string   `name:"application" body:"applicationIds" placeholder:"ID" help:"Only of this application; may be repeated."`
	State        string     `body:"state" enum:"active,inactive," default:"" placeholder:"active|inactive" help:"Only active or inactive ones."`
	Attributes   attributes `name:"attribute" body:"policyCustomAttributes" placeholder:"KEY=VALUE" help:"Only with this value of a custom attribute; may be repeated."`
	Rego         bool       `name:"with-rego" body:"detailed" help:"Add the Rego of each; see it with -o json."`
}

// extension is the choice between the two forms of Rego (policy-model.md 6).
type extension struct {
	Extended *bool `name:"extended" negatable:"" query:"extendedSchema" help:"With ids and descriptions, the default, or without."`
}

// attributes are values of custom attributes, by key.
type attributes map[string][]string

// Decode reads one KEY=VALUE.
func (a *attributes) Decode(c *kong.DecodeContext) error {
	var pair string
	if err := c.Scan.PopValueInto("KEY=VALUE", &pair); err != nil {
		return err
	}
	key, value, found := strings.Cut(pair, "=")
	if !found || key == "" {
		return fmt.Errorf("%q is not KEY=VALUE", pair)
	}
	if *a == nil {
		*a = attributes{}
	}
	(*a)[key] = append((*a)[key], value)
	return nil
}

type getPolicy struct {
	module
	workspace
	extension
	ID string `arg:"" help:"Policy."`
}

type importPolicy struct {
	writing
	workspace
	fromRego
	matching
}

type setPolicyState struct {
	writing
	workspace
	ID string `arg:"" help:"Policy."`
}

type deletePolicies struct {
	removing
	workspace
	IDs []string `arg:"" name:"id" query:"filter[id]" help:"Policies."`
}

type policiesOfOneApp struct {
	listing
	Application string `arg:"" help:"Application."`
}

// validation is the verb of commands that check a text.
type validation struct {
	remote
	form
	fromRego
	matching
}

type validatePolicy struct {
	validation
	workspace
}

// fault is an error or a warning of a validation report.
type fault struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Run prints the errors as a compiler does. Errors are exit code 1, warnings are not.
func (c *validation) Run(ctx context.Context, k *kong.Context, s Streams) error {
	o, err := c.begin(ctx, k, s)
	if err != nil {
		return err
	}
	_, body, err := o.do(ctx)
	if err != nil {
		return err
	}
	var report struct {
		Errors   []fault                     `json:"validationErrors"`
		Warnings []fault                     `json:"warnings"`
		Result   string                      `json:"result"`
		Blocks   []map[string]jsontext.Value `json:"blocks"`
	}
	if err := json.Unmarshal(unwrapped(body), &report); err != nil {
		return fmt.Errorf("reading the report: %w", err)
	}
	if c.Output != tableForm {
		if err := printObject(s.Out, c.Output, unwrapped(body)); err != nil {
			return err
		}
	} else {
		name := fileName(c.File)
		for _, e := range report.Errors {
			_ = printLine(s.notes(), "%s:%s (%s)", name, e.Message, e.Code) // there is nobody left to tell
		}
		for _, w := range report.Warnings {
			_ = printLine(s.notes(), "%s:%s (warning %s)", name, w.Message, w.Code)
		}
	}
	if n := len(report.Errors); n > 0 {
		return errors.New(plural(n, "error"))
	}
	if c.Output == tableForm {
		result := report.Result
		if result == "" {
			result = plural(len(report.Blocks), "building block")
		}
		fmt.Fprintf(s.text(), "%s: valid, an import would give: %s\n", fileName(c.File), result)
	}
	return nil
}

type blocksCommand struct {
	List     listBlocks    `cmd:"" help:"List building blocks." call:"GET /api/2.0/building-blocks/{env}" columns:"KIND=kind ID=id NAME=name DESCRIPTION=description" example:"ambit blocks list -w Quays --kind ruleset"`
	Get      getBlocks     `cmd:"" help:"Print building blocks as Rego." call:"GET /api/2.0/building-blocks/{env}" example:"ambit blocks get --identity-workspace Crew --kind dynamic-group"`
	Import   importBlocks  `cmd:"" help:"Create building blocks, or change those that the ids name." call:"POST /api/2.0/building-blocks/{env}" example:"ambit blocks import -f blocks.rego -w Quays"`
	Validate validateBlock `cmd:"" help:"Check building blocks; nothing is stored." call:"POST /api/2.0/building-blocks/{env}/validation" example:"ambit blocks validate -f blocks.rego -w Quays"`
	Delete   deleteBlocks  `cmd:"" help:"Delete building blocks, all or none." call:"DELETE /api/2.0/building-blocks/{env}?filter[kind]={kind}" example:"ambit blocks delete --kind ruleset --name Deck -w Quays --yes"`
}

// blockOwner is the workspace of building blocks, of one kind or the other.
type blockOwner struct {
	Workspace         string `short:"w" xor:"owner" required:"" workspace:"authorization" query:"filter[authWsId]" placeholder:"NAME" help:"Authorization workspace of rulesets and conditions, by name or id."`
	IdentityWorkspace string `xor:"owner" required:"" workspace:"identity" query:"filter[identityWsId]" placeholder:"NAME" help:"Identity workspace of dynamic groups, by name or id."`
}

type blockFilter struct {
	IDs      []string `name:"id" query:"filter[id]" placeholder:"ID" help:"Only this one; may be repeated."`
	Name     string   `query:"filter[name]" placeholder:"NAME" help:"Only those of this name."`
	Template string   `query:"filter[templateId]" placeholder:"ID" help:"Only those of this asset type or identity template."`
}

const blockKinds = "dynamic-group,ruleset,condition,condition-ip,condition-identity,condition-request"

type blockKind struct {
	Kind string `query:"filter[kind]" enum:"${block_kinds}," default:"" placeholder:"KIND" help:"Only this kind: ${enum}"`
}

type listBlocks struct {
	remote
	form
	blockOwner
	blockFilter
	blockKind
}

type getBlocks struct {
	remote
	extension
	blockOwner
	blockFilter
	blockKind
	Etag bool `help:"Print the version of the one block only, for --if-match."`
}

type importBlocks struct {
	writing
	blockOwner
	fromRego
	matching
}

type validateBlock struct {
	validation
	blockOwner
}

type deleteBlocks struct {
	removing
	blockOwner
	blockFilter
	Kind string `required:"" enum:"${block_kinds}" placeholder:"KIND" help:"${enum}"`
}

// Run prints the Rego.
func (c *getBlocks) Run(ctx context.Context, k *kong.Context, s Streams) error {
	o, err := c.begin(ctx, k, s)
	if err != nil {
		return err
	}
	o.header.Set("Accept", typeRego)
	header, body, err := o.do(ctx)
	if err != nil {
		return err
	}
	if c.Name != "" || len(c.IDs) > 0 { // the server answers a name that nobody has with a module without blocks
		found, err := headers(body)
		if err == nil && len(found) == 0 {
			err = errors.New("there is no such building block; \"ambit blocks list\" shows those that there are")
		}
		if err != nil {
			return err
		}
	}
	return shown(s, "rego", c.Etag, header, body)
}

// Run lists what the headers of the exported blocks say: the API has no other list of them.
func (c *listBlocks) Run(ctx context.Context, k *kong.Context, s Streams) error {
	o, err := c.begin(ctx, k, s)
	if err != nil {
		return err
	}
	o.header = http.Header{"Accept": {typeRego}}
	_, module, err := o.do(ctx)
	if err != nil {
		return err
	}
	list, err := headers(module)
	if err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	out := newRows(s.Out, c.Output, o.tag("columns"))
	return errors.Join(out.print(list), out.end())
}

// headers are the metadata of the building blocks of a module (policy-model.md 6). The branches of a block follow each other,
// each under the same header.
func headers(module []byte) ([]jsontext.Value, error) {
	var out []jsontext.Value
	var header strings.Builder // what the comment lines hold
	for line := range strings.Lines(string(module) + "\n") {
		if comment, more := strings.CutPrefix(line, "#"); more {
			header.WriteString(strings.TrimPrefix(comment, " "))
			continue
		}
		text, opens := strings.CutPrefix(header.String(), "METADATA\n")
		header.Reset()
		if !opens {
			continue
		}
		var m struct {
			Custom struct {
				PlainID map[string]yaml.Node `yaml:"plainid"`
			} `yaml:"custom"`
		}
		if err := yaml.Unmarshal([]byte(text), &m); err != nil {
			return nil, err
		}
		block := map[string]string{} // all are texts, one that looks like a number too
		for key, value := range m.Custom.PlainID {
			block[key] = value.Value
		}
		row, err := json.Marshal(block, json.Deterministic(true))
		if err != nil {
			return nil, err
		}
		if len(out) == 0 || string(out[len(out)-1]) != string(row) {
			out = append(out, row)
		}
	}
	return out, nil
}
