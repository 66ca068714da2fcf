package manage

import (
	"cmp"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
)

const (
	policies2      = "/api/2.0/policies/{envId}"
	policies1      = "/api/1.0/policies/{envId}"
	policy1        = policies1 + "/{policyId}"
	policiesSearch = "/api/1.0/policies-search/{envId}"

	resourcePolicy = "Policy"
)

func addPolicies(t *router) {
	read, write := manage.RightRead, manage.RightWrite
	forms := []string{mediaRego}
	t.add("POST", policies2, route{resource: resourcePolicy, right: write, forms: forms, serve: importPolicy})
	t.add("POST", policies2+"/validation", route{resource: resourcePolicy, right: read, forms: forms, serve: validatePolicy})
	t.add("GET", policies2, route{resource: resourcePolicy, right: read, forms: forms, serve: exportPolicy})
	t.add("PATCH", policies2, route{resource: resourcePolicy, right: write, serve: patchPolicy})
	t.add("DELETE", policies2, route{resource: resourcePolicy, right: write, serve: deletePolicies})

	t.add("POST", policies1, route{resource: resourcePolicy, right: write, serve: importPolicy1})
	t.add("POST", policies1+"/validation", route{resource: resourcePolicy, right: read, serve: validatePolicy1})
	t.add("GET", policy1, route{resource: resourcePolicy, right: read, serve: exportPolicy1})
	t.add("PATCH", policy1, route{resource: resourcePolicy, right: write, serve: patchPolicy1})
	t.add("DELETE", policy1, route{resource: resourcePolicy, right: write, serve: deletePolicy1})

	t.add("POST", policiesSearch, route{resource: resourcePolicy, right: read, serve: searchPolicies})
}

// maxRego is the limit of Rego bodies (management-api.md 1.1 rule 5).
const maxRego = 4 << 20

// policyBody is the JSON form of a policy (management-api.md 5.1).
type policyBody struct {
	PolicyID          *string               `json:"policyId"` // null when only the real write would make it
	DisplayName       string                `json:"displayName"`
	Description       *string               `json:"description,omitzero"`
	AccessType        model.Access          `json:"accessType"`
	PolicyUse         string                `json:"policyUse"`
	State             string                `json:"state"`
	AuthzWsID         model.WorkspaceID     `json:"authzWsId"`
	ApplicationIDs    []model.ApplicationID `json:"applicationIds"`
	CustomAttributes  jsontext.Value        `json:"policyCustomAttributes"`
	IsPolicyCompleted bool                  `json:"isPolicyCompleted"`
	Language          string                `json:"language,omitzero"`
	StructuredRego    *string               `json:"structuredRego,omitzero"`
}

func policyOf(v *manage.PolicyView) policyBody {
	p := &v.Policy
	out := policyBody{
		DisplayName: p.Name, Description: p.Description, AccessType: p.Access,
		PolicyUse: cmp.Or(p.Use, model.PolicyUseDynamic), State: stateOf(p), AuthzWsID: p.WorkspaceID,
		ApplicationIDs: v.Applications, CustomAttributes: v.CustomAttributes(), IsPolicyCompleted: v.Complete,
	}
	if out.ApplicationIDs == nil {
		out.ApplicationIDs = []model.ApplicationID{}
	}
	if id := string(p.ID); id != "" {
		out.PolicyID = &id
	}
	return out
}

func stateOf(p *model.Policy) string {
	if p.Inactive {
		return "Inactive"
	}
	return "Active"
}

// policyCall is what the query of an import says.
type policyCall struct {
	source   manage.PolicySource
	extended bool
	form     string // of the body
}

func (x *exchange) policyCall() (policyCall, error) {
	q := x.r.URL.Query()
	var c policyCall
	var errs model.Errors
	workspace, err := uuidOf(q, "filter[authWsId]")
	errs.Collect(err)
	c.extended, err = flag(q, "extendedSchema", true)
	errs.Collect(err)
	c.source.ByName, err = flag(q, "evaluateByBBName", false)
	errs.Collect(err)
	if len(errs) > 0 {
		return c, errs
	}
	c.source.Workspace = model.WorkspaceID(workspace)
	if c.form, err = x.bodyForm(); err != nil {
		return c, err
	}
	return c, x.readPolicy(&c)
}

