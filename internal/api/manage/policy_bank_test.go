package manage

import (
	"archive/zip"
	"bytes"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// newBank is the sample bank, applied as it lies in the examples.
func newBank(t testing.TB) *harbour {
	t.Helper()
	h := &harbour{world: newWorld(t)}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, dir := range []string{"authorization-workspaces", "identity-workspaces", "environment"} {
		root, err := os.OpenRoot("../../../examples/bank/" + dir)
		h.must(err)
		sub, err := z.Create(dir + "/")
		h.must(err)
		_, _ = sub.Write(nil)
		h.must(addTree(z, root, dir))
	}
	h.must(z.Close())
	h.do("admin", "POST", env+"/apply", b.String(), "Content-Type: application/zip").want(t, 200, `"committed":true`)
	return h
}

func addTree(z *zip.Writer, root *os.Root, dir string) error {
	entries, err := os.ReadDir(root.Name())
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			below, err := root.OpenRoot(e.Name())
			if err != nil {
				return err
			}
			if err := addTree(z, below, dir+"/"+e.Name()); err != nil {
				return err
			}
			continue
		}
		text, err := root.ReadFile(e.Name())
		if err != nil {
			return err
		}
		out, err := z.Create(dir + "/" + e.Name())
		if err != nil {
			return err
		}
		if _, err := out.Write(text); err != nil {
			return err
		}
	}
	return nil
}

// allPolicies are those of the environment.
func (h *harbour) allPolicies() (out []model.Policy) {
	h.t.Helper()
	h.read(func(tx *store.Tx) error {
		for p, err := range tx.Policies.FindAll() {
			h.must(err)
			out = append(out, p)
		}
		return nil
	})
	return out
}

// PM-46, MG-15, MG-37: what is exported, by either version and in either form, is imported without changing anything, and
// into an empty environment with the same result byte for byte from the second time on.
func TestPolicyRoundTrip(t *testing.T) {
	h := newBank(t)
	policies := h.allPolicies()
	if len(policies) < 20 {
		t.Fatalf("%d policies", len(policies))
	}
	for _, p := range policies {
		target := "/api/2.0/policies/" + envID + "?filter[authWsId]=" + string(p.WorkspaceID)
		a := h.do("viewer", "GET", target+"&filter[id]="+string(p.ID), "").want(t, 200)
		b := h.do("admin", "POST", target, a.body, regoType).want(t, 201).wantHeaders(t, "Ambit-Result: unchanged")
		if a.body != b.body {
			t.Errorf("%s: %s", p.ID, b.body)
		}
		c := h.do("viewer", "GET", target+"&filter[id]="+string(p.ID), "", "Accept: application/json").want(t, 200)
		h.do("admin", "POST", target, c.body, "Content-Type: application/json").want(t, 201).wantHeaders(t, "Ambit-Result: unchanged")
		plain := h.do("viewer", "GET", target+"&extendedSchema=false&filter[id]="+string(p.ID), "").want(t, 200)
		d := h.do("admin", "POST", target+"&dryRun=true", plain.body, regoType).want(t, 201)
		if strings.Contains(plain.body, "description") {
			t.Errorf("%s: %s", p.ID, plain.body)
		}
		if n := strings.Count(d.body, "#     id: "); n != strings.Count(a.body, "#     id: ") {
			t.Errorf("%s without ids finds other blocks: %s", p.ID, d.body)
		}
		h.do("admin", "DELETE", target+"&filter[id]="+string(p.ID), "").want(t, 204)
		again := h.do("admin", "POST", target, a.body, regoType).want(t, 201).wantHeaders(t, "Ambit-Result: created")
		if again.body != a.body {
			t.Errorf("%s made again: %s", p.ID, again.body)
		}
	}
}

// MG-40: blocks that are exported are imported without changing anything.
func TestBlockRoundTrip(t *testing.T) {
	h := newBank(t)
	owners := map[string]bool{}
	h.read(func(tx *store.Tx) error {
		for ws, err := range tx.AuthorizationWorkspaces.FindAll() {
			h.must(err)
			owners["filter[authWsId]="+string(ws.ID)] = true
		}
		for ws, err := range tx.IdentityWorkspaces.FindAll() {
			h.must(err)
			owners["filter[identityWsId]="+string(ws.ID)] = true
		}
		return nil
	})
	for owner := range owners {
		a := h.do("viewer", "GET", h.blocks(owner), "").want(t, 200, "package building_blocks")
		if strings.Count(a.body, "\n}") > 50 {
			continue // more than one import takes
		}
		b := h.do("admin", "POST", h.blocks(owner), a.body, regoType).want(t, 201).wantHeaders(t, "Ambit-Result: unchanged")
		if a.body != b.body {
			t.Errorf("exported %s\nimported %s", a.body, b.body)
		}
	}
}

