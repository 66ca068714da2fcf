package runtime

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

const decisionPath = "/api/runtime/5.0/decisions/permit-deny"

func value(s string) *string { return &s }

// mapper makes an active mapper for POST and GET of one asset type.
func mapper(id model.MapperID, pattern, matchType string, t ...model.TemplateMapping) model.APIMapper {
	return model.APIMapper{
		ID: id, DisplayName: string(id), IsActive: true, MatchPattern: pattern, MatchType: matchType, Priority: 10,
		FilteringType: model.FilterInclude, AssetTemplates: t,
	}
}

func always(actions ...model.ActionID) []model.ActionMapping {
	var out []model.ActionMapping
	for _, a := range actions {
		out = append(out, model.ActionMapping{ActionID: a})
	}
	return out
}

// accountAt maps the account of a path's element.
func accountAt(n int, actions ...model.ActionID) model.TemplateMapping {
	return model.TemplateMapping{
		TemplateID: "Accounts", Actions: always(actions...),
		Attributes: []model.AttributeMapping{{AttributeID: "path", Source: model.FromPath, Path: fmt.Sprintf("[%d]", n)}},
	}
}

// approve is the mapper of runtime-api.md 13.6.
func approve() model.APIMapper {
	m := mapper("approve", "/v1/loans/*/approve", model.MatchWildcards, model.TemplateMapping{
		TemplateID: "Loans", Actions: always("Approve"),
		Attributes: []model.AttributeMapping{
			{AttributeID: "path", Source: model.FromPath, Path: "[3]"},
			{AttributeID: "branch", Source: model.FromBody, Path: "$.loan.branch"},
			{AttributeID: "amount", Source: model.FromBody, Path: "$.loan.amount"},
		},
	})
	m.RestMethods = []string{"POST"}
	return m
}

// mappers makes these the mappers of an application.
func (h *harbour) mappers(app model.ApplicationID, indexing string, ms ...model.APIMapper) {
	h.t.Helper()
	set := model.APIMapperSet{ID: app, WorkspaceID: "a0", ApplicationIDs: []model.ApplicationID{app}, PathIndexing: indexing, Mappers: ms}
	check(h.t, set.Validate())
	h.update(func(tx *store.Tx) error { return put(tx.APIMapperSets, set) })
}

// call asks about a call of mreyes, with details and reasons, and gives the answer's inner members.
func (h *harbour) call(method, uri, rest string) string {
	h.t.Helper()
	body := fmt.Sprintf(`{"method":%q,"uri":%s%s,"meta":{"runtimeFineTune":{%s,"includeDetails":"true","includeDenyReason":"true"}}}`, method, uri, rest, mreyes)
	w := h.do(request{path: decisionPath, body: body})
	if w.Code != 200 {
		return fmt.Sprintf("%d %s", w.Code, errorOf(h.t, w.Body.Bytes()))
	}
	var got struct{ Data json.RawMessage }
	check(h.t, json.Unmarshal(w.Body.Bytes(), &got))
	if inner := string(got.Data); w.Body.String() != `{"data":`+inner+`,`+inner[1:] {
		h.t.Errorf("data and top level differ: %s", w.Body)
	}
	var inner struct {
		Result   string
		Response []map[string][]permittedPair
	}
	check(h.t, json.Unmarshal(got.Data, &inner))
	out := inner.Result
	for _, list := range []string{"allowed", "denied", "not_applicable"} {
		for _, p := range inner.Response[0][list] {
			out += strings.TrimRight(fmt.Sprintf(" %s:%s:%s:%s", p.Template, p.Path, p.Action, p.Reason), ":")
		}
	}
	return out
}

func (h *harbour) wantCall(method, uri, rest, want string) {
	h.t.Helper()
	if got := h.call(method, uri, rest); got != want {
		h.t.Errorf("%s %s %s\ngot  %s\nwant %s", method, uri, rest, got, want)
	}
}

