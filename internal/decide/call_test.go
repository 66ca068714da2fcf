package decide

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
	"github.com/ambit-authz/ambit/internal/token"
)

// FuzzCallPath: no path panics; element 0 is the full path, which begins with / and, when one was sent, has neither query
// nor fragment; segments of a path that mappers see are never empty or dots, and make the full path again (RT-104, RT-106).
func FuzzCallPath(f *testing.F) {
	for _, seed := range []string{"/a/b", "/a/b\na\nb", "/a/b\n\na\nb", "a\nb", "/", "//", "/a//b", "/a/../b", "/a/%2e%2E", "/a%2f..%2fb", "/a?b#c", "a\nb/c?d", "/%zz/%", "\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		sent := strings.Split(text, "\n")
		p := ReadCallPath(slices.Clone(sent))
		if whole, ok := p.element(0, true); !strings.HasPrefix(p.full, "/") || strings.ContainsAny(p.full, "?#") || !ok || whole != unescaped(p.full) {
			t.Fatalf("%q: full path %q", sent, p.full)
		}
		if _, ok := p.element(len(p.elements), false); ok {
			t.Fatalf("%q: an element beyond the end", sent)
		}
		segments, ok := p.segments()
		if !ok {
			return
		}
		var again strings.Builder
		for _, s := range segments {
			if s == "" || s == "." || s == ".." || strings.Contains(s, "/../") {
				t.Fatalf("%q: segment %q", sent, s)
			}
			again.WriteString("/" + url.PathEscape(s))
		}
		next := ReadCallPath([]string{again.String() + "/"})
		if same, ok := next.segments(); !ok || !slices.Equal(same, segments) {
			t.Fatalf("%q: segments %q, again %q", sent, segments, same)
		}
	})
}

// FuzzCallBody: no body and no path into it panics; one pass finds for many paths what it finds for each alone; a text is
// read as the JSON that it is, and what is neither absent nor JSON is never taken for an empty body (RT-108, RT-113).
func FuzzCallBody(f *testing.F) {
	for _, seed := range []string{`{"a":[1,{"b":"x"},[2,null]],"c":true}`, `[[1],[2]]`, `"x"`, `"{\"a\":1}"`, `"{\"a\":1,\"a\":2}"`, `""`, `" "`, `1.50`, `"[1"`} {
		for _, path := range []string{"$", "a", "$.a[*]", "a[1].b", "[0][*]", "['c']"} {
			f.Add([]byte(seed), path)
		}
	}
	others := []string{"$", "$.a", "$.a[*]", "$.a[1].b", "[*]", "[0]", "[*][*]"}
	f.Fuzz(func(t *testing.T, body []byte, path string) {
		if !isValue(body) {
			return
		}
		var alone, together bodyPaths
		if _, err := alone.add(path); err != nil {
			return
		}
		for _, p := range others {
			if _, err := together.add(p); err != nil {
				t.Fatal(err)
			}
		}
		slot, err := together.add(path)
		if err != nil {
			t.Fatal(err)
		}
		one, ok, err := alone.read(body)
		many, okMany, errMany := together.read(body)
		if ok != okMany || (err == nil) != (errMany == nil) {
			t.Fatalf("%s at %s: %v %v, with others %v %v", body, path, ok, err, okMany, errMany)
		}
		if !ok {
			if body[0] != '"' {
				t.Fatalf("%s cannot be read: %v", body, err)
			}
			return
		}
		if d := cmp.Diff(one[0], many[slot]); d != "" {
			t.Fatalf("%s at %s: %s", body, path, d)
		}
	})
}

// isValue reports whether a request could carry the body.
func isValue(body []byte) bool {
	return jsontext.Value(body).IsValid() && len(bytes.TrimSpace(body)) == len(body) && string(body) != "null"
}

