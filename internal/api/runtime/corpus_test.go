package runtime

import (
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ambit-authz/ambit/internal/casefile"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// TestCorpus asks every decision case of testdata/cases of a server on a store in a file: PM-9, PM-19 to PM-27, PM-30,
// PM-31, PM-33; RT-51, RT-52, RT-57 to RT-67, RT-71, RT-72; and those that only a server can be asked (B25, B26, B27, I8,
// I9: RT-49, RT-54, RT-56, PM-32). Every case replaces the one before it in the same environment, so that the directory
// follows hundreds of changes. Lists are asked again after a restart and, some, after an unrelated change: the bytes stay
// the same.
func TestCorpus(t *testing.T) {
	suites, err := casefile.Load(os.DirFS("../../../testdata/cases"))
	check(t, err)
	asked, onlyHere := 0, 0
	counted := map[string]int{}
	for _, suite := range suites {
		t.Run(suite.Name, func(t *testing.T) {
			s := newStack(t)
			for _, c := range suite.Cases {
				if c.Only != "" && c.Only != "api" {
					continue
				}
				asked++
				if c.Only == "api" {
					onlyHere++
				}
				t.Run(c.ID, func(t *testing.T) {
					s.t = t
					r := caseRun{stack: s, c: c, counted: counted}
					r.run(asked)
				})
			}
			s.t = t
		})
	}
	t.Logf("%d cases asked, %d of them only here; %v", asked, onlyHere, counted)
	if asked < 650 || onlyHere < 7 {
		t.Errorf("only %d cases were asked, %d of them only here", asked, onlyHere)
	}
}

// caseRun is one case in a running stack.
type caseRun struct {
	*stack
	c       casefile.Case
	counted map[string]int // questions that not every check can be asked as
}

func (r *caseRun) run(number int) {
	r.load()
	r.now.Store(&r.c.Request.Instant)
	if r.c.Request.Peer != "" {
		r.from(r.c.Request.Peer)
		defer r.from("")
	}
	if r.c.Refused {
		r.refused()
		return
	}
	for _, k := range r.c.Checks {
		r.check(k)
		r.permit(k)
		r.users(k)
		r.filter(k)
	}
	if r.c.List != nil {
		r.list(number%3 == 0)
	}
}

// unrelated is an asset type that no application holds.
const unrelated model.TemplateID = "Unrelated"

// load replaces what the environment holds by the world of the case. What stays is not touched.
func (r *caseRun) load() {
	r.t.Helper()
	w := r.c.World
	types := append(slices.Clone(w.AssetTemplates), model.AssetTemplate{
		ID: unrelated, WorkspaceID: casefile.AuthorizationWorkspace,
		DisplayName: "Unrelated", Source: model.SourcePlainID,
	})
	r.scope.ApplicationIDs = r.c.Request.Applications
	r.write(stackEnvironment, func(tx *store.Tx) error {
		for _, err := range []error{
			put(tx.Scopes, r.scope),
			replace(tx.IdentityTemplates, w.IdentityTemplates, func(v model.IdentityTemplate) model.TemplateID { return v.ID }),
			replace(tx.AssetTemplates, types, func(v model.AssetTemplate) model.TemplateID { return v.ID }),
			replace(tx.Applications, w.Applications, func(v model.Application) model.ApplicationID { return v.ID }),
			replace(tx.Blocks, w.Blocks, func(v model.Block) model.BlockID { return v.ID }),
			replace(tx.Policies, w.Policies, func(v model.Policy) model.PolicyID { return v.ID }),
		} {
			if err != nil {
				return err
			}
		}
		for _, t := range types {
			if err := replaceRecords(tx.Assets(t.ID), w.Assets[t.ID], func(a model.Asset) string { return a.Path }); err != nil {
				return err
			}
		}
		for _, t := range w.IdentityTemplates {
			if err := replaceRecords(tx.Identities(t.ID), w.Identities[t.ID], func(i model.Identity) string { return i.EntityID }); err != nil {
				return err
			}
		}
		return nil
	})
}

// replace makes a collection hold vs and nothing else.
func replace[K comparable, V any](in store.Collection[K, V], vs []V, key func(V) K) error {
	var gone []K
	for v, err := range in.FindAll() {
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(vs, func(n V) bool { return key(n) == key(v) }) {
			gone = append(gone, key(v))
		}
	}
	for _, k := range gone {
		if _, err := in.Delete(k); err != nil {
			return err
		}
	}
	return put(in, vs...)
}

// replaceRecords makes records hold rs and nothing else, in this order.
func replaceRecords[R any](in store.Records[R], rs []R, key func(R) string) error {
	wanted := make([]string, len(rs))
	for i, r := range rs {
		wanted[i] = key(r)
	}
	var stays, gone []string
	for have, err := range in.After(0) {
		if err != nil {
			return err
		}
		if k := key(have.Record); slices.Contains(wanted, k) {
			stays = append(stays, k)
		} else {
			gone = append(gone, k)
		}
	}
	if !slices.Equal(stays, wanted[:len(stays)]) {
		if _, err := in.Clear(); err != nil {
			return err
		}
		gone = nil
	}
	for _, k := range gone {
		if _, err := in.Delete(k); err != nil {
			return err
		}
	}
	for _, r := range rs {
		if _, err := in.Put(r); err != nil {
			return err
		}
	}
	return nil
}

// body is the request of the case, still without assets and types.
func (r *caseRun) body() map[string]any {
	q := r.c.Request
	body := map[string]any{}
	var additional []map[string]any
	for i, id := range q.Identities {
		claim := map[string]any{"entityId": id.EntityID, "entityTypeId": id.Template}
		if id.Sent != nil {
			claim["entityAttributes"] = id.Sent
		}
		if i > 0 {
			additional = append(additional, claim)
			continue
		}
		body = claim
	}
	if additional != nil {
		body["additionalIdentities"] = additional
	}
	if q.Environment != nil {
		body["environment"] = q.Environment
	}
	if q.SourceIP != "" {
		body["remoteIp"] = q.SourceIP
	}
	if q.ZoneOffset != nil {
		body["timeZoneOffset"] = *q.ZoneOffset
	}
	if q.Combined {
		body["combinedMultiValue"] = true
	}
	return body
}

func assetClaim(a casefile.Asset) map[string]any {
	claim := map[string]any{"template": a.Template}
	if a.Path != "" {
		claim["path"] = a.Path
	}
	if a.Attributes != nil {
		claim["assetAttributes"] = a.Attributes
	}
	return claim
}

// refused asks what must be refused. The answer names an address that cannot be read.
func (r *caseRun) refused() {
	r.t.Helper()
	status, answer, _ := r.ask(r.body())
	field := "additionalIdentities: "
	if ip := r.c.Request.SourceIP; ip != "" {
		if _, err := netip.ParseAddr(ip); err != nil || strings.Contains(ip, "%") {
			field = "remoteIp: "
		}
	}
	if status != http.StatusBadRequest || !strings.HasPrefix(answer, field) {
		r.t.Errorf("%s: %d %s, want 400 about %s", r.c.Why, status, answer, field)
	}
}

// check asks for the list of one asset: an action is allowed if and only if it is there. A second question names the
// action, as a client would that needs no other.
func (r *caseRun) check(k casefile.Check) {
	r.t.Helper()
	body := r.body()
	body["assetList"] = assetClaim(k.Asset)
	body["includeAccessPolicyId"] = k.By != nil
	status, answer, _ := r.ask(body)
	all := r.entries(status, answer)
	value, known := r.actionValue(k)
	if k.Asset.Path == "" && r.stored(k.Asset.Template) {
		// a list is about the assets, a check of a stored type without path about the type (runtime-api.md 8.2, 9.2)
		if k.Allowed {
			r.everyEntryHas(k, all, value)
		}
		return
	}
	var by []model.PolicyID
	found := false
	for _, e := range all {
		for _, a := range e.Actions {
			if known && a.Action == value {
				found = true
				by = append(by, a.PermissionID)
			}
		}
	}
	if found != k.Allowed {
		r.t.Errorf("%s: %s on %+v: listed %v, want %v: %s", r.c.Why, k.Action, k.Asset, found, k.Allowed, answer)
	}
	if k.By != nil && !cmp.Equal(by, k.By) {
		r.t.Errorf("%s: %s on %+v is granted by %v, want %v", r.c.Why, k.Action, k.Asset, by, k.By)
	}
	if k.Action == "" {
		return
	}
	body["resourceTypes"] = []map[string]any{{"name": k.Asset.Template, "actions": []string{k.Action}}}
	status, answer, _ = r.ask(body)
	if narrow := r.entries(status, answer); len(narrow) > 0 != k.Allowed {
		r.t.Errorf("%s: %s on %+v when the action is named: %s", r.c.Why, k.Action, k.Asset, answer)
	}
}

func (r *caseRun) everyEntryHas(k casefile.Check, all []tokenEntry, action string) {
	r.t.Helper()
	n := 0
	for _, e := range all {
		for _, a := range e.Actions {
			if a.Action == action {
				n++
			}
		}
	}
	if want := len(r.c.World.Assets[k.Asset.Template]); n != want {
		r.t.Errorf("%s: %s is allowed on %s as a whole and listed of %d assets, not %d", r.c.Why, action, k.Asset.Template, n, want)
	}
}

func (r *caseRun) template(id model.TemplateID) (model.AssetTemplate, bool) {
	for _, t := range r.c.World.AssetTemplates {
		if t.ID == id {
			return t, true
		}
	}
	return model.AssetTemplate{}, false
}

func (r *caseRun) stored(id model.TemplateID) bool {
	t, ok := r.template(id)
	return ok && t.Source != model.SourceRequest
}

// actionValue is how answers write the action that a check names by value or id.
func (r *caseRun) actionValue(k casefile.Check) (string, bool) {
	t, _ := r.template(k.Asset.Template)
	a, ok := t.RequestAction(k.Action)
	return a.Value, ok
}

// list asks for the list, twice with a restart between and, when touched, once more after an unrelated asset has changed.
func (r *caseRun) list(touched bool) {
	r.t.Helper()
	body := r.body()
	if r.c.List.Types != nil {
		var types []map[string]any
		for _, id := range r.c.List.Types {
			types = append(types, map[string]any{"name": id})
		}
		body["resourceTypes"] = types
	}
	if r.c.List.Assets != nil {
		assets := []map[string]any{}
		for _, a := range r.c.List.Assets {
			assets = append(assets, assetClaim(a))
		}
		body["assetList"] = assets
	}
	status, answer, revision := r.ask(body)
	var want, got []string
	for _, e := range r.c.List.Want {
		want = append(want, e.String())
	}
	for _, e := range r.entries(status, answer) {
		entry := casefile.Entry{Template: e.ResourceType, Path: e.Path}
		for _, a := range e.Actions {
			entry.Actions = append(entry.Actions, a.Action)
		}
		got = append(got, entry.String())
	}
	if d := cmp.Diff(want, got); d != "" {
		r.t.Errorf("%s: the list (-want +got):\n%s", r.c.Why, d)
	}
	r.restart()
	if _, again, same := r.ask(body); again != answer || same != revision {
		r.t.Errorf("%s: after a restart\n%s at revision %s, before\n%s at revision %s", r.c.Why, again, same, answer, revision)
	}
	if !touched {
		return
	}
	n, err := strconv.Atoi(revision)
	check(r.t, err)
	r.write(stackEnvironment, func(tx *store.Tx) error {
		_, err := tx.Assets(unrelated).Put(model.Asset{Path: revision})
		return err
	})
	if _, again, next := r.ask(body); again != answer || next != strconv.Itoa(n+1) {
		r.t.Errorf("%s: after an unrelated change\n%s at revision %s, before\n%s at revision %s", r.c.Why, again, next, answer, revision)
	}
}
