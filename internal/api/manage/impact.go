package manage

import (
	"io"
	"math"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/api/problem"
	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
)

const (
	mediaNDJSON = "application/x-ndjson"

	impactLimit = 10_000 // changes listed unless the caller says otherwise
)

// impactBody is the answer (management-api.md 22).
type impactBody struct {
	Revision  model.Revision `json:"revision"`
	Summary   impactSummary  `json:"summary"`
	Changes   []impactChange `json:"changes"`
	Truncated bool           `json:"truncated"`
	Notes     []string       `json:"notes"`
}

type impactSummary struct {
	Identities int `json:"identities"`
	Gained     int `json:"gained"`
	Lost       int `json:"lost"`
}

type impactChange struct {
	EntityTypeID model.TemplateID `json:"entityTypeId"`
	EntityID     string           `json:"entityId"`
	TemplateID   model.TemplateID `json:"templateId"`
	Path         string           `json:"path"`
	Action       string           `json:"action"`
	Change       string           `json:"change"`
	PolicyIDs    []model.PolicyID `json:"policyIds"`
}

func impactChangeOf(c *manage.ImpactChange) impactChange {
	out := impactChange{
		EntityTypeID: c.IdentityTemplate, EntityID: c.EntityID, TemplateID: c.AssetTemplate, Path: c.Path, Action: c.Action,
		Change: "lost", PolicyIDs: c.Policies,
	}
	if c.Gained {
		out.Change = "gained"
	}
	return out
}

func impact(x *exchange) error {
	in := impactInput{query: x.r.URL.Query()}
	release, err := in.read(x)
	if err != nil {
		return err
	}
	defer release()
	report, err := x.api.service.Impact(x.r.Context(), x.call, x.env, in.proposal, in.asked)
	if err != nil {
		return err
	}
	x.revision(report.Revision)
	out := impactBody{
		Revision: report.Revision, Summary: impactSummary{report.Identities, report.Gained, report.Lost},
		Changes: []impactChange{}, Notes: append([]string{}, report.Notes...),
	}
	if x.preferred(mediaJSON, mediaNDJSON) == mediaNDJSON {
		return x.streamImpact(&out, &report)
	}
	for c := range report.Changes {
		if len(out.Changes) == in.limit {
			out.Truncated = true
			break
		}
		out.Changes = append(out.Changes, impactChangeOf(&c))
	}
	return x.data(http.StatusOK, out)
}

// streamImpact writes the summary and then every change, a line each.
func (x *exchange) streamImpact(head *impactBody, report *manage.ImpactReport) error {
	return x.stream(mediaNDJSON, func(out io.Writer) error {
		line := func(v any) error {
			if err := json.MarshalWrite(out, v, json.Deterministic(true)); err != nil {
				return err
			}
			_, err := out.Write([]byte{'\n'})
			return err
		}
		err := line(struct {
			Revision model.Revision `json:"revision"`
			Summary  impactSummary  `json:"summary"`
			Notes    []string       `json:"notes"`
		}{head.Revision, head.Summary, head.Notes})
		for c := range report.Changes {
			if err != nil {
				break
			}
			err = line(impactChangeOf(&c))
		}
		return err
	})
}

// impactInput is what a call asks.
type impactInput struct {
	query    url.Values
	proposal manage.Proposal
	asked    manage.ImpactQuery
	limit    int
}

// impactChangeBody is the JSON form of a change with the parameters that may stand beside it.
type impactChangeBody struct {
	PolicyID         string         `json:"policyId"`
	State            *bool          `json:"state"`
	Delete           bool           `json:"delete"`
	Scope            string         `json:"scope"`
	IdentityTemplate string         `json:"identityTemplate"`
	TemplateID       string         `json:"templateId"`
	Limit            jsontext.Value `json:"limit"`
	Time             string         `json:"time"`
	RemoteIP         string         `json:"remoteIp"`
	Environment      jsontext.Value `json:"environment"`
}