// readPolicy reads the Rego, alone or inside the JSON form.
func (x *exchange) readPolicy(c *policyCall) error {
	if c.form == mediaRego {
		text, err := x.readRego()
		c.source.Text = text
		return err
	}
	text, err := x.readJSON()
	if err != nil {
		return err
	}
	var f struct {
		PolicyID       *string `json:"policyId"`
		Language       *string `json:"language"`
		StructuredRego *string `json:"structuredRego"`
		PolicyCode     *string `json:"policyCode"`
	}
	if err := form.Decode(text, &f); err != nil {
		return err
	}
	rego := cmp.Or(f.StructuredRego, f.PolicyCode)
	if rego == nil || f.Language != nil && !strings.EqualFold(*f.Language, "rego") {
		return notOffered("A policy that is not Rego")
	}
	c.source.Text = []byte(*rego)
	if f.PolicyID != nil {
		c.source.ID = model.PolicyID(*f.PolicyID)
	}
	return nil
}

func (x *exchange) readRego() ([]byte, error) {
	in, err := body(x.w, x.r, maxRego)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(in)
}

func notOffered(what string) error {
	return &model.Error{
		Kind: model.KindNotOffered, Code: "MGT-016", Name: "NotOfferedError", Args: []string{what}, Message: what + " is not offered",
	}
}

func importPolicy(x *exchange) error {
	c, err := x.policyCall()
	if err != nil {
		return err
	}
	out, err := x.api.service.ImportPolicy(x.r.Context(), x.call, x.env, c.source)
	if err != nil {
		return err
	}
	x.warnings(out.Warnings, out.Affected)
	form := x.answerForm(c.form)
	x.doneAs(out.Done, variantOf(form, c.extended))
	return x.policy(http.StatusCreated, &out.View, form, c.extended)
}

// warned answers the definition that was stored, with the warnings about it beside it, if any.
func (x *exchange) warned(status int, definition jsontext.Value, warnings model.Errors) error {
	x.w.Header().Set("Ambit-Warnings", strconv.Itoa(len(warnings)))
	out := struct {
		Data     jsontext.Value `json:"data"`
		Warnings []warningBody  `json:"warnings,omitempty"`
	}{Data: definition}
	for _, w := range warnings {
		out.Warnings = append(out.Warnings, warningBody{Code: w.Code, Message: w.Text()})
	}
	return x.answer(status, out)
}

// warningBody is a warning about a definition.
type warningBody struct {
	Code    string `json:"code"`
	Message string `json:"message"` // begins with the JSON pointer of what it is about
}

// warnings sets the headers that tell what else an import found and did (management-api.md 5, 8).
func (x *exchange) warnings(warnings model.Errors, affected []model.PolicyID) {
	h := x.w.Header()
	h.Set("Ambit-Warnings", strconv.Itoa(len(warnings)))
	if len(affected) == 0 {
		return
	}
	const most = 50
	var ids []string
	for _, id := range affected[:min(len(affected), most)] {
		ids = append(ids, url.PathEscape(string(id)))
	}
	text := strings.ReplaceAll(strings.Join(ids, "\x00"), ",", "%2C")
	text = strings.ReplaceAll(text, "\x00", ",")
	if len(affected) > most {
		text += ",…"
	}
	h.Set("Ambit-Affected-Policies", text)
}

// variantOf names a form of a policy in entity tags.
func variantOf(form string, extended bool) string {
	name := "json"
	if form == mediaRego {
		name = "rego"
	}
	if !extended {
		name += "-plain"
	}
	return name
}

// policy answers a policy in one of its two forms.
func (x *exchange) policy(status int, v *manage.PolicyView, form string, extended bool) error {
	module, err := v.Rego(extended)
	if err != nil {
		return err
	}
	x.w.Header().Set("Vary", "Accept")
	if form == mediaRego {
		return x.answerRego(status, module)
	}
	text := string(module)
	out := policyOf(v)
	out.Language, out.StructuredRego = "rego", &text
	if !extended {
		out.Description = nil
	}
	return x.data(status, out)
}

