package manage

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/ambit-authz/ambit/internal/manage/archive"
	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
)

// ApplyOptions are the query of an apply (management-api.md 21.2). The zero value has the defaults.
type ApplyOptions struct {
	SkipErrors    bool // onError=skip
	Prune         bool
	ByName        bool              // evaluateByBBName
	Verbose       bool              // list unchanged items too
	IgnoreUnknown bool              // unknownMembers=ignore: pass over members of JSON files that their kind does not have
	Changes       bool              // list the changed objects with their texts before and after
	AuthWs        []string          // limit to these authorization workspaces; empty = all
	IdentityWs    []string          // limit to these identity workspaces; empty = all
	Rename        map[string]string // archive name of a workspace → its name in the environment
}

// ApplyCounts are the results of one kind.
type ApplyCounts struct {
	Created   int64 `json:"created"`
	Updated   int64 `json:"updated"`
	Unchanged int64 `json:"unchanged"`
	Deleted   int64 `json:"deleted"`
	Failed    int64 `json:"failed"`
}

// ApplyItem is what became of one object. File is empty for what was deleted because the archive lacks it.
type ApplyItem struct {
	File     string
	Kind     string
	ID       string
	Result   string
	Warnings model.Errors
}

// ApplyReport tells what an apply did, or would have done.
type ApplyReport struct {
	DryRun   bool
	Refused  bool // onError=abort and there are errors: nothing is stored
	Summary  map[string]*ApplyCounts
	Items    []ApplyItem
	Blocks   []BlockOutcome
	Affected []model.PolicyID // policies that share a block whose rules were replaced
	Changes  []ObjectChange   // on request; nil when the apply is refused
	Notes    []string
	Errors   model.Errors // with Pos.File
	Revision model.Revision
}

// errAgain ends an attempt whose errors showed only after their file was stored: the next one leaves the file out.
var errAgain = errors.New("apply again without the files that failed late")

// Apply stores a whole directory: one transaction, one revision, the second time nothing (management-api.md 21.2). With
// errors the report says Refused, or lists what was left out.
func (s *Service) Apply(ctx context.Context, call Call, env model.EnvironmentID, archive *archive.Reader, o ApplyOptions) (ApplyReport, error) {
	l, err := readLayout(archive)
	if err != nil {
		return ApplyReport{}, err
	}
	out := map[string]brokenFile{}
	for {
		a := newApplier(s, l, o, out)
		revision, err := s.update(ctx, &call, env, func(w *writer) error {
			a.w = w
			if o.Changes {
				w.observe = func(e *model.ChangeEvent) { a.changes.note(a.path, e) }
			}
			if err := a.run(); err != nil {
				return err
			}
			switch {
			case o.SkipErrors && len(a.late) > 0:
				return errAgain
			case !o.SkipErrors && len(a.report.Errors) > 0:
				return errRefused
			}
			return a.event()
		})
		switch {
		case errors.Is(err, errAgain):
			maps.Copy(out, a.late)
			continue
		case errors.Is(err, errRefused):
			a.report.Refused, a.report.Affected, a.changes = true, nil, changeLog{} // nothing was changed
			a.dropFollowing()
			if revision, err = s.Revision(ctx, env); err != nil {
				return ApplyReport{}, err
			}
		case err != nil:
			return ApplyReport{}, err
		}
		a.report.Revision, a.report.DryRun, a.report.Changes = revision, call.DryRun, a.changes.list()
		a.finish()
		return a.report, nil
	}
}

// brokenFile is a file that an earlier attempt found to be wrong.
type brokenFile struct {
	id   string
	errs model.Errors
}

// applier is one attempt at an apply.
type applier struct {
	s      *Service
	w      *writer
	layout *layout
	o      ApplyOptions
	broken map[string]brokenFile // by path; left out from the start
	late   map[string]brokenFile

	report  ApplyReport
	changes changeLog
	passed  model.PassedOver     // members of files
	path    string               // of the file that is being stored
	failed  map[objectRef]string // file that should have brought the object
	bad     map[string]bool      // files with errors
	seen    map[objectRef]string // file that brought it
	blocks  map[model.BlockID]int

	authorization map[*folder]*model.AuthorizationWorkspace
	identity      map[*folder]*model.IdentityWorkspace
	cat           *catalog
	resolver      *resolver
	inactive      map[model.PolicyID]bool
	hasStates     bool
	changed       []changedTemplate
	redefined     []model.CustomAttribute
}