// randomSet draws a set of mappers whose patterns overlap.
func randomSet(t *rapid.T, app model.ApplicationID) model.APIMapperSet {
	out := model.APIMapperSet{ID: app, WorkspaceID: "a"}
	if rapid.IntRange(0, 9).Draw(t, "has application") > 0 {
		out.ApplicationIDs = []model.ApplicationID{app}
	}
	for i := range rapid.IntRange(0, 6).Draw(t, "mappers") {
		m := model.APIMapper{
			ID: model.MapperID(fmt.Sprint(i)), DisplayName: "m", IsActive: rapid.IntRange(0, 9).Draw(t, "active") > 0,
			Priority:     rapid.IntRange(0, 2).Draw(t, "priority"),
			RestMethods:  rapid.SampledFrom([][]string{nil, {"GET"}, {"POST", "PUT"}}).Draw(t, "methods"),
			MatchType:    rapid.SampledFrom([]string{model.MatchExact, model.MatchWildcards, model.MatchExpression, "OTHER"}).Draw(t, "type"),
			MatchPattern: "/" + strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "a*", "*", "%61"}), 0, 3).Draw(t, "pattern"), "/"),
		}
		if rapid.IntRange(0, 3).Draw(t, "tail") == 0 && m.MatchType != model.MatchExpression {
			m.MatchPattern = strings.TrimSuffix(m.MatchPattern, "/") + "/**"
		}
		if m.MatchType == model.MatchExpression {
			m.MatchPattern = strings.ReplaceAll(m.MatchPattern, "/*", "/.*")
		}
		out.Mappers = append(out.Mappers, m)
	}
	return out
}

// firstFit is what find promises, without an index: every mapper of every application is tried.
func firstFit(sets []model.APIMapperSet, call *APICall) string {
	segments, ok := call.Path.segments()
	best, found := (*apiMapper)(nil), "none"
	for i := range sets {
		for j := range sets[i].Mappers {
			m := &sets[i].Mappers[j]
			p, kept, err := compilePattern(m)
			if !ok || err != nil || !kept || !m.IsActive || len(sets[i].ApplicationIDs) == 0 || !p.fits(call.Path.full, segments) ||
				len(m.RestMethods) > 0 && !slices.Contains(m.RestMethods, call.Method) {
				continue
			}
			c := &apiMapper{application: sets[i].ID, id: m.ID, priority: m.Priority}
			if best == nil || c.compare(best) < 0 {
				best, found = c, fmt.Sprintf("%s %s", c.application, c.id)
			}
		}
	}
	return found
}

// RT-107: the mapper that the index finds is the one that a look at every mapper finds, whatever is changed, and a
// directory that follows changes finds what one that reads everything finds.
func TestMappersFollow(t *testing.T) {
	db := open(t)
	_, err := db.Update(context.Background(), store.Write{Time: noon}, func(tx *store.Tx) error {
		_, err := tx.Environments.Put(model.Environment{ID: env(1), Name: "e", Enabled: true})
		return err
	})
	check(t, err)
	update(t, db, env(1), fill)
	followed := directory(t, db)
	mappers := func(d *Directory) apiMappers { return d.routes.Load().environments[env(1)].state.Load().mappers }
	apps := []model.ApplicationID{"p", "q", "r"}
	held := map[model.ApplicationID]model.APIMapperSet{}
	asked, hits := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		app := rapid.SampledFrom(apps).Draw(rt, "application")
		set := randomSet(rt, app)
		update(t, db, env(1), func(tx *store.Tx) error {
			if rapid.IntRange(0, 4).Draw(rt, "deleted") == 0 {
				delete(held, app)
				_, err := tx.APIMapperSets.Delete(app)
				return err
			}
			held[app] = set
			a := model.RequestAttribute{ID: "x", WorkspaceID: "a", DisplayName: "x"}
			if err := a.Map([]model.RequestMapping{{Source: model.FromQuery, Path: "q", MapperID: model.MapperID(rapid.SampledFrom([]string{"0", "1"}).Draw(rt, "mapper"))}}); err != nil {
				return err
			}
			if _, err := tx.RequestAttributes.Put(a); err != nil {
				return err
			}
			_, err := tx.APIMapperSets.Put(set)
			return err
		})
		check(t, followed.CatchUp(context.Background()))
		whole := directory(t, db)
		var sets []model.APIMapperSet
		for _, s := range held {
			sets = append(sets, s)
		}
		for range 8 {
			path := "/" + strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "ab", "%61"}), 0, 3).Draw(rt, "path"), "/")
			call := &APICall{Method: rapid.SampledFrom([]string{"GET", "PUT"}).Draw(rt, "method"), Path: ReadCallPath([]string{path})}
			want := firstFit(sets, call)
			for _, d := range []*Directory{followed, whole} {
				got, request := "none", 0
				asked++
				if m := mappers(d).find(apps, call); m != nil {
					got, request = fmt.Sprintf("%s %s", m.application, m.id), len(m.request)
					hits++
				}
				if got != want {
					rt.Fatalf("%s %s: %s, want %s", call.Method, path, got, want)
				}
				if other := mappers(whole).find(apps, call); other != nil && len(other.request) != request {
					rt.Fatalf("%s %s: %d request attributes, want %d", call.Method, path, request, len(other.request))
				}
			}
		}
	})
	if hits*20 < asked {
		t.Errorf("%d hits among %d: the comparison says little", hits, asked)
	}
}