// RT-3, RT-103, RT-112: the example of 13.1 and 13.6, byte for byte, on every path and in every envelope.
func TestDecisionGolden(t *testing.T) {
	body := func(tune string) string {
		return `{"ipAddress":"198.51.100.9","method":"post","uri":{"schema":"https","path":["/v1/loans/loan-77/approve","v1","loans","loan-77","approve"],"query":{},` +
			`"authority":{"userinfo":null,"host":"bank.test","port":null},"fragment":null},"headers":{"content-type":["application/json"]},"requestId":"7f1c","authenticationMethod":"secret",` +
			`"body":{"loan":{"branch":"Porto","amount":4200}},"meta":{"runtimeFineTune":{` + mreyes + tune + `}}}`
	}
	details := `"result":"PERMIT","response":[{"allowed":[{"path":"loan-77","action":"approve","template":"Loans"}],"denied":[],"not_applicable":[]}]`
	for envelope, form := range map[string]string{"": `{"data":{%s},%s}`, EnvelopeBoth: `{"data":{%s},%s}`, EnvelopeData: `{"data":{%s}}%.0s`, EnvelopeTop: `{%s}%.0s`} {
		h := newHarbour(t, func(s *settings) { s.options.Envelope = envelope })
		h.mappers("loan-desk", "", approve())
		for _, base := range []string{"/api/runtime", "/runtime"} {
			for _, path := range []string{"/5.0/decisions", "/5.0/decisions/permit-deny", "/5.0/decisions/"} {
				w := h.want(request{path: base + path, body: body(`,"includeDetails":"true","includeDenyReason":"true"`)}, 200, fmt.Sprintf(form, details, details))
				for name, want := range map[string]string{"Content-Type": "application/json", "Cache-Control": "no-store", "Ambit-Revision": "2", "X-Request-Id": "7f1c"} {
					if got := w.Header().Get(name); got != want {
						t.Errorf("%s: %q, want %q", name, got, want)
					}
				}
			}
		}
		if got := h.records.last(); got.ExternalID != "7f1c" || got.SourceIP != "198.51.100.9" || got.Result != "PERMIT of 1 pairs" {
			t.Errorf("audit record %+v", got)
		}
		denied := `"result":"DENY"`
		h.want(request{path: decisionPath, body: strings.Replace(body(""), "4200", "9000", 1)}, 200, fmt.Sprintf(form, denied, denied))
	}
}

// FuzzDecision: no body panics; every error is of kind invalid; what is read has a method and a path, headers by lower-case
// names, and a body that is a JSON value (RT-104, RT-112, RT-113).
func FuzzDecision(f *testing.F) {
	for _, seed := range []string{
		`{"method":"get","uri":{"path":["/a/b","","a","b"],"query":{"a":[1,true,null]}},"headers":{"A":"x","a":["y"]},"body":{"a":1}}`,
		`{"method":"GET","uri":"https://h/a%2fb?x=1&y#z","body":"{\"a\":1}","ipAddress":"1.2.3.4","remoteIp":"x"}`, `{"method":1,"uri":"//a"}`,
		`{"method":"GET","uri":"/","meta":{"runtimeFinetune":{"clientId":"","includeDetails":"TRUE","entityId":7}},"clientId":"c"}`, `{"uri":{"path":[null]}}`, `{}`,
	} {
		f.Add([]byte(seed))
	}
	r := httptest.NewRequest(http.MethodPost, decisionPath, nil)
	r.Header.Set("X-Request-Id", "x")
	f.Fuzz(func(t *testing.T, body []byte) {
		x := &exchange{r: r}
		got, err := x.parseDecision(body)
		if err != nil {
			if model.KindOf(err) != model.KindInvalid {
				t.Fatalf("kind of %v", err)
			}
			return
		}
		got.credentials()
		c := &coercer{fields: got, errs: &x.errs}
		req := c.decision()
		if err := x.errs.OrNil(); err != nil {
			if model.KindOf(err) != model.KindInvalid {
				t.Fatalf("kind of %v", err)
			}
			return
		}
		d := &req.described
		if d.Method == "" || !strings.HasPrefix(d.Path.String(), "/") || d.Body != nil && !jsontext.Value(d.Body).IsValid() {
			t.Fatalf("read %+v", d)
		}
		for name := range d.Headers {
			if name != strings.ToLower(name) {
				t.Fatalf("header %q", name)
			}
		}
	})
}

// RT-27: a request id of the header comes before that of the body; one that cannot be a header is refused.
func TestDecisionRequestID(t *testing.T) {
	h := newHarbour(t)
	ask := func(id string, headers ...string) string {
		w := h.do(request{path: decisionPath, headers: headers, body: `{"method":"GET","uri":"/","requestId":` + id + `,` + mreyes + `}`})
		return fmt.Sprintf("%d %s", w.Code, w.Header().Get("X-Request-Id"))
	}
	if got := ask(`"b"`, "X-Request-Id: h"); got != "200 h" {
		t.Error(got)
	}
	if got := ask(`"b"`); got != "200 b" {
		t.Error(got)
	}
	if got := ask(`""`); len(got) != len("200 ")+36 {
		t.Error(got)
	}
	if got := ask(`"a\nb"`); !strings.HasPrefix(got, "400 ") || strings.Contains(got, "\n") {
		t.Error(got)
	}
}

