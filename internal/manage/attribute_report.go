package manage

import (
	"bytes"
	"context"
	"crypto/hmac"
	"encoding/base64"
	"encoding/csv"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// Times of reports (management-api.md 14.6).
const (
	reportAge = 30 * 24 * time.Hour
	linkAge   = 24 * time.Hour
)

// ReportPoliciesByAttribute is the one type of report.
const ReportPoliciesByAttribute = "policies_by_attribute"

// Formats of reports.
const (
	FormatPDF  = "PDF"
	FormatJSON = "JSON"
	FormatCSV  = "CSV"
)

const resourceReport = "REPORT"

// reportedPolicy is a policy as reports show it.
type reportedPolicy struct {
	ID           string   `json:"policyId"`
	Name         string   `json:"name"`
	Description  string   `json:"description"`
	State        string   `json:"state"`
	Access       string   `json:"accessType"`
	Workspace    string   `json:"workspace"`
	Applications []string `json:"applications"`
}

// valueGroup holds the policies that have a value. A policy with several values is in several groups.
type valueGroup struct {
	Value    string           `json:"value"`
	Count    int              `json:"count"`
	Percent  float64          `json:"percent"` // of all policies
	Policies []reportedPolicy `json:"policies"`
}

// attributeReport is what a report of policies by attribute tells.
type attributeReport struct {
	Type        string           `json:"type"`
	Environment string           `json:"environment"`
	Attribute   string           `json:"attribute"`
	Name        string           `json:"attributeName"`
	CreatedAt   string           `json:"createdAt"`
	Revision    model.Revision   `json:"revision"`
	Total       int              `json:"total"`
	Groups      []valueGroup     `json:"groups"`
	Without     []reportedPolicy `json:"withoutValue"`
}

// CreateReport makes a report from the JSON body of management-api.md 14.6. It is complete, at one revision, and stored
// when the call returns.
func (s *Service) CreateReport(ctx context.Context, call Call, env model.EnvironmentID, body []byte) (model.Report, Done, error) {
	var f struct {
		Type      string `json:"type"`
		Attribute string `json:"attribute"`
		Format    string `json:"format"`
	}
	if err := form.Decode(body, &f); err != nil {
		return model.Report{}, Done{}, err
	}
	format := strings.ToUpper(f.Format)
	if format == "" {
		format = FormatPDF
	}
	var errs model.Errors
	if f.Type != ReportPoliciesByAttribute {
		errs.Add("/type", "is not %s", ReportPoliciesByAttribute)
	}
	if f.Attribute == "" {
		errs.Add("/attribute", "is missing")
	}
	if !slices.Contains([]string{FormatPDF, FormatJSON, FormatCSV}, format) {
		errs.Add("/format", "is not %s, %s or %s", FormatPDF, FormatJSON, FormatCSV)
	}
	if len(errs) > 0 {
		return model.Report{}, Done{}, errs
	}
	report, err := s.gatherReport(ctx, env, f.Attribute)
	if err != nil {
		return model.Report{}, Done{}, err
	}
	content, err := report.write(format)
	if err != nil {
		return model.Report{}, Done{}, model.Internal("manage.CreateReport", err)
	}
	r := model.Report{ID: uuid.NewString(), Type: f.Type, Attribute: f.Attribute, Format: format, CreatedAt: s.now(), Content: content}
	done := Done{Result: Created}
	done.Revision, err = s.update(ctx, &call, env, func(w *writer) error {
		for old, err := range w.Reports.FindAll() {
			if err == nil && s.now().Sub(old.CreatedAt) >= reportAge {
				_, err = w.Reports.Delete(old.ID)
			}
			if err != nil {
				return err
			}
		}
		if _, err := w.Reports.Put(r); err != nil {
			return err
		}
		return w.event(model.ChangeEvent{Action: model.EventCreate, ResourceType: resourceReport, ResourceID: r.ID, ResourceName: r.Type + " " + r.Attribute})
	})
	if call.DryRun {
		r.ID = ""
	}
	return r, done, err
}

// FindReport finds a report that is not older than 30 days.
func (s *Service) FindReport(ctx context.Context, env model.EnvironmentID, id string) (model.Report, Seen, error) {
	var r model.Report
	var seen Seen
	err := s.view(ctx, env, func(tx *store.Tx) (err error) {
		seen.Revision = tx.Revision
		if r, err = tx.Reports.Find(id); errors.Is(err, store.ErrNotFound) || err == nil && s.now().Sub(r.CreatedAt) >= reportAge {
			return missingResource("Report", id)
		}
		return err
	})
	return r, seen, err
}

// ReportLink is what proves a right to one report without a token, until expires. It differs with every call.
func (s *Service) ReportLink(env model.EnvironmentID, id string) (link string, expires time.Time) {
	expires = s.now().Add(linkAge).Truncate(time.Second)
	head := strconv.FormatInt(expires.Unix(), 36) + "." + uuid.NewString()[:8]
	return head + "." + s.sealReport(env, id, head), expires
}

func (s *Service) sealReport(env model.EnvironmentID, id, head string) string {
	return base64.RawURLEncoding.EncodeToString(s.secrets.Seal("report", string(env)+"\x00"+id+"\x00"+head))
}

// DownloadReport is FindReport for the bearer of a link. One that is altered, ended or another's finds nothing.
func (s *Service) DownloadReport(ctx context.Context, env model.EnvironmentID, id, link string) (model.Report, error) {
	at := strings.LastIndexByte(link, '.')
	if at < 0 || !hmac.Equal([]byte(link[at+1:]), []byte(s.sealReport(env, id, link[:at]))) {
		return model.Report{}, missingResource("Report", id)
	}
	text, _, _ := strings.Cut(link, ".")
	expires, err := strconv.ParseInt(text, 36, 64)
	if err != nil || !s.now().Before(time.Unix(expires, 0)) {
		return model.Report{}, missingResource("Report", id)
	}
	r, _, err := s.FindReport(ctx, env, id)
	return r, err
}

// gatherReport groups the policies of one state of the environment.
func (s *Service) gatherReport(ctx context.Context, env model.EnvironmentID, key string) (*attributeReport, error) {
	out := &attributeReport{
		Type: ReportPoliciesByAttribute, Environment: string(env), Attribute: key, CreatedAt: s.now().UTC().Format(time.RFC3339),
		Groups: []valueGroup{}, Without: []reportedPolicy{},
	}
	groups := map[string][]reportedPolicy{}
	err := s.view(ctx, env, func(tx *store.Tx) error {
		out.Revision = tx.Revision
		attribute, err := tx.CustomAttributes.Find(key)
		if errors.Is(err, store.ErrNotFound) {
			return missingResource("CustomAttribute", key)
		} else if err != nil {
			return err
		}
		out.Name = attribute.Name
		names, err := namesOf(tx)
		if err != nil {
			return err
		}
		for p, err := range tx.Policies.FindAll() {
			if err != nil {
				return err
			}
			out.Total++
			shown := names.policy(&p)
			values := valuesOf(&p, key)
			if len(values) == 0 {
				out.Without = append(out.Without, shown)
			}
			for _, v := range values {
				groups[v] = append(groups[v], shown)
			}
		}
		return nil
	})
	for value, policies := range groups {
		percent := float64(len(policies)*1000/out.Total) / 10
		out.Groups = append(out.Groups, valueGroup{Value: value, Count: len(policies), Percent: percent, Policies: policies})
	}
	slices.SortFunc(out.Groups, func(a, b valueGroup) int { return strings.Compare(a.Value, b.Value) })
	return out, err
}

func valuesOf(p *model.Policy, key string) []string {
	var out []string
	for _, v := range p.CustomAttributes {
		for i := range v.Values {
			if v.Key == key && !slices.Contains(out, v.Values[i].Text) {
				out = append(out, v.Values[i].Text)
			}
		}
	}
	return out
}

// reportNames are the names of what policies refer to by id.
type reportNames struct {
	workspaces   map[model.WorkspaceID]string
	templates    map[model.BlockID]model.TemplateID // of rulesets
	applications map[model.TemplateID][]string
}

func namesOf(tx *store.Tx) (*reportNames, error) {
	n := &reportNames{map[model.WorkspaceID]string{}, map[model.BlockID]model.TemplateID{}, map[model.TemplateID][]string{}}
	for w, err := range tx.AuthorizationWorkspaces.FindAll() {
		if err != nil {
			return nil, err
		}
		n.workspaces[w.ID] = w.Name
	}
	for b, err := range tx.Blocks.FindAll() {
		if err != nil {
			return nil, err
		}
		if b.Kind == model.KindRuleset {
			n.templates[b.ID] = b.Template
		}
	}
	for a, err := range tx.Applications.FindAll() {
		if err != nil {
			return nil, err
		}
		for _, t := range a.AssetTemplateIDs {
			n.applications[t] = append(n.applications[t], a.DisplayName)
		}
	}
	return n, nil
}

func (n *reportNames) policy(p *model.Policy) reportedPolicy {
	out := reportedPolicy{
		ID: string(p.ID), Name: p.Name, Description: form.OrDefault(p.Description, ""), State: "Active", Access: string(p.Access),
		Workspace: n.workspaces[p.WorkspaceID], Applications: []string{},
	}
	if p.Inactive {
		out.State = "Inactive"
	}
	for _, use := range p.Rulesets {
		out.Applications = append(out.Applications, n.applications[n.templates[use.BlockID]]...)
	}
	slices.Sort(out.Applications)
	out.Applications = slices.Compact(out.Applications)
	return out
}

func (r *attributeReport) write(format string) ([]byte, error) {
	switch format {
	case FormatJSON:
		return json.Marshal(r, json.Deterministic(true), jsontext.WithIndent("  "))
	case FormatCSV:
		return r.csv()
	}
	return writePDF(r.lines()), nil
}

// csv has a row for each policy and value; the value of those without one is empty. Cells that a spreadsheet would take
// for a formula get an apostrophe in front.
func (r *attributeReport) csv() ([]byte, error) {
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	row := func(cells ...string) error {
		for i, cell := range cells {
			if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
				cells[i] = "'" + cell
			}
		}
		return w.Write(cells)
	}
	err := row("value", "policyId", "name", "state", "accessType", "workspace", "applications", "description")
	add := func(value string, policies []reportedPolicy) {
		for _, p := range policies {
			err = errors.Join(err, row(value, p.ID, p.Name, p.State, p.Access, p.Workspace, strings.Join(p.Applications, "|"), p.Description))
		}
	}
	for _, g := range r.Groups {
		add(g.Value, g.Policies)
	}
	add("", r.Without)
	w.Flush()
	return out.Bytes(), errors.Join(err, w.Error())
}

