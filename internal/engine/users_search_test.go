package engine

import (
	"fmt"
	"testing"

	"github.com/ambit-authz/ambit/internal/engine/index"
	"github.com/ambit-authz/ambit/internal/model"
)

// TestSamePeopleAreOneSet: lines that find the same people find one set, so that what is searched among them is searched once;
// a set of nobody is not the nil set, which stands for everybody.
func TestSamePeopleAreOneSet(t *testing.T) {
	s, err := New(Configuration{Enabled: true, IdentityTemplates: []model.IdentityTemplate{
		{ID: "I", Attributes: []model.IdentityAttribute{{ID: "even", Type: model.String}, {ID: "half", Type: model.String}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	s, err = s.Next(Delta{Identities: map[model.TemplateID]Records[model.Identity]{"I": {Put: func(yield func(model.Identity, error) bool) {
		for i := range 100 {
			id := fmt.Sprint(i)
			if !yield(model.Identity{EntityID: id, Attributes: model.Attributes{"even": {fmt.Sprint(i%2 == 0)}, "half": {fmt.Sprint((i + 1) % 2)}}}, nil) {
				return
			}
		}
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	u := newUserSearch(&UserQuestion{}, s.identities["I"])
	those := func(id model.AttributeID, value string) *index.Set {
		return u.those([]index.Predicate{{Column: u.of.columns[id], Op: index.Equal, Operands: []string{value}}}, nil)
	}
	even, half, odd := those("even", "true"), those("half", "1"), those("even", "false")
	if even != half || even == odd || even.Len() != 50 || odd.Len() != 50 || odd.Contains(0) {
		t.Errorf("%d even ones, %d of the half, %d odd ones", even.Len(), half.Len(), odd.Len())
	}
	for _, value := range []string{"none", "nobody"} {
		if nobody := those("even", value); nobody == nil || nobody.Len() != 0 {
			t.Errorf("%s: %d", value, nobody.Len())
		}
	}
}
