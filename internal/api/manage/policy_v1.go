package manage

import (
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
)

// readPolicy1 reads the body of the older calls (management-api.md 6).
func (x *exchange) readPolicy1() (manage.PolicySource, error) {
	var in manage.PolicySource
	text, err := x.readJSON()
	if err != nil {
		return in, err
	}
	var f struct {
		PolicyCode *string `json:"policyCode"`
		AuthWsID   string  `json:"authWsId"`
		Language   string  `json:"language"`
	}
	if err := form.Decode(text, &f); err != nil {
		return in, err
	}
	if err := language(f.Language); err != nil {
		return in, err
	}
	var errs model.Errors
	if f.AuthWsID == "" {
		errs = append(errs, model.MissingParameter("authWsId"))
	}
	if f.PolicyCode == nil {
		errs = append(errs, model.MissingParameter("policyCode"))
	}
	if len(errs) > 0 {
		return in, errs
	}
	in.Workspace, in.Text = model.WorkspaceID(strings.ToLower(f.AuthWsID)), []byte(*f.PolicyCode)
	return in, nil
}

// language: rego is the only one, and has to be named.
func language(name string) error {
	switch {
	case name == "":
		return model.MissingParameter("language")
	case !strings.EqualFold(name, "rego"):
		return notOffered("language " + name)
	}
	return nil
}

func importPolicy1(x *exchange) error {
	in, err := x.readPolicy1()
	if err != nil {
		return err
	}
	out, err := x.api.service.ImportPolicy(x.r.Context(), x.call, x.env, in)
	if err != nil {
		return err
	}
	x.warnings(out.Warnings, out.Affected)
	x.doneAs(out.Done, "v1")
	return x.data(http.StatusCreated, struct {
		PolicyID          *string     `json:"policyId"`
		IsPolicyCompleted bool        `json:"isPolicyCompleted"`
		ValidationErrors  []faultBody `json:"validationErrors"`
	}{policyOf(&out.View).PolicyID, out.View.Complete, []faultBody{}})
}

func validatePolicy1(x *exchange) error {
	in, err := x.readPolicy1()
	if err != nil {
		return err
	}
	return x.checkPolicy(in)
}

func (x *exchange) policyID() model.PolicyID { return model.PolicyID(x.r.PathValue("policyId")) }

func exportPolicy1(x *exchange) error {
	if err := language(x.r.URL.Query().Get("language")); err != nil {
		return err
	}
	v, err := x.api.service.FindPolicy(x.r.Context(), x.env, "", x.policyID())
	if err != nil || x.seenAs(v.Seen, "v1") {
		return err
	}
	module, err := v.Rego(true)
	if err != nil {
		return err
	}
	return x.data(http.StatusOK, struct {
		Language   string `json:"language"`
		PolicyCode string `json:"policyCode"`
	}{"rego", string(module)})
}

func patchPolicy1(x *exchange) error { return x.patchState("", x.policyID()) }

func deletePolicy1(x *exchange) error {
	return x.noContent(x.api.service.DeletePolicies(x.r.Context(), x.call, x.env, "", []model.PolicyID{x.policyID()}))
}

// maxSearch is the most that a page of a search holds, detailed or not (management-api.md 7).
const maxSearch = 100

func searchPolicies(x *exchange) error {
	q := x.r.URL.Query()
	w, err := windowUpTo(q, defaultLimit, maxSearch)
	if err != nil {
		return err
	}
	text, err := x.readJSON()
	if err != nil {
		return err
	}
	filter, detailed, err := searchOf(text)
	if err != nil {
		return err
	}
	found, err := x.api.service.SearchPolicies(x.r.Context(), x.env, filter, w.offset, w.limit)
	if err != nil {
		return err
	}
	items := make([]policyBody, len(found.Items))
	for i := range found.Items {
		items[i] = policyOf(&found.Items[i])
		if detailed {
			module, err := found.Items[i].Rego(true)
			if err != nil {
				return err
			}
			text := string(module)
			items[i].StructuredRego = &text
		}
	}
	x.revision(found.Revision)
	return page(x, w, found.Total, items)
}

// searchOf reads the body of a search; an empty one asks for everything.
func searchOf(text []byte) (*manage.PolicyFilter, bool, error) {
	var f struct {
		ApplicationIDs   []model.ApplicationID       `json:"applicationIds"`
		AuthzWsIDs       []string                    `json:"authzWsIds"`
		State            *string                     `json:"state"`
		CustomAttributes map[string][]jsontext.Value `json:"policyCustomAttributes"`
		Detailed         bool                        `json:"detailed"`
	}
	out := &manage.PolicyFilter{}
	if len(strings.TrimSpace(string(text))) == 0 {
		return out, false, nil
	}
	if err := form.Decode(text, &f); err != nil {
		return nil, false, err
	}
	out.Applications = f.ApplicationIDs
	for _, id := range f.AuthzWsIDs {
		out.Workspaces = append(out.Workspaces, model.WorkspaceID(strings.ToLower(id)))
	}
	if f.State != nil {
		active := strings.EqualFold(*f.State, "active")
		if !active && !strings.EqualFold(*f.State, "inactive") {
			return nil, false, model.Invalidf("/state: %q is neither active nor inactive", *f.State)
		}
		out.Active = &active
	}
	var err error
	out.Custom, err = literalsOf(f.CustomAttributes)
	return out, f.Detailed, err
}

// literalsOf reads lists of texts and numbers. A key without values asks for nothing.
func literalsOf(in map[string][]jsontext.Value) (map[string][]model.Literal, error) {
	out := map[string][]model.Literal{}
	for key, values := range in {
		for _, v := range values {
			switch v.Kind() {
			case '"':
				var text string
				if err := json.Unmarshal(v, &text); err != nil {
					return nil, model.Invalidf("/policyCustomAttributes/%s: %v", key, err)
				}
				out[key] = append(out[key], model.Literal{Text: text})
			case '0':
				out[key] = append(out[key], model.Literal{Text: string(v), Number: true})
			default:
				return nil, model.Invalidf("/policyCustomAttributes/%s: a value is neither a text nor a number", key)
			}
		}
	}
	return out, nil
}