// lines are the report as text.
func (r *attributeReport) lines() []string {
	out := []string{
		"Policies by attribute: " + r.Name + " (" + r.Attribute + ")", "",
		"Environment " + r.Environment + ", revision " + strconv.FormatInt(int64(r.Revision), 10) + ", " + r.CreatedAt,
		strconv.Itoa(r.Total) + " policies, " + strconv.Itoa(len(r.Without)) + " without a value", "", "Distribution",
	}
	for _, g := range r.Groups {
		out = append(out, "  "+g.Value+": "+strconv.Itoa(g.Count)+" ("+strconv.FormatFloat(g.Percent, 'f', 1, 64)+" %)")
	}
	add := func(title string, policies []reportedPolicy) {
		out = append(out, "", title)
		for _, p := range policies {
			out = append(out, "  "+p.Name+" ("+p.ID+"), "+p.State+", "+p.Access, "    Workspace: "+p.Workspace)
			if len(p.Applications) > 0 {
				out = append(out, "    Applications: "+strings.Join(p.Applications, ", "))
			}
			if p.Description != "" {
				out = append(out, "    "+p.Description)
			}
		}
	}
	for _, g := range r.Groups {
		add("Value: "+g.Value, g.Policies)
	}
	add("Without a value", r.Without)
	return out
}
