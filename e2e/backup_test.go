package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/oauth2/clientcredentials"
)

// walker reads a whole deployment as published backup tools do ([client] in management-api.md): by the console calls,
// page by page with a limit of its own, object by object, and writes the directory of section 21.1.
type walker struct {
	t      testing.TB
	url    string
	client *http.Client
	limit  int
}

// newWalker logs in as an OAuth client without configuration does: it finds out by itself how to show its secret (MG-25).
func newWalker(t testing.TB, s *server) *walker {
	t.Helper()
	login := clientcredentials.Config{ClientID: s.admin, ClientSecret: s.secret, TokenURL: s.url + "/api/1.0/api-key/token"}
	return &walker{t: t, url: s.url, client: login.Client(context.Background()), limit: 2}
}

// named is an item of the console's lists.
type named struct{ ID, Name string }

const rego = "text/plain;language=rego"

// get wants success. The path is made of segments, each escaped.
func (w *walker) get(accept string, query url.Values, segments ...string) []byte {
	w.t.Helper()
	target := w.url
	for _, s := range segments {
		target += "/" + url.PathEscape(s)
	}
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, target+"?"+query.Encode(), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Accept", accept)
	res, err := w.client.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		w.t.Fatalf("GET %s?%s: %d %v %s", target, query.Encode(), res.StatusCode, err, text)
	}
	return text
}

// object is the data of one object, as it was written.
func (w *walker) object(query url.Values, segments ...string) json.RawMessage {
	w.t.Helper()
	var answer struct{ Data json.RawMessage }
	if err := json.Unmarshal(w.get("application/json", query, segments...), &answer); err != nil || len(answer.Data) == 0 {
		w.t.Fatalf("%v: no data: %v", segments, err)
	}
	return answer.Data
}

// items reads a list to its end by adding its own limit to the offset (MG-39), whatever limit the answer states.
func items[T any](w *walker, limit int, query url.Values, segments ...string) []T {
	w.t.Helper()
	var out []T
	query.Set("limit", strconv.Itoa(limit))
	for offset := 0; ; offset += limit {
		query.Set("offset", strconv.Itoa(offset))
		var page struct {
			Data  []T
			Total int
			Meta  struct{ Total, Limit, Offset int }
		}
		if err := json.Unmarshal(w.get("application/json", query, segments...), &page); err != nil {
			w.t.Fatal(err)
		}
		if page.Meta.Total != page.Total || page.Meta.Offset != offset {
			w.t.Errorf("%v: counters %+v beside a total of %d", segments, page.Meta, page.Total)
		}
		if out = append(out, page.Data...); offset+limit >= page.Total {
			if len(out) != page.Total {
				w.t.Errorf("%v: %d items of %d", segments, len(out), page.Total)
			}
			return out
		}
	}
}

// backup writes one environment below dir.
func (w *walker) backup(env named, dir string) {
	w.t.Helper()
	for _, ws := range items[named](w, w.limit, url.Values{}, "env-mgmt", "1.0-int.1", "authorization-workspaces", env.ID) {
		w.authorization(env, ws, filepath.Join(dir, "authorization-workspaces", fileName(ws.Name)))
	}
	w.applications(env, dir)
	for _, ws := range items[named](w, w.limit, url.Values{}, "env-mgmt", "1.0", "identity-workspaces", env.ID) {
		w.identities(env, ws, filepath.Join(dir, "identity-workspaces", fileName(ws.Name)))
	}
	w.groups(env, dir)
	w.write(w.object(nil, "ambit", "1.0", "environments", env.ID, "custom-attributes"), dir, "environment", "custom-policy-attributes.json")
}

// authorization writes the asset templates of a workspace: the list names them, then each is read.
func (w *walker) authorization(env, ws named, dir string) {
	owner := url.Values{"filter[authWsId]": {ws.ID}}
	type group struct {
		AuthWsID       string
		AssetTemplates []struct{ TemplateID string }
	}
	listed := map[string]bool{}
	for offset, total := 0, 1; offset < total; offset += w.limit {
		owner.Set("limit", strconv.Itoa(w.limit))
		owner.Set("offset", strconv.Itoa(offset))
		var page struct {
			Data  []group
			Total int
		}
		if err := json.Unmarshal(w.get("application/json", owner, "api", "1.0", "asset-templates", env.ID), &page); err != nil {
			w.t.Fatal(err)
		}
		total = page.Total
		for _, g := range page.Data {
			if g.AuthWsID != ws.ID {
				w.t.Errorf("%s has templates of %s", ws.Name, g.AuthWsID)
			}
			for _, template := range g.AssetTemplates {
				listed[template.TemplateID] = true
				text := w.object(nil, "api", "1.0", "asset-templates", env.ID, template.TemplateID)
				w.write(text, dir, "asset-types", fileName(template.TemplateID)+".json")
			}
		}
	}
	console := items[struct{ ExternalID string }](w, w.limit, url.Values{"filter[ownerId]": {ws.ID}}, "internal-assets", "4.0", "asset-types")
	for _, a := range console {
		if !listed[a.ExternalID] {
			w.t.Errorf("%s: the console lists %s, the templates do not", ws.Name, a.ExternalID)
		}
	}
	if len(console) != len(listed) {
		w.t.Errorf("%s: %d asset types in the console, %d templates", ws.Name, len(console), len(listed))
	}
	w.requestAttributes(env, ws, dir)
}