// A set that did not change is not compiled again.
func TestMappersAreCompiledOnce(t *testing.T) {
	old := apiMappers{"p": {}, "q": {}}
	next := old.with(apiMappers{"q": {workspace: "w"}, "r": nil})
	if next["p"] != old["p"] || next["q"] == old["q"] || len(next) != 2 || len(old) != 2 {
		t.Errorf("%v", next)
	}
}

// BenchmarkFindMapper: a hundred applications of a hundred mappers each.
func BenchmarkFindMapper(b *testing.B) {
	sets, apps := apiMappers{}, []model.ApplicationID{}
	for i := range 100 {
		set := model.APIMapperSet{ID: model.ApplicationID(fmt.Sprint(i)), WorkspaceID: "a"}
		for j := range 100 {
			set.Mappers = append(set.Mappers, model.APIMapper{
				ID: model.MapperID(fmt.Sprint(j)), IsActive: true, MatchType: model.MatchWildcards, MatchPattern: fmt.Sprintf("/app-%d/type-%d/*", i, j),
			})
		}
		apps = append(apps, set.ID)
		sets[set.ID] = compileMappers(&set, nil, func(id model.MapperID, err error) { b.Fatal(id, err) })
	}
	call := &APICall{Method: "GET", Path: ReadCallPath([]string{"/app-99/type-99/x"})}
	for b.Loop() {
		if sets.find(apps, call) == nil {
			b.Fatal("no mapper")
		}
	}
}

// What a request says of an asset is looked for by the attributes of its type: a thousand evaluations may share very many
// names. The name for requests counts before the id.
func TestSentAttributes(t *testing.T) {
	of := func(id, name string) model.AssetAttribute {
		return model.AssetAttribute{ID: model.AttributeID(id), NameForRequest: name}
	}
	typ := &model.AssetTemplate{Attributes: []model.AssetAttribute{of("a", "x"), of("b", ""), of("x", "y"), of("path", "p")}}
	sent := map[string][]string{"a": {"1"}, "x": {"2"}, "b": {"3"}, "path": {"4"}, "p": {"5"}, "": {"6"}}
	want := model.Attributes{"a": {"2"}, "b": {"3"}}
	for i := range 50_000 {
		sent[fmt.Sprintf("unknown %d", i)] = nil
	}
	if diff := cmp.Diff(want, sentAttributes(typ, sent)); diff != "" {
		t.Error(diff)
	}
	if n := testing.AllocsPerRun(10, func() { sentAttributes(typ, sent) }); n > 10 {
		t.Errorf("%v allocations", n)
	}
	delete(sent, "x")
	if diff := cmp.Diff(model.Attributes{"a": {"1"}, "b": {"3"}}, sentAttributes(typ, sent)); diff != "" {
		t.Error(diff)
	}
}

// deadlines is a verifier that notes until when each token may wait for its keys.
type deadlines struct {
	Tokens
	seen []time.Time
}

func (d *deadlines) Verify(ctx context.Context, _ string, _ *model.JWTSettings) (map[string]any, token.VerifiedBy, error) {
	at, _ := ctx.Deadline()
	d.seen = append(d.seen, at)
	return nil, token.VerifiedBy{}, nil
}

// All tokens of a call together wait no longer for key sets than one: a call may hold room that others wait for.
func TestKeyWait(t *testing.T) {
	d := &deadlines{}
	c := &Call{service: &Service{options: Options{Tokens: d}}}
	for range 3 {
		if _, err := c.verify(t.Context(), "a.b.c", nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
	if wait := time.Until(d.seen[0]); wait <= 0 || wait > maxKeyWait || d.seen[1] != d.seen[0] || d.seen[2] != d.seen[0] {
		t.Errorf("%v", d.seen)
	}
}