// Writers and readers at once: every page is of one state, and what was written before a question is seen by it.
func TestPolicyConcurrency(t *testing.T) {
	h := newHarbour(t)
	const writers, each = 4, 8
	var wg sync.WaitGroup
	for n := range writers {
		wg.Go(func() {
			for i := range each {
				id := fmt.Sprintf("w%d-%d", n, i)
				text := regoPolicy(id, fmt.Sprint(i), fmt.Sprint("B", n%2))
				if a := h.do("admin", "POST", h.policies(""), text, regoType); a.StatusCode != 201 {
					t.Errorf("%s: %d %s", id, a.StatusCode, a.body)
				}
				a := h.do("viewer", "POST", "/api/1.0/policies-search/"+envID+"?limit=100", `{"applicationIds":["harbour-app"]}`)
				if a.StatusCode != 200 || !strings.Contains(a.body, `"policyId":"`+id+`"`) {
					t.Errorf("%s is not seen: %d", id, a.StatusCode)
				}
				if i%4 == 3 {
					h.do("admin", "DELETE", h.policies("&filter[id]="+id), "")
				}
			}
		})
	}
	wg.Wait()
	h.do("viewer", "POST", "/api/1.0/policies-search/"+envID, "").want(t, 200, fmt.Sprintf(`"total":%d`, writers*each*3/4))
	blocks := h.do("viewer", "GET", h.blocks("filter[identityWsId]="+h.crew), "").want(t, 200)
	if n := strings.Count(blocks.body, "kind: DynamicGroup"); n != each+1 { // one for each rank, and the predefined one
		t.Errorf("%d groups: equal rules were not found", n)
	}
}

// FuzzPolicyCalls: whatever stands in query and body, an answer is no failure of the server, and nothing is stored.
func FuzzPolicyCalls(f *testing.F) {
	for _, seed := range []struct {
		call        uint8
		query, body string
	}{
		{0, "evaluateByBBName=true", regoPolicy("p", "4", "A")},
		{1, "extendedSchema=False", regoPolicy("p", "4", "A")},
		{2, "limit=3&offset=9", `{"state":"active","policyCustomAttributes":{"level":[1e400,"x"]},"applicationIds":["\u0000"]}`},
		{3, "filter[id][in]=a,b&filter[id]=%00", ""},
		{4, "filter%5Bid%5D=%ff", `[{"op":"replace","path":"/state","value":true}]`},
		{5, "", blockModule(regoRuleset("R", deckID, "A", ""))},
		{6, "filter[kind]=ruleset&filter[name]=%5B&filter[templateId]=Cargo", ""},
		{7, "limit=99999999999999999999&offset=9223372036854775807&filter[appId]=harbour-app", ""},
	} {
		f.Add(seed.call, seed.query, seed.body)
	}
	h := newHarbour(f)
	f.Fuzz(func(t *testing.T, call uint8, query, body string) {
		h.t = t
		h.log.Reset()
		if strings.ContainsAny(query, " \r\n\t#") || strings.ContainsFunc(query, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return // no request line has these
		}
		auth := "?dryRun=true&filter[authWsId]=" + h.quays + "&" + query
		calls := []struct{ method, target, kind string }{
			{"POST", "/api/2.0/policies/" + envID + auth, regoType},
			{"POST", "/api/2.0/policies/" + envID + "/validation" + auth, "Content-Type: application/json"},
			{"POST", "/api/1.0/policies-search/" + envID + auth, "Content-Type: application/json"},
			{"DELETE", "/api/2.0/policies/" + envID + auth, ""},
			{"PATCH", "/api/2.0/policies/" + envID + auth, "Content-Type: application/json-patch+json"},
			{"POST", "/api/2.0/building-blocks/" + envID + auth, regoType},
			{"DELETE", "/api/2.0/building-blocks/" + envID + auth, ""},
			{"GET", "/policy-mgmt/1.0/policies/" + envID + auth, ""},
		}
		c := calls[int(call)%len(calls)]
		if _, err := url.ParseRequestURI(c.target); err != nil {
			return
		}
		a := h.do("admin", c.method, c.target, body, c.kind)
		if a.StatusCode >= 500 && a.StatusCode != 501 {
			t.Errorf("%s %s: %d %s", c.method, c.target, a.StatusCode, a.body)
		}
		if n := a.Header.Get("Ambit-Revision"); n != "" && n != "2" {
			t.Errorf("%s %s stored something: revision %s", c.method, c.target, n)
		}
	})
}
