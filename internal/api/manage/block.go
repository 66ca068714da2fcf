package manage

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/ambit-authz/ambit/internal/api/problem"
	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/model"
)

const blocks = "/api/2.0/building-blocks/{envId}"

func addBlocks(t *router) {
	const resource = "BuildingBlock"
	read, write := manage.RightRead, manage.RightWrite
	forms := []string{mediaRego}
	t.add("POST", blocks, route{resource: resource, right: write, forms: forms, serve: importBlocks})
	t.add("POST", blocks+"/validation", route{resource: resource, right: read, serve: validateBlocks})
	t.add("GET", blocks, route{resource: resource, right: read, forms: forms, serve: exportBlocks})
	t.add("DELETE", blocks, route{resource: resource, right: write, serve: deleteBlocks})
}

// blockOwner reads the workspace: of exactly one of the two kinds (management-api.md 8).
func blockOwner(q url.Values) (manage.BlockOwner, error) {
	var o manage.BlockOwner
	hasAuth, hasIdentity := q.Get("filter[authWsId]") != "", q.Get("filter[identityWsId]") != ""
	switch {
	case hasAuth && hasIdentity:
		return o, model.InvalidParameter("filter[identityWsId]", "filter[authWsId] stands beside it; a call is about one workspace")
	case !hasAuth && !hasIdentity:
		return o, model.MissingParameter("filter[authWsId] or filter[identityWsId]")
	case hasAuth:
		id, err := uuidOf(q, "filter[authWsId]")
		o.Authorization = model.WorkspaceID(id)
		return o, err
	}
	id, err := uuidOf(q, "filter[identityWsId]")
	o.Identity = model.WorkspaceID(id)
	return o, err
}

// regoOnly refuses callers who take no Rego.
func (x *exchange) regoOnly() error {
	if !accepts(x.r, mediaRego) {
		return problem.NotAcceptable("the answer is text/plain;language=rego")
	}
	return nil
}

func (x *exchange) blockSource() (in manage.BlockSource, extended bool, err error) {
	q := x.r.URL.Query()
	var errs model.Errors
	in.Owner, err = blockOwner(q)
	errs.Collect(err)
	extended, err = flag(q, "extendedSchema", true)
	errs.Collect(err)
	in.ByName, err = flag(q, "evaluateByBBName", false)
	errs.Collect(err)
	if len(errs) > 0 {
		return in, extended, errs
	}
	if media := mediaType(x.r); media != "" && media != mediaRego {
		return in, extended, problem.UnsupportedMedia("the body is text/plain;language=rego")
	}
	in.Text, err = x.readRego()
	return in, extended, err
}

func importBlocks(x *exchange) error {
	if err := x.regoOnly(); err != nil {
		return err
	}
	in, extended, err := x.blockSource()
	if err != nil {
		return err
	}
	out, err := x.api.service.ImportBlocks(x.r.Context(), x.call, x.env, in)
	if err != nil {
		return err
	}
	x.warnings(out.Warnings, out.Affected)
	x.doneAs(out.Done, variantOf(mediaRego, extended))
	return x.answerRego(http.StatusCreated, manage.RegoOfBlocks(out.Blocks, extended))
}

type blockBody struct {
	Name             string           `json:"name"`
	ID               *model.BlockID   `json:"id"` // null when only the real write would make it
	Kind             model.BlockKind  `json:"kind"`
	Result           string           `json:"result"`
	AffectedPolicies []model.PolicyID `json:"affectedPolicies"`
}

func validateBlocks(x *exchange) error {
	in, _, err := x.blockSource()
	if err != nil {
		return err
	}
	check, err := x.api.service.CheckBlocks(x.r.Context(), x.call, x.env, in)
	if err != nil {
		return err
	}
	items := make([]blockBody, len(check.Blocks))
	for i := range check.Blocks {
		b := &check.Blocks[i]
		items[i] = blockBody{Name: b.Name, Kind: b.Kind, Result: b.Result, AffectedPolicies: b.Affected}
		if b.ID != "" {
			items[i].ID = &b.ID
		}
		if b.Affected == nil {
			items[i].AffectedPolicies = []model.PolicyID{}
		}
	}
	x.revision(check.Revision)
	return x.data(http.StatusOK, struct {
		ValidationErrors []faultBody `json:"validationErrors"`
		Warnings         []faultBody `json:"warnings"`
		Blocks           []blockBody `json:"blocks"`
	}{faultsOf(check.Errors, true), faultsOf(check.Warnings, false), items})
}

// blockKinds are the values of filter[kind].
func blockKind(name string) (model.BlockKind, bool) {
	switch name {
	case "dynamic-group":
		return model.KindDynamicGroup, true
	case "ruleset":
		return model.KindRuleset, true
	case "condition":
		return model.KindCondition, true
	case "condition-ip":
		return model.KindConditionIP, true
	case "condition-identity":
		return model.KindConditionIdentity, true
	case "condition-request":
		return model.KindConditionRequest, true
	}
	return "", false
}

// blockFilter reads the filters of export and delete. filters counts those beside the kind.
func blockFilter(q url.Values) (f *manage.BlockFilter, filters int, err error) {
	f = &manage.BlockFilter{Name: q.Get("filter[name]"), Template: model.TemplateID(q.Get("filter[templateId]"))}
	var errs model.Errors
	f.Owner, err = blockOwner(q)
	errs.Collect(err)
	if name := q.Get("filter[kind]"); name != "" {
		kind, known := blockKind(name)
		if f.Kind = kind; !known {
			errs = append(errs, model.InvalidParameter("filter[kind]", "%q is not a kind of building block", name))
		}
	}
	if values, named := valuesOf(q, "id"); named {
		filters++
		f.IDs = []model.BlockID{}
		for _, v := range values {
			f.IDs = append(f.IDs, model.BlockID(strings.ToLower(v)))
		}
	}
	if f.Name != "" {
		filters++
	}
	if f.Template != "" {
		filters++
	}
	return f, filters, errs.OrNil()
}

func exportBlocks(x *exchange) error {
	if err := x.regoOnly(); err != nil {
		return err
	}
	q := x.r.URL.Query()
	f, _, err := blockFilter(q)
	if err != nil {
		return err
	}
	extended, err := flag(q, "extendedSchema", true)
	if err != nil {
		return err
	}
	found, seen, err := x.api.service.FindBlocks(x.r.Context(), x.env, f)
	if err != nil {
		return err
	}
	x.revision(seen.Revision)
	if seen.Version != "" && x.seenAs(seen, variantOf(mediaRego, extended)) {
		return nil
	}
	return x.answerRego(http.StatusOK, manage.RegoOfBlocks(found, extended))
}

func deleteBlocks(x *exchange) error {
	f, filters, err := blockFilter(x.r.URL.Query())
	if err != nil {
		return err
	}
	switch {
	case f.Kind == "":
		return model.MissingParameter("filter[kind]")
	case filters == 0:
		return model.MissingParameter("filter[id], filter[name] or filter[templateId]")
	}
	out, err := x.api.service.DeleteBlocks(x.r.Context(), x.call, x.env, f)
	if err != nil {
		return err
	}
	x.done(out.Done)
	return x.data(http.StatusOK, struct {
		Groups     int `json:"dynamicGroupCounter"`
		Rulesets   int `json:"ruleSetCounter"`
		Conditions int `json:"conditionCounter"`
	}{out.Groups, out.Rulesets, out.Conditions})
}
