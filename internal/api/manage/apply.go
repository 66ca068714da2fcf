package manage

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/ambit-authz/ambit/internal/api/problem"
	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/manage/archive"
	"github.com/ambit-authz/ambit/internal/model"
)

// applyBody is the report of an apply (management-api.md 21.2).
type applyBody struct {
	Data   applyData     `json:"data"`
	Errors []reportError `json:"errors"`
}

type applyData struct {
	DryRun           bool                           `json:"dryRun"`
	Committed        bool                           `json:"committed"`
	Summary          map[string]*manage.ApplyCounts `json:"summary"`
	Items            []applyItem                    `json:"items"`
	BuildingBlocks   []applyBlock                   `json:"buildingBlocks"`
	AffectedPolicies []model.PolicyID               `json:"affectedPolicies,omitempty"`
	Changes          []applyChange                  `json:"changes,omitempty"`
	Notes            []string                       `json:"notes"`
}

type applyItem struct {
	File     string         `json:"file"`
	Kind     string         `json:"kind"`
	ID       string         `json:"id"`
	Result   string         `json:"result"`
	Warnings []applyWarning `json:"warnings"`
}

// applyChange is an object with its texts; one that was made has null before, one that was deleted null after.
type applyChange struct {
	File   string  `json:"file"`
	Kind   string  `json:"kind"`
	ID     string  `json:"id"`
	Name   string  `json:"name"`
	Result string  `json:"result"`
	Before *string `json:"before"`
	After  *string `json:"after"`
}

type applyWarning struct {
	Code    string `json:"code"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Message string `json:"message"`
}

type applyBlock struct {
	Kind   model.BlockKind `json:"kind"`
	Name   string          `json:"name"`
	ID     *model.BlockID  `json:"id"`
	Result string          `json:"result"`
}

func apply(x *exchange) error {
	o, err := applyOptions(x.r.URL.Query())
	if err != nil {
		return err
	}
	archive, release, err := x.archive()
	if err != nil {
		return err
	}
	defer release()
	report, err := x.api.service.Apply(x.r.Context(), x.call, x.env, archive, o)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if report.Refused {
		status = http.StatusBadRequest
	}
	x.done(manage.Done{Result: applyResult(&report), Revision: report.Revision})
	return x.answer(status, x.applyBody(&report))
}

// isArchive reports whether the body is said to be an archive.
func isArchive(media string) bool { _, ok := archiveKind(media); return ok }

func archiveKind(media string) (kind archive.Kind, ok bool) {
	switch media {
	case "application/zip", "application/x-zip-compressed":
		return archive.Zip, true
	case "application/x-tar", "application/tar":
		return archive.Tar, true
	case "application/gzip", "application/x-gzip", "application/x-gtar", "application/tar+gzip":
		return archive.TarGzip, true
	}
	return 0, false
}

// archive reads the body as a directory. release gives back what it occupies.
func (x *exchange) archive() (a *archive.Reader, release func(), err error) {
	kind, ok := archiveKind(mediaType(x.r))
	if !ok {
		return nil, nil, problem.UnsupportedMedia("the body is application/zip, application/x-tar or application/gzip")
	}
	f, size, err := x.spool(maxArchive)
	if err != nil {
		return nil, nil, err
	}
	a, err = archive.Open(f, size, kind, x.api.tempDir)
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return a, func() {
		_ = a.Close() // both were only read
		_ = f.Close()
	}, nil
}

func applyResult(r *manage.ApplyReport) manage.Result {
	for _, c := range r.Summary {
		if !r.Refused && c.Created+c.Updated+c.Deleted > 0 {
			return manage.Updated
		}
	}
	return manage.Unchanged
}

func (x *exchange) applyBody(r *manage.ApplyReport) applyBody {
	out := applyBody{Data: applyData{
		DryRun: r.DryRun, Committed: !r.DryRun && !r.Refused, Summary: r.Summary,
		Items: []applyItem{}, BuildingBlocks: []applyBlock{}, AffectedPolicies: r.Affected, Notes: r.Notes,
	}, Errors: []reportError{}}
	if out.Data.Notes == nil {
		out.Data.Notes = []string{}
	}
	for _, item := range r.Items {
		wire := applyItem{File: item.File, Kind: item.Kind, ID: item.ID, Result: item.Result, Warnings: []applyWarning{}}
		for _, w := range item.Warnings {
			wire.Warnings = append(wire.Warnings, applyWarning{Code: w.Code, Line: w.Pos.Line, Column: w.Pos.Column, Message: w.Text()})
		}
		out.Data.Items = append(out.Data.Items, wire)
	}
	for _, b := range r.Blocks {
		wire := applyBlock{Kind: b.Kind, Name: b.Name, Result: b.Result}
		if b.ID != "" {
			wire.ID = &b.ID
		}
		out.Data.BuildingBlocks = append(out.Data.BuildingBlocks, wire)
	}
	for i := range r.Changes {
		c := &r.Changes[i]
		wire := applyChange{File: c.File, Kind: c.Kind, ID: c.ID, Name: c.Name, Result: c.Result.String()}
		if c.Result != manage.Created {
			wire.Before = &c.Before
		}
		if c.Result != manage.Deleted {
			wire.After = &c.After
		}
		out.Data.Changes = append(out.Data.Changes, wire)
	}
	for _, e := range r.Errors {
		out.Errors = append(out.Errors, x.reportError(e))
	}
	return out
}

func applyOptions(q url.Values) (manage.ApplyOptions, error) {
	o := manage.ApplyOptions{AuthWs: q["authWs"], IdentityWs: q["identityWs"]}
	var errs model.Errors
	switch mode := q.Get("onError"); mode {
	case "", "abort":
	case "skip":
		o.SkipErrors = true
	default:
		errs = append(errs, model.InvalidParameter("onError", "%q is not abort or skip", mode))
	}
	switch mode := q.Get("unknownMembers"); mode {
	case "", "refuse":
	case "ignore":
		o.IgnoreUnknown = true
	default:
		errs = append(errs, model.InvalidParameter("unknownMembers", "%q is not refuse or ignore", mode))
	}
	for name, to := range map[string]*bool{"prune": &o.Prune, "evaluateByBBName": &o.ByName, "verbose": &o.Verbose, "changes": &o.Changes} {
		text := q.Get(name)
		if text == "" {
			continue
		}
		value, err := parseBool(name, text)
		if err != nil {
			errs = append(errs, model.InvalidParameter(name, "%q is not true or false", text))
		}
		*to = value
	}
	for _, pair := range q["rename"] {
		from, to, ok := strings.Cut(pair, "=")
		if !ok || from == "" || to == "" {
			errs = append(errs, model.InvalidParameter("rename", "%q is not <archive name>=<environment name>", pair))
			continue
		}
		if o.Rename == nil {
			o.Rename = map[string]string{}
		}
		o.Rename[from] = to
	}
	return o, errs.OrNil()
}
