package decide

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/model"
)

// awkward are texts that delimiters, lengths and encodings could confuse.
var awkward = []string{"", "a", "ab", "b", "|", ",", ":", "/", `[`, `]`, `"`, `","`, "\x00", "\x00\x00", "\x01", "\x01a", "a|b", "a,b", "é", "aa\x02ab"}

// situated is what AppendKey reads, in a form that can be compared.
type situated struct {
	Environment, Client, Meaning string
	Number                       uint64
	Source                       netip.Addr
	Identities                   []model.Identity
	Templates                    []string
}

func (s *situated) key() string {
	snapshot, err := engine.New(engine.Configuration{})
	if err != nil {
		panic(err)
	}
	a := Asked{
		Environment: model.EnvironmentID(s.Environment), Client: model.ClientID(s.Client), meaning: []byte(s.Meaning), source: s.Source,
		state: &state{snapshot: snapshot, number: s.Number},
	}
	for i, id := range s.Identities {
		a.identities = append(a.identities, Identity{Template: &model.IdentityTemplate{ID: model.TemplateID(s.Templates[i])}, Identity: id})
	}
	return string(a.AppendKey(nil))
}

func drawSituated(rt *rapid.T) situated {
	text := func(label string) string { return rapid.SampledFrom(awkward).Draw(rt, label) }
	attributes := func(label string) model.Attributes {
		out := model.Attributes{}
		for range rapid.IntRange(0, 2).Draw(rt, label) {
			values := []string{}
			for range rapid.IntRange(0, 2).Draw(rt, label) {
				values = append(values, text(label))
			}
			out[model.AttributeID(text(label))] = values
		}
		return out
	}
	s := situated{
		Environment: text("environment"), Client: text("client"), Meaning: text("meaning"),
		Number: rapid.Uint64Range(0, 300).Draw(rt, "number"),
		Source: rapid.SampledFrom([]netip.Addr{{}, netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("::1")}).Draw(rt, "source"),
	}
	for range rapid.IntRange(0, 2).Draw(rt, "identities") {
		id := model.Identity{EntityID: text("id"), Inactive: rapid.Bool().Draw(rt, "inactive"), Attributes: attributes("attributes"), Rows: []model.Attributes{}}
		for range rapid.IntRange(0, 2).Draw(rt, "rows") {
			id.Rows = append(id.Rows, attributes("row"))
		}
		s.Identities, s.Templates = append(s.Identities, id), append(s.Templates, text("template"))
	}
	return s
}

// change makes one part of a situation another one, mostly.
func (s *situated) change(rt *rapid.T) {
	other := drawSituated(rt)
	s.Identities, s.Templates = slices.Clone(s.Identities), slices.Clone(s.Templates)
	if len(s.Identities) > 0 && len(other.Identities) > 0 && rapid.Bool().Draw(rt, "in an identity") {
		id, with := &s.Identities[0], other.Identities[0]
		switch rapid.IntRange(0, 4).Draw(rt, "part of it") {
		case 0:
			id.EntityID = with.EntityID
		case 1:
			id.Inactive = with.Inactive
		case 2:
			id.Attributes = with.Attributes
		case 3:
			id.Rows = with.Rows
		case 4:
			s.Templates[0] = other.Templates[0]
		}
		return
	}
	switch rapid.IntRange(0, 6).Draw(rt, "part") {
	case 0:
		s.Environment = other.Environment
	case 1:
		s.Client = other.Client
	case 2:
		s.Meaning = other.Meaning
	case 3:
		s.Number = other.Number
	case 4:
		s.Source = other.Source
	case 5:
		s.Identities, s.Templates = other.Identities, other.Templates
	case 6:
		s.Environment, s.Client = s.Client, s.Environment
	}
}

// RT-115: situations that differ in anything have different keys, and equal ones the same.
func TestSituationsHaveKeysOfTheirOwn(t *testing.T) {
	same, different := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		for range 50 {
			a := drawSituated(rt)
			b := a
			b.change(rt)
			equal := cmp.Equal(a, b, cmp.Comparer(func(x, y netip.Addr) bool { return x == y }))
			if (a.key() == b.key()) != equal {
				rt.Fatalf("equal: %v\n%q %+v\n%q %+v", equal, a.key(), a, b.key(), b)
			}
			if equal {
				same++
			} else {
				different++
			}
		}
	})
	if same == 0 || different == 0 {
		t.Errorf("%d same, %d different: the test says little", same, different)
	}
}

// RT-115: what a described call stands for is told apart, too.
func TestMeaningsHaveKeysOfTheirOwn(t *testing.T) {
	claim := func(template, path, action string, untold bool, values map[string][]string) ResourceClaim {
		return ResourceClaim{AssetClaim: AssetClaim{Template: model.TemplateID(template), Path: path, Attributes: values}, Action: action, Untold: untold}
	}
	none := map[string][]string{}
	known := map[string]int{}
	for i, r := range []PermitRequest{
		{},
		{Situation: Situation{Environment: map[string][]string{"a": {"b"}}}},
		{Situation: Situation{Environment: map[string][]string{"a": {}, "b": {}}}},
		{Situation: Situation{Environment: map[string][]string{"a": {"", "b"}}}},
		{Resources: []ResourceClaim{claim("a", "b", "", false, none)}},
		{Resources: []ResourceClaim{claim("a", "", "b", false, none)}},
		{Resources: []ResourceClaim{claim("ab", "", "", false, none)}},
		{Resources: []ResourceClaim{claim("", "ab", "", false, none)}},
		{Resources: []ResourceClaim{claim("a", "b", "", true, none)}},
		{Resources: []ResourceClaim{claim("a", "b", "", false, map[string][]string{"x": {"y"}})}},
		{Resources: []ResourceClaim{claim("a", "b", "", false, map[string][]string{"x": {}, "y": {}})}},
		{Resources: []ResourceClaim{claim("a", "b", "", false, none), claim("a", "b", "", false, none)}},
	} {
		key := string(r.meaning())
		if j, ok := known[key]; ok {
			t.Errorf("%d and %d look alike: %q", i, j, key)
		}
		known[key] = i
	}
}
