package runtime

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/internal/audit"
	"github.com/ambit-authz/ambit/internal/decide"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
	"github.com/ambit-authz/ambit/internal/store/sqlite"
	"github.com/ambit-authz/ambit/internal/token"
)

// Harbour Bank of runtime-api.md 1.3.
const (
	harbourID model.EnvironmentID = "5e7d0c1a-9b3f-4a57-8c21-0d6f5b8e4a10"
	client    model.ClientID      = "HARBOURPORTAL0000001"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// harbour is a running server on a real store.
type harbour struct {
	t         testing.TB
	store     *sqlite.Store
	secrets   *token.Secrets
	secret    string // of client
	directory *decide.Directory
	service   *decide.Service
	handler   http.Handler
	records   *keptRecords
}

// keptRecords is an audit sink that keeps records in memory, or fails.
type keptRecords struct {
	mu   sync.Mutex
	all  []audit.Decision
	fail error
}

func (k *keptRecords) Record(_ context.Context, ds ...audit.Decision) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fail != nil {
		return k.fail
	}
	k.all = append(k.all, ds...)
	return nil
}

func (k *keptRecords) last() audit.Decision {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.all[len(k.all)-1]
}

// settings change the server of a test.
type settings struct {
	options   Options
	service   decide.Options
	staleness time.Duration
	past      decide.Past
	clock     func() time.Time // nil = it is always noon
}