// RT-104, RT-105, RT-106, RT-110: which paths fit which patterns, in every form of a path.
func TestDecisionPaths(t *testing.T) {
	h := newHarbour(t)
	view := func(id model.MapperID, pattern, typ string) model.APIMapper {
		return mapper(id, pattern, typ, accountAt(2, "View"))
	}
	h.mappers("teller-desk", "",
		view("a", "/exact/acc-1", model.MatchExact), view("b", "/one/*", model.MatchExact), view("c", "/tail/**", model.MatchWildcards),
		view("d", "/part/a*-*1/end/", model.MatchWildcard), view("e", "/re/acc-[0-9]", model.MatchExpression), view("f", "/a%20b/*", model.MatchExact),
		view("g", "/", model.MatchExact))
	const permit, none = "PERMIT Accounts:acc-1:View", "none"
	for path, want := range map[string]string{
		"/exact/acc-1": permit, "/exact/acc-1/": permit, "/exact/acc%2d1": permit, "/exact/Acc-1": none, "/exact/acc-1//": none, "//exact/acc-1": none, "/exact//acc-1": none,
		"/one/acc-1": permit, "/one/acc-1/x": none, "/one/": none, "/tail/acc-1": permit, "/tail/acc-1/b/c": permit, "/tailor/acc-1": none,
		"/part/acc-1/end": permit, "/part/a-1/end": "DENY Accounts:a-1:View:PID008", "/part/acc-12/end": none, "/part/acc-1": none,
		"/re/acc-1": permit, "/re/acc-1/": none, "/re/acc-1x": none, "/x/re/acc-1": none, "/a%20b/acc-1": permit, "/a b/acc-1": permit,
		"/tail/acc-1/../x": none, "/tail/acc-1/%2e%2E/x": none, "/tail/acc-1/.": none, "/tail/acc-1/..;x/y": none, "/tail/acc-1/b%2f..%2fc": none, `/tail/acc-1/b%5C..%5Cc`: none,
		"/tail/acc-1?x=/../": permit, "/tail/acc-1#x": permit, "/tail/acc-1/b%2fc": permit, "/one/a%2Fb": "DENY Accounts:a/b:View:PID008", "/nothing": none,
	} {
		cut, _, _ := strings.Cut(strings.ReplaceAll(path, "#", "?"), "?")
		if want == none {
			want = "DENY :" + cut + ":GET:PID002"
		}
		quoted, _ := json.Marshal(path)
		h.wantCall("GET", `{"path":`+string(quoted)+`}`, "", want)
		h.wantCall("GET", `{"path":[`+string(quoted)+`]}`, "", want)
		if !strings.Contains(path, " ") {
			h.wantCall("GET", string(quoted), "", want)
			h.wantCall("GET", `"https://bank.test`+strings.ReplaceAll(path, `\`, `\\`)+`"`, "", want)
		}
	}
	for path, want := range map[string]string{
		`["/one/acc-1","one","acc-1"]`:       permit,
		`["one","acc-1"]`:                    permit,
		`["/one/acc-1","","one","acc-1"]`:    "DENY Accounts:one:View:PID008", // [2] as the array was sent
		`["one","acc-1?x"]`:                  "DENY Accounts:acc-1?x:View:PID008",
		`["one","acc-1/x"]`:                  "DENY Accounts:acc-1/x:View:PID008",
		`["","one","acc-1"]`:                 "DENY ://one/acc-1:GET:PID002",
		`["/one/acc-1","one"]`:               "DENY Accounts::View:PID005", // no value: the type as a whole
		`["/one/acc-1?y=1","one","acc%2d1"]`: permit,
		`["/one/acc-1","one","acc%zz"]`:      "DENY Accounts:acc%zz:View:PID008",
	} {
		h.wantCall("GET", `{"path":`+path+`}`, "", want)
	}
	h.mappers("teller-desk", model.PathSegments, view("b", "/one/*", model.MatchWildcards))
	h.wantCall("GET", `{"path":["/one/acc-1","","one","acc-1"]}`, "", permit)
	h.wantCall("GET", `{"path":["/one/acc-1","one","acc-1"]}`, "", permit)
	h.mappers("teller-desk", "", mapper("whole", "/**", model.MatchWildcards, accountAt(0, "View")))
	h.wantCall("GET", `{"path":["/acc-1?x","acc-1"]}`, "", "DENY Accounts:/acc-1:View:PID008")
}

// RT-107, RT-110: the order of mappers over all applications of the scope, methods and inactive mappers, and every
// change of a set.
func TestDecisionOrder(t *testing.T) {
	h := newHarbour(t)
	at := func(id model.MapperID, priority int, actions ...model.ActionID) model.APIMapper {
		m := mapper(id, "/a/*", model.MatchWildcards, accountAt(2, actions...))
		m.Priority = priority
		return m
	}
	const uri = `"/a/acc-1"`
	none := "DENY :/a/acc-1:GET:PID002"
	h.wantCall("GET", uri, "", none)
	h.mappers("teller-desk", "", at("z", 5, "View"), at("y", 6, "Edit"))
	h.wantCall("GET", uri, "", "PERMIT Accounts:acc-1:View")
	h.mappers("loan-desk", "", at("z", 5, "Edit"))
	h.wantCall("GET", uri, "", "PERMIT Accounts:acc-1:Edit") // loan-desk before teller-desk
	h.mappers("loan-desk", "", at("a", 6, "Edit"))
	h.wantCall("GET", uri, "", "PERMIT Accounts:acc-1:View")
	h.mappers("loan-desk", "", at("b", 4, "Edit", "View"), at("a", 4, "Edit"))
	h.wantCall("GET", uri, "", "PERMIT Accounts:acc-1:Edit")
	off := at("a", 4, "Edit")
	off.IsActive = false
	h.mappers("loan-desk", "", at("b", 4, "Edit", "View"), off)
	h.wantCall("GET", uri, "", "PERMIT Accounts:acc-1:Edit Accounts:acc-1:View")
	put := at("b", 4, "Edit")
	put.RestMethods = []string{"PUT", "POST"}
	h.mappers("loan-desk", "", put)
	h.wantCall("GET", uri, "", "PERMIT Accounts:acc-1:View")
	h.wantCall("post", uri, "", "PERMIT Accounts:acc-1:Edit")
	h.changeScope(func(s *model.Scope) { s.ApplicationIDs = []model.ApplicationID{"loan-desk"} })
	h.wantCall("GET", uri, "", none)
	h.wantCall("POST", uri, "", "DENY Accounts:acc-1:Edit:PID001")
	h.changeScope(func(s *model.Scope) { s.ApplicationIDs = []model.ApplicationID{"teller-desk", "loan-desk"} })
	h.update(func(tx *store.Tx) error {
		_, err := tx.APIMapperSets.Delete("teller-desk")
		return err
	})
	h.wantCall("GET", uri, "", none)
	h.mappers("loan-desk", "", mapper("later", "/a/*", "SOMETHING", accountAt(2, "View")))
	h.wantCall("GET", uri, "", none)
	h.update(func(tx *store.Tx) error { // a set that waits for its application
		set := model.APIMapperSet{ID: "teller-desk", WorkspaceID: "a0", Mappers: []model.APIMapper{at("z", 5, "View")}}
		_, err := tx.APIMapperSets.Put(set)
		return err
	})
	h.wantCall("GET", uri, "", none)
}

// RT-108, RT-109, RT-113: the sources of mappings, several values, actions that are told by the call, and everything that
// tells nothing, which is never permitted.
func TestDecisionMappings(t *testing.T) {
	h := newHarbour(t)
	from := func(id model.AttributeID, source model.MappingSource, path string) model.AttributeMapping {
		return model.AttributeMapping{AttributeID: id, Source: source, Path: path}
	}
	loan := func(branch model.AttributeMapping) model.TemplateMapping {
		return model.TemplateMapping{TemplateID: "Loans", Actions: always("Approve"), Attributes: []model.AttributeMapping{branch, from("amount", model.FromQuery, "amount")}}
	}
	told := func(source model.MappingSource, path string) model.TemplateMapping {
		t := accountAt(2)
		t.Actions = []model.ActionMapping{
			{ActionID: "View", Source: source, Path: path, Value: value("GET")},
			{ActionID: "Edit", Source: source, Path: path, Value: value("PUT")},
			{ActionID: "View", Source: model.FromHeader, Path: "X-Look"},
		}
		return t
	}
	h.mappers("loan-desk", "",
		mapper("query", "/query", model.MatchExact, loan(from("branch", model.FromQuery, "branch"))),
		mapper("header", "/header", model.MatchExact, loan(from("branch", model.FromHeader, "X-Branch"))),
		mapper("body", "/body", model.MatchExact, loan(from("branch", model.FromBody, "$.list[*].b"))),
		mapper("deep", "/deep", model.MatchExact, loan(from("branch", model.FromBody, "list[1]['b'][0]"))),
		mapper("root", "/root", model.MatchExact, loan(from("branch", model.FromBody, "$"))),
		mapper("method", "/method/*", model.MatchWildcards, told(model.FromMethod, "")),
		mapper("told", "/told/*", model.MatchWildcards, told(model.FromQuery, "do")),
		mapper("every", "/every/*", model.MatchWildcards, accountAt(2)),
		mapper("two", "/two/*", model.MatchWildcards, accountAt(2, "View"), loan(from("branch", model.FromHeader, "x-branch"))),
		mapper("many", "/many", model.MatchExact, model.TemplateMapping{
			TemplateID: "Accounts", Actions: always("View"), Attributes: []model.AttributeMapping{from("path", model.FromBody, "$.ids")},
		}),
		mapper("whole", "/whole", model.MatchExact, model.TemplateMapping{TemplateID: "Accounts", Actions: always("View")}),
		mapper("empty", "/empty", model.MatchExact),
	)
	const office = `,"ipAddress":"198.51.100.9"`
	ok, no := "PERMIT Loans::approve", "DENY Loans::approve:PID005"
	tests := []struct{ method, uri, rest, want string }{
		{"GET", `{"path":"/query","query":{"branch":"Porto","amount":4200}}`, "", ok},
		{"GET", `{"path":"/query","query":{"branch":["Lagos","Porto"],"amount":["4200"]}}`, "", ok},
		{"GET", `{"path":"/query","query":{"Branch":"Porto","amount":4200}}`, "", no},
		{"GET", `{"path":"/query","query":{"branch":"Lagos,Porto","amount":4200}}`, "", no},
		{"GET", `"/query?branch=%50orto&amount=1"`, "", ok},
		// two spellings of one header: no value is lost, whichever comes last
		{"GET", `{"path":"/header","query":{"amount":4200}}`, `,"headers":{"X-Branch":"Porto","x-branch":"Lagos"}`, ok},
		{"GET", `{"path":"/header","query":{"amount":1}}`, `,"headers":{"x-BRANCH":"Porto"}`, ok},
		{"GET", `{"path":"/header","query":{"amount":1}}`, `,"headers":{"X-Branch":["Lagos"],"x-branch":["Porto"]}`, ok},
		{"GET", `{"path":"/header","query":{"amount":1}}`, `,"headers":{"x-branch":"Lagos, Porto"}`, no},
		{"GET", `{"path":"/body","query":{"amount":1}}`, `,"body":{"list":[{"b":"Lagos"},{"b":"Porto"},1,null,{"c":2}]}`, ok},
		{"GET", `{"path":"/body","query":{"amount":1}}`, `,"body":"{\"list\":[{\"b\":\"Porto\"}]}"`, ok},
		{"GET", `{"path":"/body","query":{"amount":1}}`, `,"body":{"list":{"b":"Porto"}}`, no},
		{"GET", `{"path":"/body","query":{"amount":1}}`, `,"body":""`, no},
		{"GET", `{"path":"/body","query":{"amount":1}}`, `,"body":null`, no},
		{"GET", `{"path":"/body","query":{"amount":1}}`, `,"body":"list=b"`, "DENY :/body:GET:PID002"},
		{"GET", `{"path":"/body","query":{"amount":1}}`, `,"body":"{\"list\":[],\"list\":[{\"b\":\"Porto\"}]}"`, "DENY :/body:GET:PID002"},
		{"GET", `{"path":"/deep","query":{"amount":1}}`, `,"body":{"list":[{"b":["Lagos"]},{"b":["Porto","x"]}]}`, ok},
		{"GET", `{"path":"/root","query":{"amount":1}}`, `,"body":["Porto",{"a":1}]`, ok},
		{"GET", `{"path":"/root","query":{"amount":1}}`, `,"body":{"Porto":"Porto"}`, no},
		{"GET", `"/method/acc-1"`, "", "PERMIT Accounts:acc-1:View"},
		{"put", `"/method/acc-2"`, "", "DENY Accounts:acc-2:Edit:PID007"},
		{"DELETE", `"/method/acc-1"`, "", "DENY Accounts:acc-1::PID002"},
		{"DELETE", `"/method/acc-1"`, `,"headers":{"X-Look":"1"}`, "PERMIT Accounts:acc-1:View"},
		{"GET", `"/method/acc-1"`, `,"headers":{"X-Look":"1"}`, "PERMIT Accounts:acc-1:View"},
		{"GET", `"/told/acc-2?do=GET&do=PUT"`, "", "DENY Accounts:acc-2:View Accounts:acc-2:Edit:PID007"},
		{"GET", `"/told/acc-2?do=get"`, "", "DENY Accounts:acc-2::PID002"},
		{"GET", `"/every/acc-1"`, "", "PERMIT Accounts:acc-1:View Accounts:acc-1:Edit"},
		{"GET", `{"path":"/two/acc-1","query":{"amount":1}}`, `,"headers":{"x-branch":"Porto"}`, "PERMIT Accounts:acc-1:View Loans::approve"},
		{"GET", `{"path":"/two/acc-1","query":{"amount":1}}`, "", "DENY Accounts:acc-1:View Loans::approve:PID005"},
		{"GET", `"/many"`, `,"body":{"ids":["acc-1","acc-2","acc-1"]}`, "PERMIT Accounts:acc-1:View Accounts:acc-2:View"},
		{"GET", `"/many"`, `,"body":{"ids":["acc-1",["acc-3"]]}`, "DENY Accounts:acc-1:View Accounts:acc-3:View:PID005"},
		{"GET", `"/many"`, `,"body":{"ids":["acc-1",""]}`, "DENY Accounts:acc-1:View Accounts::View:PID005"},
		{"GET", `"/whole"`, "", "DENY Accounts::View:PID005"},
		{"GET", `"/empty"`, "", "DENY :/empty:GET:PID002"},
	}
	for _, test := range tests {
		h.wantCall(test.method, test.uri, test.rest+office, test.want)
	}
	const loanOf, elsewhere = `"/query?branch=Porto&amount=1"`, "DENY Loans::approve:PID006" // the office network is a condition
	for said, want := range map[string]string{                                               // 6.1: ipAddress comes before the others
		``: elsewhere, `,"remoteIp":"198.51.100.9"`: ok, `,"remoteIP":"198.51.100.9"`: ok, `,"ipAddress":"","remoteIp":"198.51.100.9"`: ok,
		`,"ipAddress":"198.51.100.9","remoteIp":"203.0.113.1"`: ok, `,"ipAddress":"203.0.113.1","remoteIp":"198.51.100.9"`: elsewhere,
		`,"headers":{"x-forwarded-for":"198.51.100.9"}`: elsewhere, // of the described call: never consulted
	} {
		h.wantCall("GET", loanOf, said, want)
	}
}

// Calls of more values, pairs or work than one may have are refused, not cut.
func TestDecisionLimits(t *testing.T) {
	h := newHarbour(t)
	from := func(id model.AttributeID, path string) model.AttributeMapping {
		return model.AttributeMapping{AttributeID: id, Source: model.FromBody, Path: path}
	}
	h.mappers("loan-desk", "",
		mapper("all", "/all", model.MatchExact, model.TemplateMapping{TemplateID: "Accounts", Attributes: []model.AttributeMapping{from("path", "$.ids")}}),
		mapper("both", "/both", model.MatchExact, model.TemplateMapping{
			TemplateID: "Loans", Actions: always("Approve"), Attributes: []model.AttributeMapping{from("path", "$.ids"), from("branch", "$.branches")},
		}))
	numbers := func(n int) string {
		out := make([]string, n)
		for i := range out {
			out[i] = fmt.Sprint(i)
		}
		return "[" + strings.Join(out, ",") + "]"
	}
	h.wantCall("GET", `"/all"`, `,"body":{"ids":`+numbers(100_001)+`}`, "400 AMB-002 body: more than 100000 values")
	h.wantCall("GET", `"/all"`, `,"body":{"ids":`+numbers(50_001)+`}`, "400 AMB-002 body: stands for more than 100000 pairs of an asset and an action")
	list := numbers(4000)
	h.wantCall("GET", `"/both"`, `,"body":{"ids":`+list+`,"branches":`+list+`}`, "400 AMB-002 body: too many values for 4000 pairs of an asset and an action")
}

// RT-111: matchers look into the described headers, then into those of the request; RT-31 and RT-112: a scope signs in by
// the request or runtimeFineTune, never by the described headers.
func TestDecisionIdentity(t *testing.T) {
	h := newHarbour(t)
	h.mappers("teller-desk", "", mapper("a", "/a/*", model.MatchWildcards, accountAt(2, "View")))
	h.match(func(m *model.Matcher) {
		m.TemplateMatcher, m.MatcherValue, m.IdentityIDMapper, m.ClaimMappings = "$.headers.x-kind", "staff", "$.headers.x-user", nil
	})
	ask := func(describedHeaders string, headers ...string) string {
		return shown(t, h, request{path: decisionPath, headers: headers, body: `{"method":"GET","uri":"/a/acc-1","headers":` + describedHeaders + `,"meta":{"runtimeFinetune":{"includeIdentity":"TRUE"}}}`})
	}
	for _, test := range []struct {
		described string
		headers   []string
		want      string
	}{
		{`{"X-Kind":"staff","X-User":["mreyes"]}`, nil, "mreyes"},
		{`{"X-Kind":"staff","X-User":["mreyes"]}`, []string{"X-Kind: staff", "X-User: tokafor"}, "mreyes"},
		{`{}`, []string{"X-Kind: staff", "X-User: tokafor"}, "tokafor"},
		{`{"X-User":["mreyes"]}`, []string{"X-Kind: staff", "X-User: tokafor"}, "tokafor"}, // never half of each
		{`{"X-User":["mreyes"]}`, []string{"X-Kind: staff"}, "403"},
		{`{"X-Kind":"staff"}`, []string{"X-User: tokafor"}, "403"},
		{`{}`, nil, "400"},
	} {
		if got, _, _ := strings.Cut(ask(test.described, test.headers...), " "); got != test.want {
			t.Errorf("%s %s: %s, want %s", test.described, test.headers, got, test.want)
		}
	}
	i := newIssuer(t)
	h.trust(i)
	user := `{"Authorization":"Bearer ` + i.sign(t, i.claims()) + `"}`
	if got := ask(user); !strings.HasPrefix(got, "tokafor ") {
		t.Errorf("a described token: %s", got)
	}
	if got := ask(`{"Authorization":"Bearer x.y.z"}`); !strings.HasPrefix(got, "403 ") {
		t.Errorf("a bad described token: %s", got)
	}
	signIn := func(status int, describedHeaders, top, tune string) {
		t.Helper()
		h.want(request{path: decisionPath, anonymous: true, body: `{"method":"GET","uri":"/a/acc-1",` + mreyes + top + `,"headers":` + describedHeaders + `,"meta":{"runtimeFineTune":{` + tune + `}}}`}, status, "")
	}
	both := `"clientId":"` + string(client) + `","clientSecret":"` + h.secret + `"`
	signIn(200, `{}`, "", both)
	signIn(200, `{}`, ","+both, "")
	signIn(200, `{}`, ","+both, `"clientId":"","clientSecret":null`)
	signIn(401, `{}`, ","+both, `"clientSecret":"wrong"`)
	signIn(200, `{}`, `,"clientId":"x","clientSecret":"y"`, both)
	signIn(401, `{"x-client-id":"`+string(client)+`","x-client-secret":"`+h.secret+`"}`, "", "")
}

// Request attributes come from the mapper of the call, then from environment (13.5); a body that cannot be read tells
// nothing at all.
func TestDecisionRequestAttributes(t *testing.T) {
	h := newHarbour(t)
	h.mappers("teller-desk", "", mapper("a", "/a/*", model.MatchWildcards, accountAt(2, "View")), mapper("b", "/b/*", model.MatchWildcards, accountAt(2, "View")))
	attribute := func(id model.AttributeID, ws model.WorkspaceID, ms ...model.RequestMapping) {
		t.Helper()
		a := model.RequestAttribute{ID: id, WorkspaceID: ws, DisplayName: string(id)}
		check(t, a.Map(ms))
		check(t, a.Validate())
		h.update(func(tx *store.Tx) error { return put(tx.RequestAttributes, a) })
	}
	h.update(func(tx *store.Tx) error {
		r := model.Rule{Left: model.Ref{Side: model.SideRequest, Attribute: "channel"}, Op: model.OpEqual, Literals: []model.Literal{{Text: "desk"}}}
		if err := put(tx.Blocks, model.Block{ID: "c-desk", Kind: model.KindConditionRequest, WorkspaceID: "a0", Name: "Desk", Branches: branches(r)}); err != nil {
			return err
		}
		for _, id := range []model.PolicyID{"pol-10", "pol-20"} {
			p, err := tx.Policies.Find(id)
			if err != nil {
				return err
			}
			p.Conditions = []model.BlockID{"c-desk"}
			if err := put(tx.Policies, p); err != nil {
				return err
			}
		}
		return nil
	})
	const yes, no = "PERMIT Accounts:acc-1:View", "DENY Accounts:acc-1:View:PID006"
	desk := `,"environment":{"channel":["desk"]}`
	h.wantCall("GET", `"/a/acc-1"`, "", no)
	h.wantCall("GET", `"/a/acc-1"`, desk, yes)
	attribute("channel", "a0", model.RequestMapping{Source: model.FromQuery, Path: "c", MapperID: "a"}, model.RequestMapping{Source: model.FromBody, Path: "$.c", MapperID: "a"})
	h.wantCall("GET", `"/a/acc-1?c=desk"`, "", yes)
	h.wantCall("GET", `"/a/acc-1"`, `,"body":{"c":"desk"}`, yes)
	h.wantCall("GET", `"/b/acc-1?c=desk"`, "", no)
	h.wantCall("GET", `"/a/acc-1?c=web"`, desk, no)
	h.wantCall("GET", `"/a/acc-1"`, desk, yes)
	h.wantCall("GET", `"/a/acc-1?c=desk"`, `,"body":"{"`, "DENY :/a/acc-1:GET:PID002")
	h.wantCall("GET", `"/b/acc-1"`, desk+`,"body":"{"`, yes) // b reads no body
	attribute("channel", "a0", model.RequestMapping{Source: model.FromQuery, Path: "c", MapperID: "b"})
	h.wantCall("GET", `"/a/acc-1?c=desk"`, "", no)
	h.wantCall("GET", `"/b/acc-1?c=desk"`, "", yes)
	attribute("channel", "a0")
	h.wantCall("GET", `"/b/acc-1?c=desk"`, "", no)
}

// RT-21, RT-23: what is missing or ill-typed is refused by its name, in the errors form and in the order of checks.
func TestDecisionErrors(t *testing.T) {
	h := newHarbour(t)
	for body, want := range map[string]string{
		`{"uri":"/"}`:                                                                                   "400 AMB-002 method: required",
		`{"method":"GET"}`:                                                                              "400 AMB-002 uri: required",
		`{"method":"GET","uri":{}}`:                                                                     "400 AMB-002 uri.path: required",
		`{"method":"GET","uri":{"path":[]}}`:                                                            "400 AMB-002 uri.path: required",
		`{"method":"GET","uri":{"path":["/a",null,"b"]}}`:                                               "400 AMB-002 uri.path: must not hold null: the elements after it would move",
		`{"method":"GET","uri":{"path":{"a":1}}}`:                                                       "400 AMB-002 uri.path: must be a list of strings",
		`{"method":"GET","uri":7}`:                                                                      "400 AMB-002 uri: must be an object",
		`{"method":"GET","uri":"a/b"}`:                                                                  "400 AMB-002 uri: must be a URL or a path that begins with /",
		`{"method":"GET","uri":"mailto:x"}`:                                                             "400 AMB-002 uri: must be a URL or a path that begins with /",
		`{"method":"GET","uri":"/?a=%zz"}`:                                                              "400 AMB-002 uri: has a query that is not readable",
		`{"method":"GET","uri":{"path":"/","query":{"a":{"b":1}}}}`:                                     "400 AMB-002 uri.query.a: must be a list of strings, numbers or booleans",
		`{"method":"GET","uri":"/","headers":{"a":[[1]]}}`:                                              "400 AMB-002 headers.a: must be a list of strings, numbers or booleans",
		`{"method":"GET","uri":"/","ipAddress":"here","remoteIp":"198.51.100.9"}`:                       "400 AMB-002 ipAddress: must be an IP address without port or zone",
		`{"method":"GET","uri":"/","meta":7}`:                                                           "400 AMB-002 meta: must be an object",
		`{"method":"GET","uri":"/","meta":{"runtimeFineTune":[]}}`:                                      "400 AMB-002 meta.runtimeFineTune: must be an object",
		`{"method":"GET","uri":"/","meta":{"runtimeFineTune":{"combinedMultiValue":"x"}}}`:              "400 AMB-002 combinedMultiValue: must be true or false",
		`{"method":"GET","uri":"/","assetContext":{"a":1}}`:                                             "501 AMB-501 assetContext is not supported",
		`{"method":"GET","uri":"/","entityTypeId":"Ghosts"}`:                                            "403 RT-087 None of the Identity Templates Matched",
		`{"method":"GET","uri":"/"`:                                                                     "400 AMB-001 Malformed JSON",
		`{"method":"GET","uri":{"path":"` + strings.Repeat("/x", 40_000) + `"}}`:                        "400 AMB-002 uri.path: is too long",
		`{"method":"GET","uri":"/","body":{"a":1,"a":2}}`:                                               "400 AMB-001 Malformed JSON",
		`{"method":"GET","uri":"/","environment":{"a":1},"meta":{"runtimeFineTune":{"environment":7}}}`: "400 AMB-002 environment: must be an object of lists of strings",
	} {
		if !strings.Contains(body, "entityTypeId") {
			body = strings.Replace(body, "{", "{"+mreyes+",", 1)
		}
		w := h.do(request{path: decisionPath, body: body})
		if got := fmt.Sprintf("%d %s", w.Code, errorOf(t, w.Body.Bytes())); got != want {
			t.Errorf("%.200s\ngot  %s\nwant %s", body, got, want)
		}
	}
	h.want(request{method: "GET", path: decisionPath}, 405, "")
	id := "X-Client-Id: " + string(client)
	for _, q := range []struct {
		status  int
		headers []string
		body    string
	}{
		{401, []string{id, "X-Client-Secret: wrong"}, `{"`},
		{400, []string{id}, `{"meta":{"runtimeFineTune":{"clientSecret":"wrong"}}`},
		{401, []string{id}, `{"meta":{"runtimeFineTune":{"clientSecret":"wrong"}}}`},
		{400, []string{id}, `{"meta":{"runtimeFineTune":{"clientSecret":"` + h.secret + `"}}}`},
	} {
		h.want(request{path: decisionPath, anonymous: true, headers: q.headers, body: q.body}, q.status, "")
	}
}

// errorOf is the code and the message of an error of 5.0.
func errorOf(t testing.TB, body []byte) string {
	t.Helper()
	var got struct {
		Errors []struct{ ID, Code, Name, Message string }
	}
	if err := json.Unmarshal(body, &got); err != nil || len(got.Errors) != 1 || got.Errors[0].ID == "" {
		t.Fatalf("%v: %s", err, body)
	}
	return got.Errors[0].Code + " " + got.Errors[0].Message
}