// read takes the change from the body and the parameters from the query, or from the body where the query has none.
func (in *impactInput) read(x *exchange) (release func(), err error) {
	release = func() {}
	media := mediaType(x.r)
	switch {
	case isArchive(media):
		if err := in.parameters(&impactChangeBody{}); err != nil {
			return release, err
		}
		if in.proposal.Apply, err = applyOptions(in.query); err != nil {
			return release, err
		}
		archive, free, err := x.archive()
		if err != nil {
			return release, err
		}
		in.proposal.Archive = archive
		return free, nil
	case media == mediaJSON:
		text, err := x.readJSON()
		if err != nil {
			return release, err
		}
		var b impactChangeBody
		if err := form.Decode(text, &b); err != nil {
			return release, err
		}
		if err := in.parameters(&b); err != nil {
			return release, err
		}
		return release, in.change(&b)
	case media == mediaRego || media == "":
		if err := in.parameters(&impactChangeBody{}); err != nil {
			return release, err
		}
		return release, in.rego(x)
	}
	return release, problem.UnsupportedMedia("the body is text/plain;language=rego, application/json, application/zip, application/x-tar or application/gzip")
}

func (in *impactInput) change(b *impactChangeBody) error {
	id := model.PolicyID(b.PolicyID)
	switch {
	case id == "":
		return model.Invalidf("/policyId: required")
	case b.Delete == (b.State != nil):
		return model.Invalidf("/state: exactly one of state and delete says what would be done")
	case b.Delete:
		in.proposal.Delete = id
	default:
		in.proposal.State = &manage.PolicyState{ID: id, Active: *b.State}
	}
	return nil
}

// rego takes a policy or building blocks, whichever the package says.
func (in *impactInput) rego(x *exchange) error {
	owner, err := blockOwner(in.query)
	if err != nil {
		return err
	}
	byName, err := flag(in.query, "evaluateByBBName", false)
	if err != nil {
		return err
	}
	text, err := x.readRego()
	if err != nil {
		return err
	}
	if owner.Identity != "" || manage.IsBlocks(text) {
		in.proposal.Blocks = &manage.BlockSource{Owner: owner, Text: text, ByName: byName}
		return nil
	}
	in.proposal.Policy = &manage.PolicySource{Workspace: owner.Authorization, Text: text, ByName: byName}
	return nil
}

// parameters reads what fixes the question. All errors are reported.
func (in *impactInput) parameters(b *impactChangeBody) error {
	var errs model.Errors
	or := func(name, body string) string {
		if in.query.Has(name) {
			return in.query.Get(name)
		}
		return body
	}
	in.asked.Scope = model.ClientID(or("scope", b.Scope))
	in.asked.IdentityTemplate = model.TemplateID(or("identityTemplate", b.IdentityTemplate))
	in.asked.AssetTemplate = model.TemplateID(or("templateId", b.TemplateID))
	in.limit = impactLimit
	if text := or("limit", string(b.Limit)); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > math.MaxInt32 {
			errs = append(errs, model.InvalidParameter("limit", "%q is not an integer above 0", text))
		}
		in.limit = n
	}
	if text := or("time", b.Time); text != "" {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil || at.IsZero() {
			errs = append(errs, model.InvalidParameter("time", "%q is not a time like 2026-07-06T09:30:00+02:00", text))
		}
		in.asked.Time = at
	}
	if text := or("remoteIp", b.RemoteIP); text != "" {
		ip, err := netip.ParseAddr(text)
		if err != nil {
			errs = append(errs, model.InvalidParameter("remoteIp", "%q is not an address", text))
		}
		in.asked.SourceIP = ip
	}
	var err error
	if in.asked.Environment, err = environmentValues(or("environment", string(b.Environment))); err != nil {
		errs.Collect(err)
	}
	return errs.OrNil()
}

// environmentValues reads request attributes: a JSON object of texts, numbers, booleans or arrays of them.
func environmentValues(text string) (map[string][]string, error) {
	if text == "" || text == "null" {
		return nil, nil
	}
	bad := model.InvalidParameter("environment", "it is not a JSON object of texts, numbers, booleans and arrays of them")
	var values map[string]jsontext.Value
	if err := json.Unmarshal([]byte(text), &values); err != nil {
		return nil, bad
	}
	out := map[string][]string{}
	for name, value := range values {
		list := []jsontext.Value{value}
		if value.Kind() == '[' {
			if err := json.Unmarshal(value, &list); err != nil {
				return nil, bad
			}
		}
		for _, v := range list {
			switch v.Kind() {
			case 'n':
			case '"':
				var s string
				if err := json.Unmarshal(v, &s); err != nil {
					return nil, bad
				}
				out[name] = model.Union(out[name], []string{s})
			case '0', 't', 'f':
				out[name] = model.Union(out[name], []string{string(v)})
			default:
				return nil, bad
			}
		}
	}
	return out, nil
}