type objectRef struct{ kind, id string }

func newApplier(s *Service, l *layout, o ApplyOptions, broken map[string]brokenFile) *applier {
	return &applier{
		s: s, layout: l, o: o, broken: broken, late: map[string]brokenFile{},
		report: ApplyReport{Summary: map[string]*ApplyCounts{}, Notes: slices.Clone(l.notes)},
		failed: map[objectRef]string{}, bad: map[string]bool{}, seen: map[objectRef]string{}, blocks: map[model.BlockID]int{},
		authorization: map[*folder]*model.AuthorizationWorkspace{}, identity: map[*folder]*model.IdentityWorkspace{},
		inactive: map[model.PolicyID]bool{}, changes: changeLog{at: map[changeKey]int{}},
	}
}

// run does everything in the order of management-api.md 21.2. An error is one that ends the whole call; errors of the
// archive go to the report.
func (a *applier) run() error {
	for _, step := range []func() error{
		a.rememberStates, a.customAttributes,
		a.identityWorkspaces, a.identitySources, a.mapperSets, a.matchers,
		a.authorizationWorkspaces, a.noteAbsent, a.assetTypes, a.requestAttributes, a.applications, a.apiMapperSets,
		a.readCatalog, a.buildingBlocks, a.readStates, a.policies, a.states,
		a.scopes, a.records,
		a.prune, a.checkUses, a.checkCustomValues, a.affected, a.stateChanges,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// Limits of one file (management-api.md 1.1 rule 5).
const (
	maxJSONFile = 10 << 20
	maxRegoFile = 4 << 20
	// building-blocks.rego holds all blocks of a workspace that no policy uses: the limits of one import call are not its.
	maxBlocksFile = 16 << 20
	maxFileBlocks = 100_000
)

// file runs fn on the content of one file. fn returns the id of the object, as far as it is known, and what is wrong
// with the file; only errors that are not the archive's are passed on.
func (a *applier) file(kind string, f archive.File, fn func(body []byte) (id string, err error)) error {
	if b, left := a.broken[f.Path]; left {
		a.fail(kind, f.Path, b.id, b.errs)
		return nil
	}
	limit := int64(maxJSONFile)
	switch kind {
	case kindPolicies:
		limit = maxRegoFile
	case kindBuildingBlocks:
		limit = maxBlocksFile
	}
	a.path = f.Path
	defer func() { a.path = "" }()
	writes := a.w.writes
	id := ""
	body, err := f.Read(limit)
	if err == nil {
		if err = a.checkMembers(kind, f.Path, body); err != nil {
			id = form.StatedID(body)
		}
	}
	if err == nil {
		id, err = fn(body)
	}
	if err != nil && memberForm(kind) != nil {
		err = form.AtLines(body, err)
	}
	return a.settle(kind, f.Path, id, err, a.w.writes > writes)
}

// settle takes note of what went wrong with a file; stored tells that a part of it has been written.
func (a *applier) settle(kind, path, id string, err error, stored bool) error {
	if err == nil {
		return nil
	}
	if k := model.KindOf(err); k == model.KindInternal || k == model.KindUnavailable {
		return err
	}
	if id == "" {
		id = baseID(path)
	}
	a.fail(kind, path, id, err)
	if stored {
		a.lateFailure(path, id, err)
	}
	return nil
}

func (a *applier) lateFailure(path, id string, err error) {
	b := a.late[path]
	b.id = id
	b.errs.Collect(err)
	a.late[path] = b
}

// maxFileErrors is how many errors of one file are listed: a small file can have millions.
const maxFileErrors = 1_000

// fail reports the errors of a file; what needs it will fail too.
func (a *applier) fail(kind, path, id string, err error) {
	a.failed[objectRef{kind, id}] = path
	a.bad[path] = true
	a.count(kind).Failed++
	a.report.Items = append(a.report.Items, ApplyItem{File: path, Kind: singular(kind), ID: id, Result: "failed"})
	var errs model.Errors
	errs.Collect(err)
	if more := len(errs) - maxFileErrors; more > 0 {
		errs = slices.Clone(errs[:maxFileErrors])
		errs = append(errs, &model.Error{Kind: model.KindInvalid, Message: fmt.Sprintf("and %d more errors", more), Pos: errs[maxFileErrors-1].Pos})
	}
	for _, e := range errs {
		placed := *e
		placed.Pos.File = path
		a.report.Errors = append(a.report.Errors, &placed)
	}
}

// needs is the error of a file that cannot be used because another one is broken, nil when that is not so.
func (a *applier) needs(kind, id string) *model.Error {
	path, broken := a.failed[objectRef{kind, id}]
	if !broken {
		return nil
	}
	return follows("needs %s [%s], but %s has errors", singular(kind), id, path)
}

// errFollows, the Err of an error, says that there is no other cause than the errors of another file.
var errFollows = errors.New("follows from the errors of another file")

func follows(format string, args ...any) *model.Error {
	e := model.Invalidf(format, args...)
	e.Err = errFollows
	return e
}

// following is an error whose cause is a broken file.
func following(e *model.Error, path string) *model.Error {
	explained := *e
	explained.Message += ": " + path + " has errors"
	explained.Err = errFollows
	return &explained
}

// because is an error of something missing, which one of the files should have brought: a broken one is its cause.
func (a *applier) because(e *model.Error, files []archive.File) *model.Error {
	for _, f := range files {
		if a.bad[f.Path] {
			return following(e, f.Path)
		}
	}
	return e
}

// dropFollowing leaves the errors that are causes: whoever corrects them has none of the others.
func (a *applier) dropFollowing() {
	all := len(a.report.Errors)
	a.report.Errors = slices.DeleteFunc(a.report.Errors, func(e *model.Error) bool { return errors.Is(e, errFollows) })
	if n := all - len(a.report.Errors); n > 0 {
		a.report.Notes = append(a.report.Notes, fmt.Sprintf("errors that are not listed, since they only follow from those that are: %d", n))
	}
}

// once refuses the second file that brings the same object.
func (a *applier) once(kind, id, path string) error {
	ref := objectRef{kind, id}
	if first, taken := a.seen[ref]; taken {
		return model.Invalidf("%s [%s] stands also in %s", singular(kind), id, first)
	}
	a.seen[ref] = path
	return nil
}

func (a *applier) count(kind string) *ApplyCounts {
	c := a.report.Summary[kind]
	if c == nil {
		c = &ApplyCounts{}
		a.report.Summary[kind] = c
	}
	return c
}

func (a *applier) done(kind, path, id string, result Result, warnings model.Errors) {
	c := a.count(kind)
	switch result {
	case Created:
		c.Created++
	case Updated:
		c.Updated++
	case Deleted:
		c.Deleted++
	default:
		c.Unchanged++
	}
	a.item(kind, path, id, result, warnings)
}

func (a *applier) item(kind, path, id string, result Result, warnings model.Errors) {
	if result == Unchanged && !a.o.Verbose && len(warnings) == 0 {
		return
	}
	a.report.Items = append(a.report.Items, ApplyItem{
		File: path, Kind: singular(kind), ID: id, Result: result.String(),
		Warnings: warnings,
	})
}

// event records the apply itself, beside the events of its objects, when it changed anything.
func (a *applier) event() error {
	if a.w.writes == 0 {
		return nil
	}
	return a.w.event(model.ChangeEvent{
		Action: model.EventApply, ResourceType: resourceEnvironment,
		ResourceID: string(a.w.Environment), ResourceName: string(a.w.Environment), After: string(form.Encode(a.report.Summary)),
	})
}

func (a *applier) finish() {
	a.report.Errors.Sort()
	slices.Sort(a.report.Notes)
	a.report.Notes = append(slices.Compact(a.report.Notes), a.passed.Lines("passed over")...)
	if a.report.DryRun {
		for i := range a.report.Blocks {
			if a.report.Blocks[i].made {
				a.report.Blocks[i].ID = "" // ids that would be made are null
			}
		}
	}
}

// applied reports one object of a file that holds several.
func (a *applier) applied(kind, path, id string, result Result, err error) error {
	if err != nil {
		return err
	}
	a.done(kind, path, id, result, nil)
	return nil
}