// faultBody is an error or warning of a text in a validation report.
type faultBody struct {
	Code    string `json:"code"`
	Name    string `json:"name,omitzero"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Message string `json:"message"`
}

func faultsOf(list model.Errors, named bool) []faultBody {
	out := make([]faultBody, len(list))
	for i, e := range list {
		out[i] = faultBody{Code: e.Code, Line: e.Pos.Line, Column: e.Pos.Column, Message: e.Text()}
		if named {
			out[i].Name = e.Name
		}
	}
	return out
}

func validatePolicy(x *exchange) error {
	c, err := x.policyCall()
	if err != nil {
		return err
	}
	return x.checkPolicy(c.source)
}

func (x *exchange) checkPolicy(in manage.PolicySource) error {
	check, err := x.api.service.CheckPolicy(x.r.Context(), x.call, x.env, in)
	if err != nil {
		return err
	}
	out := struct {
		IsPolicyCompleted bool        `json:"isPolicyCompleted"`
		ValidationErrors  []faultBody `json:"validationErrors"`
		Warnings          []faultBody `json:"warnings"`
		Result            string      `json:"result,omitzero"`
	}{check.Complete, faultsOf(check.Errors, true), faultsOf(check.Warnings, false), check.Result.String()}
	if len(check.Errors) > 0 {
		out.Result = ""
	}
	x.revision(check.Revision)
	return x.data(http.StatusOK, out)
}

// policyTarget reads the workspace and the ids of a call on stored policies.
func (x *exchange) policyTarget() (model.WorkspaceID, []model.PolicyID, error) {
	q := x.r.URL.Query()
	var errs model.Errors
	workspace, err := uuidOf(q, "filter[authWsId]")
	errs.Collect(err)
	values, named := valuesOf(q, "id")
	var ids []model.PolicyID
	for _, v := range values {
		if v != "" {
			ids = append(ids, model.PolicyID(v))
		}
	}
	if !named || len(ids) == 0 {
		errs = append(errs, model.MissingParameter("filter[id]"))
	}
	return model.WorkspaceID(workspace), ids, errs.OrNil()
}

// onePolicy is policyTarget for calls on exactly one.
func (x *exchange) onePolicy() (model.WorkspaceID, model.PolicyID, error) {
	workspace, ids, err := x.policyTarget()
	if err != nil {
		return "", "", err
	}
	if len(ids) != 1 {
		return "", "", model.InvalidParameter("filter[id]", "it names %d policies, the call is about one", len(ids))
	}
	return workspace, ids[0], nil
}

func exportPolicy(x *exchange) error {
	workspace, id, err := x.onePolicy()
	if err != nil {
		return err
	}
	extended, err := flag(x.r.URL.Query(), "extendedSchema", true)
	if err != nil {
		return err
	}
	v, err := x.api.service.FindPolicy(x.r.Context(), x.env, workspace, id)
	if err != nil {
		return err
	}
	form := x.answerForm(mediaRego)
	if x.seenAs(v.Seen, variantOf(form, extended)) {
		return nil
	}
	return x.policy(http.StatusOK, &v, form, extended)
}

func patchPolicy(x *exchange) error {
	workspace, id, err := x.onePolicy()
	if err != nil {
		return err
	}
	return x.patchState(workspace, id)
}

func (x *exchange) patchState(workspace model.WorkspaceID, id model.PolicyID) error {
	var active bool
	if err := x.readPatch("/state", &active); err != nil {
		return err
	}
	return x.noContent(x.api.service.SetPolicyState(x.r.Context(), x.call, x.env, workspace, id, active))
}

func deletePolicies(x *exchange) error {
	workspace, ids, err := x.policyTarget()
	if err != nil {
		return err
	}
	return x.noContent(x.api.service.DeletePolicies(x.r.Context(), x.call, x.env, workspace, ids))
}