// requestAttributes writes what PlainID's calls do not have, without the marks of this server's storage.
func (w *walker) requestAttributes(env, ws named, dir string) {
	attributes := items[map[string]any](w, w.limit, url.Values{}, "ambit", "1.0", "environments", env.ID, "authorization-workspaces", ws.ID, "request-attributes")
	for _, a := range attributes {
		for _, mark := range []string{"createdAt", "updatedAt", "revision"} {
			delete(a, mark)
		}
	}
	text, err := json.Marshal(attributes)
	if err != nil {
		w.t.Fatal(err)
	}
	if len(attributes) > 0 {
		w.write(text, dir, "request-attributes.json")
	}
}

// applications writes the applications with their mapper sets and policies; a policy may lie in several.
func (w *walker) applications(env named, dir string) {
	type application struct {
		ID, AuthWsID     string
		AssetTemplateIDs []string
	}
	names := map[string]string{}
	for _, ws := range items[named](w, w.limit, url.Values{}, "env-mgmt", "1.0-int.1", "authorization-workspaces", env.ID) {
		names[ws.ID] = filepath.Join(dir, "authorization-workspaces", fileName(ws.Name))
	}
	var inactive []string
	seen := map[string]bool{}
	for _, app := range items[application](w, w.limit, url.Values{"detailed": {"True"}}, "policy-mgmt", "1.0", "applications", env.ID) {
		folder := names[app.AuthWsID]
		wrapped, err := json.Marshal(map[string]json.RawMessage{"data": w.object(nil, "api", "1.0", "applications", env.ID, app.ID)})
		if err != nil {
			w.t.Fatal(err)
		}
		w.write(wrapped, folder, "applications", fileName(app.ID)+".json")
		// MG-47: the set is there under the application's id, also when it is empty.
		w.write(w.object(nil, "api", "1.0", "api-mapper-sets", env.ID, app.ID), folder, "api-mapper-sets", fileName(app.ID)+".json")
		type policy struct{ ID, Name, State, AccessType string }
		for _, p := range items[policy](w, w.limit, url.Values{"filter[appId]": {app.ID}}, "policy-mgmt", "1.0", "policies", env.ID) {
			if seen[p.ID] {
				continue
			}
			seen[p.ID] = true
			if p.State == "Inactive" {
				inactive = append(inactive, p.ID)
			}
			text := w.get(rego, url.Values{"filter[authWsId]": {app.AuthWsID}, "filter[id]": {p.ID}}, "api", "2.0", "policies", env.ID)
			w.file(text, folder, "policies", fileName(p.ID)+".rego")
		}
	}
	if len(inactive) > 0 {
		text, err := json.Marshal(inactive)
		if err != nil {
			w.t.Fatal(err)
		}
		w.write(text, dir, "environment", "policy-states.json")
	}
}

// identities writes an identity workspace. The tool knows its uuid only, which stands for the template's id in reads.
func (w *walker) identities(env, ws named, dir string) {
	template := []string{"api", "1.0", "identity-templates", env.ID, ws.ID}
	text := w.object(nil, template...)
	var id struct{ TemplateID string }
	if err := json.Unmarshal(text, &id); err != nil || id.TemplateID == "" {
		w.t.Fatalf("%s: %v", text, err)
	}
	w.write(text, dir, "identity-templates", fileName(id.TemplateID)+".json")
	w.write(w.object(url.Values{"includeUnimportableSources": {"True"}}, append(template, "identity-sources")...), dir, "identity-sources", fileName(id.TemplateID)+".json")
	for _, set := range items[struct{ MapperSetID string }](w, w.limit, url.Values{}, append(template, "mapper-sets")...) {
		w.write(w.object(nil, append(template, "mapper-sets", set.MapperSetID)...), dir, "mapper-sets", fileName(set.MapperSetID)+".json")
	}
}

// groups writes the PAA groups where an import passes them by. Their lists are read at once with a limit that is lowered
// (MG-8, MG-51).
func (w *walker) groups(env named, dir string) {
	for _, g := range items[json.RawMessage](w, 10_000, url.Values{"detailed": {"True"}}, "api", "1.0", "paa-groups", env.ID) {
		var id struct{ ID string }
		if err := json.Unmarshal(g, &id); err != nil {
			w.t.Fatal(err)
		}
		folder := filepath.Join(dir, "metadata", "paa-groups", fileName(id.ID))
		w.write(g, folder, "group.json")
		for _, s := range items[struct{ SourceID string }](w, 10_000, url.Values{}, "api", "1.0", "paa-groups", env.ID, id.ID, "sources") {
			w.write(w.object(nil, "api", "1.0", "paa-groups", env.ID, id.ID, "sources", s.SourceID), folder, fileName(s.SourceID)+".json")
		}
		w.write(w.object(nil, "api", "1.0", "paa-groups", env.ID, id.ID, "views"), folder, "views.json")
	}
}

// write indents JSON as exports are (section 21.3).
func (w *walker) write(text json.RawMessage, path ...string) {
	w.t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, text, "", "  "); err != nil {
		w.t.Fatal(err)
	}
	w.file(b.Bytes(), path...)
}

func (w *walker) file(text []byte, path ...string) {
	w.t.Helper()
	name := filepath.Join(path...)
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		w.t.Fatal(err)
	}
	if _, err := os.Stat(name); err == nil {
		w.t.Fatalf("%s is written twice", name)
	}
	if err := os.WriteFile(name, text, 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// fileName replaces what a file name cannot have (section 21.1).
func fileName(name string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(`/\:*?"<>|`, r) || r < ' ' {
			return '_'
		}
		return r
	}, name)
}