func newHarbour(t testing.TB, change ...func(*settings)) *harbour {
	t.Helper()
	ctx := context.Background()
	db, err := sqlite.Open(ctx, filepath.Join(t.TempDir(), "ambit.db"), sqlite.Options{})
	check(t, err)
	t.Cleanup(func() { check(t, db.Close()) })
	secrets, err := token.NewSecrets(make([]byte, token.KeySize))
	check(t, err)
	h := &harbour{t: t, store: db, secrets: secrets, records: &keptRecords{}}
	clock := func() time.Time { return noon }
	quiet := slog.New(slog.DiscardHandler)
	tokens, err := token.NewIncoming(token.IncomingOptions{Client: token.KeyFetch(), Now: clock, Leeway: time.Minute})
	check(t, err)
	set := settings{
		options: Options{Log: quiet, Version: "1.4.0"},
		service: decide.Options{Secrets: secrets, Tokens: tokens, Clock: clock, Audit: h.records, Log: quiet}, staleness: time.Hour,
	}
	for _, c := range change {
		c(&set)
	}
	if set.clock != nil {
		clock, set.service.Clock = set.clock, set.clock
	}
	h.fill()
	h.directory = decide.NewDirectory(decide.DirectoryOptions{Store: db, Clock: clock, Log: quiet, MaxStaleness: set.staleness, Past: set.past})
	check(t, h.directory.CatchUp(ctx))
	set.service.Directory, set.options.Directory = h.directory, h.directory
	h.service = decide.New(set.service)
	set.options.Service = h.service
	h.handler = Handler(set.options)
	return h
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// update writes to the environment and lets the directory follow.
func (h *harbour) update(fn func(*store.Tx) error) {
	h.t.Helper()
	_, err := h.store.Update(context.Background(), store.Write{Environment: harbourID, Time: noon}, fn)
	check(h.t, err)
	if h.directory != nil {
		check(h.t, h.directory.CatchUp(context.Background()))
	}
}

// put stores objects of one collection.
func put[K comparable, V any](from store.Collection[K, V], vs ...V) error {
	for _, v := range vs {
		if _, err := from.Put(v); err != nil {
			return err
		}
	}
	return nil
}

// changeScope edits the scope.
func (h *harbour) changeScope(edit func(*model.Scope)) {
	h.t.Helper()
	h.update(func(tx *store.Tx) error {
		s, err := tx.Scopes.Find(client)
		if err != nil {
			return err
		}
		edit(&s)
		_, err = tx.Scopes.Put(s)
		return err
	})
}

func (h *harbour) fill() {
	h.t.Helper()
	_, err := h.store.Update(context.Background(), store.Write{Time: noon}, func(tx *store.Tx) error {
		return put(tx.Environments, model.Environment{ID: harbourID, Name: "Harbour Bank", Enabled: true})
	})
	check(h.t, err)
	var hash model.SecretHash
	h.secret, hash = h.secrets.New(noon)
	h.update(func(tx *store.Tx) error {
		for _, err := range []error{
			put(tx.Scopes, model.Scope{
				ClientID: client, EnvironmentID: harbourID, Name: "portal", Enabled: true,
				ApplicationIDs: []model.ApplicationID{"teller-desk", "loan-desk"}, Secrets: []model.SecretHash{hash},
			}),
			put(tx.AuthorizationWorkspaces, model.AuthorizationWorkspace{ID: "a0", Name: "Bank"}),
			put(tx.IdentityWorkspaces, model.IdentityWorkspace{ID: "i0", Name: "Staff", TemplateID: "Staff"}),
			put(tx.Applications,
				model.Application{
					ID: "teller-desk", WorkspaceID: "a0", DisplayName: "Teller desk",
					AssetTemplateIDs: []model.TemplateID{"Accounts", "CustomerColumns", "Customers"},
				},
				model.Application{
					ID: "loan-desk", WorkspaceID: "a0", DisplayName: "Loan desk",
					AssetTemplateIDs: []model.TemplateID{"Loans"},
				}),
			put(tx.AssetTemplates, harbourTypes()...),
			put(tx.IdentityTemplates, harbourStaff()),
			put(tx.Blocks, harbourBlocks()...),
			put(tx.Policies, harbourPolicies()...),
			harbourRecords(tx),
		} {
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func harbourRecords(tx *store.Tx) error {
	for _, a := range []model.Asset{
		{Path: "acc-1", Attributes: model.Attributes{"branch": {"Porto"}, "tier": {"basic"}, "balance": {"1200.50"}}},
		{Path: "acc-2", Attributes: model.Attributes{"branch": {"Porto"}, "tier": {"gold"}, "balance": {"98000"}}},
		{Path: "acc-3", Attributes: model.Attributes{"branch": {"Lagos"}, "tier": {"basic"}, "balance": {"310"}}},
	} {
		if _, err := tx.Assets("Accounts").Put(a); err != nil {
			return err
		}
	}
	for _, i := range []model.Identity{
		{EntityID: "mreyes", Attributes: model.Attributes{"branch": {"Porto"}, "jobTitle": {"Teller"}, "grade": {"3"}}},
		{EntityID: "tokafor", Attributes: model.Attributes{"branch": {"Lagos"}, "jobTitle": {"Manager"}, "grade": {"7"}, "roles": {"approver"}}},
		{EntityID: "gone", Inactive: true, Attributes: model.Attributes{"branch": {"Porto"}, "jobTitle": {"Teller"}, "grade": {"9"}}},
	} {
		if _, err := tx.Identities("Staff").Put(i); err != nil {
			return err
		}
	}
	return nil
}

func text(ids ...model.AttributeID) []model.AssetAttribute {
	var out []model.AssetAttribute
	for _, id := range ids {
		typ := model.String
		if id == "balance" || id == "risk" || id == "amount" {
			typ = model.Numeric
		}
		out = append(out, model.AssetAttribute{ID: id, DisplayName: string(id), Type: typ})
	}
	return out
}

func harbourTypes() []model.AssetTemplate {
	view := model.Action{ID: "View", Value: "View"}
	accounts := model.AssetTemplate{
		ID: "Accounts", WorkspaceID: "a0", DisplayName: "Accounts", Source: model.SourcePlainID,
		Attributes: text("branch", "tier", "balance"), Actions: []model.Action{view, {ID: "Edit", Value: "Edit"}},
	}
	accounts.Attributes[1].NameForRequest = "level"
	return []model.AssetTemplate{
		accounts,
		{
			ID: "CustomerColumns", WorkspaceID: "a0", DisplayName: "Columns", Source: model.SourcePlainID,
			Attributes: text("table"), Actions: []model.Action{{ID: "Read", Value: "Read"}, {ID: "Mask", Value: "Mask"}},
		},
		{
			ID: "Customers", WorkspaceID: "a0", DisplayName: "Customers", Source: model.SourceExternal, IsUsedForFiltering: true,
			Attributes: text("country", "segment", "risk"), Actions: []model.Action{{ID: "Read", Value: "Read"}},
		},
		{
			ID: "Loans", WorkspaceID: "a0", DisplayName: "Loans", Source: model.SourceRequest,
			Attributes: text("branch", "amount"), Actions: []model.Action{view, {ID: "Approve", Value: "approve"}},
		},
	}
}

func harbourStaff() model.IdentityTemplate {
	t := model.IdentityTemplate{ID: "Staff", WorkspaceID: "i0"}
	for _, id := range []model.AttributeID{"uid", "branch", "jobTitle", "grade", "roles", "shift"} {
		a := model.IdentityAttribute{ID: id, DisplayName: string(id), Type: model.String, IsUsedInAccessRequest: id == "shift"}
		if id == "grade" {
			a.Type = model.Numeric
		}
		t.Attributes = append(t.Attributes, a)
	}
	return t
}

// rule compares an attribute of one side with texts; numbers are written as such.
func rule(side model.Side, id model.AttributeID, op model.Operator, texts ...string) model.Rule {
	r := model.Rule{Left: model.Ref{Side: side, Attribute: id}, Op: op}
	for _, t := range texts {
		_, number := model.ParseNumber(t)
		r.Literals = append(r.Literals, model.Literal{Text: t, Number: number})
	}
	return r
}

func branches(rules ...model.Rule) []model.Branch { return []model.Branch{{Rules: rules}} }

func harbourBlocks() []model.Block {
	group := func(id model.BlockID, rules ...model.Rule) model.Block {
		return model.Block{ID: id, Kind: model.KindDynamicGroup, WorkspaceID: "i0", Template: "Staff", Name: string(id), Branches: branches(rules...)}
	}
	ruleset := func(id model.BlockID, t model.TemplateID, rules ...model.Rule) model.Block {
		b := model.Block{ID: id, Kind: model.KindRuleset, WorkspaceID: "a0", Template: t, Name: string(id), Branches: branches(rules...)}
		b.Branches[0].IdentityTemplate = "Staff"
		return b
	}
	own := model.Rule{
		Left: model.Ref{Side: model.SideAsset, Attribute: "branch"}, Op: model.OpEqual,
		Ref: model.Ref{Side: model.SideIdentity, Attribute: "branch"},
	}
	return []model.Block{
		group("g-desk", rule(model.SideIdentity, "jobTitle", model.OpIn, "Teller", "Manager")),
		group("g-grade", rule(model.SideIdentity, "grade", model.OpGreaterEqual, "3")),
		group("g-all"),
		group("g-porto", rule(model.SideIdentity, "branch", model.OpEqual, "Porto")),
		ruleset("r-own", "Accounts", own),
		ruleset("r-gold", "Accounts", rule(model.SideAsset, "tier", model.OpEqual, "gold")),
		ruleset("r-loan", "Loans", own, rule(model.SideAsset, "amount", model.OpLessEqual, "5000")),
		ruleset("r-pt", "Customers", rule(model.SideAsset, "country", model.OpEqual, "PT"), rule(model.SideAsset, "risk", model.OpLessEqual, "3")),
		ruleset("r-private", "Customers", rule(model.SideAsset, "segment", model.OpEqual, "private")),
		ruleset("r-columns", "CustomerColumns", rule(model.SideAsset, "table", model.OpEqual, "customers")),
		{
			ID: "c-office", Kind: model.KindConditionIP, WorkspaceID: "a0", Name: "Office network",
			IP: &model.IPCondition{Text: []string{"198.51.100.0/24"}, Prefixes: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}},
		},
	}
}

func harbourPolicies() []model.Policy {
	policy := func(id model.PolicyID, name string, access model.Access, group, ruleset model.BlockID, actions ...model.ActionID) model.Policy {
		return model.Policy{
			ID: id, WorkspaceID: "a0", Name: name, Access: access, Use: model.PolicyUseDynamic,
			DynamicGroups: []model.BlockID{group}, Rulesets: []model.RulesetUse{{BlockID: ruleset, ActionIDs: actions}},
		}
	}
	loans := policy("pol-40", "Small loans", model.Allow, "g-grade", "r-loan", "Approve")
	loans.Conditions = []model.BlockID{"c-office"}
	return []model.Policy{
		policy("pol-10", "Branch accounts", model.Allow, "g-desk", "r-own", "View"),
		policy("pol-20", "Manage accounts", model.Allow, "g-grade", "r-own", "Edit", "View"),
		policy("pol-30", "Gold freeze", model.Restrict, "g-all", "r-gold", "Edit"),
		loans,
		policy("pol-50", "Portuguese customers", model.Allow, "g-porto", "r-pt", "Read"),
		policy("pol-60", "Private clients", model.Restrict, "g-all", "r-private", "Read"),
		policy("pol-70", "Masked columns", model.Allow, "g-porto", "r-columns", "Mask"),
	}
}

// request is one call of a test. Headers are "Name: value".
type request struct {
	method, path, body string
	headers            []string
	peer               string
	anonymous          bool // no credentials in the headers
}

func (h *harbour) do(q request) *httptest.ResponseRecorder {
	h.t.Helper()
	if q.method == "" {
		q.method = http.MethodPost
	}
	if q.path == "" {
		q.path = "/api/runtime/token/v3"
	}
	var body io.Reader
	if q.body != "" {
		body = strings.NewReader(q.body)
	}
	r := httptest.NewRequest(q.method, q.path, body)
	if q.peer != "" {
		r.RemoteAddr = q.peer
	}
	if !q.anonymous {
		r.Header.Set("X-Client-Id", string(client))
		r.Header.Set("X-Client-Secret", h.secret)
	}
	for _, line := range q.headers {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	h.handler.ServeHTTP(w, r)
	described(h.t, r, w)
	return w
}

// post sends a body with header credentials and wants a status and, when body is not empty, exactly that answer.
func (h *harbour) want(q request, status int, body string) *httptest.ResponseRecorder {
	h.t.Helper()
	w := h.do(q)
	if w.Code != status || body != "" && w.Body.String() != body {
		h.t.Errorf("%s %s %s %s\ngot  %d %s\nwant %d %s", q.method, q.path, q.headers, q.body, w.Code, w.Body, status, body)
	}
	return w
}
