package peers

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/ambit-authz/ambit/bench/workload"
	"github.com/ambit-authz/ambit/internal/model"
)

// Plain is the loop that a good programmer writes without any engine: all assets in a slice of structs, the policies as
// functions over them.
type Plain struct {
	types    []plainType
	user     *workload.User
	policies []plainPolicy
}

type plainType struct {
	id     string
	assets []workload.Asset
}

type plainPolicy struct {
	*workload.Policy
	actions uint8
}

// test judges one asset.
type test func(*workload.Asset) bool

// NewPlain keeps all assets of a world in memory.
func NewPlain(w *workload.World) *Plain {
	p := &Plain{user: &w.User}
	for t := range w.Types {
		p.types = append(p.types, plainType{w.TypeID(t), slices.AppendSeq(make([]workload.Asset, 0, w.PerType), w.Assets(t))})
	}
	for i := range w.Policies {
		p.policies = append(p.policies, plainPolicy{&w.Policies[i], bitsOf(w.Policies[i].Actions)})
	}
	return p
}

// NewExpected keeps only the assets of the answer: the same answer as NewPlain's, for worlds whose assets are too many to
// be kept.
func NewExpected(w *workload.World) *Plain {
	p := &Plain{user: &w.User}
	for i := range w.Policies {
		p.policies = append(p.policies, plainPolicy{&w.Policies[i], bitsOf(w.Policies[i].Actions)})
	}
	for t := range w.Types {
		kept := plainType{id: w.TypeID(t)}
		policies := p.bind(t)
		for a := range w.Assets(t) {
			if judge(policies, &a) != 0 {
				kept.assets = append(kept.assets, a)
			}
		}
		p.types = append(p.types, kept)
	}
	return p
}

// bound is a policy that applies to the user, with the user's values filled in.
type bound struct {
	restrict bool
	actions  uint8
	any      [][]test
}

// List calls yield for every asset that the user may use.
func (p *Plain) List(yield func(typeID string, a *workload.Asset, actions uint8)) {
	for t := range p.types {
		policies := p.bind(t)
		if len(policies) == 0 {
			continue
		}
		for i := range p.types[t].assets {
			a := &p.types[t].assets[i]
			if actions := judge(policies, a); actions != 0 {
				yield(p.types[t].id, a, actions)
			}
		}
	}
}

func judge(policies []bound, a *workload.Asset) uint8 {
	var allowed, restricted uint8
	for i := range policies {
		b := &policies[i]
		if b.restrict && allowed == 0 || !b.holds(a) {
			continue
		}
		if b.restrict {
			restricted |= b.actions
		} else {
			allowed |= b.actions
		}
	}
	return allowed &^ restricted
}

func (b *bound) holds(a *workload.Asset) bool {
	for _, branch := range b.any {
		ok := true
		for _, t := range branch {
			if !t(a) {
				ok = false
				break
			}
		}
		if ok {
			return true
		}
	}
	return false
}

// bind keeps the policies on a type that apply to the user, those that allow first.
func (p *Plain) bind(t int) []bound {
	var allows, restricts []bound
	for _, pol := range p.policies {
		if pol.Type != t || !member(pol.Who, p.user) || !met(pol.When, p.user) {
			continue
		}
		b := bound{restrict: pol.Restrict, actions: pol.actions}
		for _, branch := range pol.What {
			var tests []test
			for _, r := range branch {
				tests = append(tests, compile(r, p.user))
			}
			b.any = append(b.any, tests)
		}
		if b.restrict {
			restricts = append(restricts, b)
		} else {
			allows = append(allows, b)
		}
	}
	return append(allows, restricts...)
}

func met(c *workload.Condition, u *workload.User) bool {
	switch {
	case c == nil:
		return true
	case c.Network.IsValid():
		return c.Network.Contains(u.Source)
	case !c.From.IsZero() && u.Day.Compare(c.From) < 0:
		return false
	}
	return c.Until.IsZero() || u.Day.Compare(c.Until) <= 0
}

func member(who []workload.Branch, u *workload.User) bool {
	return slices.ContainsFunc(who, func(b workload.Branch) bool {
		return !slices.ContainsFunc(b, func(r workload.Rule) bool {
			vs := u.Attributes[r.Attribute]
			if workload.IsNumeric(r.Attribute) {
				return !slices.ContainsFunc(vs, func(v string) bool { return numberTest(r.Op, numbers(r.Values))(number(v)) })
			}
			return !slices.ContainsFunc(vs, textTest(r.Op, r.Values))
		})
	})
}

// compile makes the test of a rule for a user. Every asset has a value of every attribute, so that "no value" needs no
// care here.
func compile(r workload.Rule, u *workload.User) test {
	values := r.Values
	if r.Of != "" {
		values = u.Attributes[r.Of]
	}
	if workload.IsNumeric(r.Attribute) {
		holds := numberTest(r.Op, numbers(values))
		if r.Attribute == workload.Level {
			return func(a *workload.Asset) bool { return holds(a.Level) }
		}
		return func(a *workload.Asset) bool { return holds(a.Amount) }
	}
	holds := textTest(r.Op, values)
	switch r.Attribute {
	case workload.Region:
		return func(a *workload.Asset) bool { return holds(a.Region) }
	case workload.Owner:
		return func(a *workload.Asset) bool { return holds(a.Owner) }
	case workload.Code:
		return func(a *workload.Asset) bool { return holds(a.Code) }
	}
	if r.Op == model.OpNotEqual || r.Op == model.OpNotIn {
		return func(a *workload.Asset) bool {
			return !slices.ContainsFunc(a.Tags, func(t string) bool { return !holds(t) })
		}
	}
	return func(a *workload.Asset) bool { return slices.ContainsFunc(a.Tags, holds) }
}

func textTest(op model.Operator, values []string) func(string) bool {
	switch {
	case op == model.OpStartsWith:
		prefix := values[0]
		return func(v string) bool { return strings.HasPrefix(v, prefix) }
	case op.IsNegative():
		return func(v string) bool { return !slices.Contains(values, v) }
	case len(values) == 1:
		only := values[0]
		return func(v string) bool { return v == only }
	}
	return func(v string) bool { return slices.Contains(values, v) }
}

func numberTest(op model.Operator, values []int) func(int) bool {
	n := values[0]
	switch op {
	case model.OpLess:
		return func(v int) bool { return v < n }
	case model.OpLessEqual:
		return func(v int) bool { return v <= n }
	case model.OpGreater:
		return func(v int) bool { return v > n }
	case model.OpGreaterEqual:
		return func(v int) bool { return v >= n }
	case model.OpNotEqual, model.OpNotIn:
		return func(v int) bool { return !slices.Contains(values, v) }
	}
	return func(v int) bool { return slices.Contains(values, v) }
}

func numbers(texts []string) []int {
	out := make([]int, len(texts))
	for i, t := range texts {
		out[i] = number(t)
	}
	return out
}

// number reads a number that this module has written.
func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		panic(err)
	}
	return n
}

// Answer collects the list.
func (p *Plain) Answer() Answer {
	var out Answer
	t := map[string]int{}
	for i := range p.types {
		t[p.types[i].id] = i
	}
	p.List(func(id string, a *workload.Asset, actions uint8) { out = append(out, Grant{t[id], a.Path, actions}) })
	out.Sort()
	return out
}

// Actions are what a user may do with an asset of a type, in the order of workload.Actions.
func Actions(w *workload.World, u *workload.User, t int, a *workload.Asset) (names []string) {
	p := &Plain{user: u}
	for i := range w.Policies {
		if w.Policies[i].Type == t {
			p.policies = append(p.policies, plainPolicy{&w.Policies[i], bitsOf(w.Policies[i].Actions)})
		}
	}
	granted := judge(p.bind(t), a)
	for i, name := range workload.Actions() {
		if granted&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// Types of the JSON answer of runtime-api.md 8.5, as encoding/json writes them.
type (
	document struct {
		TokenValidity int       `json:"tokenValidity"`
		Response      []element `json:"response"`
		ContextData   *struct{} `json:"contextData"`
	}
	element struct {
		Access []entry `json:"access"`
	}
	entry struct {
		Path         string     `json:"path"`
		Attributes   attributes `json:"attributes"`
		ResourceType string     `json:"resourceType"`
		Actions      []action   `json:"actions"`
	}
	attributes struct {
		Region []string `json:"region"`
		Owner  []string `json:"owner"`
		Code   []string `json:"code"`
		Level  []string `json:"level"`
		Amount []string `json:"amount"`
		Tags   []string `json:"tags"`
		Name   []string `json:"name"`
		Path   []string `json:"path"`
	}
	action struct {
		Action string `json:"action"`
	}
)

// JSON is the list as the wire wants it, made by encoding/json.
func (p *Plain) JSON() ([]byte, error) {
	names := workload.Actions()
	var access []entry
	p.List(func(id string, a *workload.Asset, granted uint8) {
		e := entry{Path: a.Path, ResourceType: id, Attributes: attributes{
			Region: []string{a.Region}, Owner: []string{a.Owner}, Code: []string{a.Code}, Level: []string{strconv.Itoa(a.Level)},
			Amount: []string{strconv.Itoa(a.Amount)}, Tags: a.Tags, Name: []string{a.Path}, Path: []string{a.Path},
		}}
		for i, name := range names {
			if granted&(1<<i) != 0 {
				e.Actions = append(e.Actions, action{name})
			}
		}
		access = append(access, e)
	})
	d := document{Response: []element{}}
	if len(access) > 0 {
		d.Response = append(d.Response, element{access})
	}
	return json.Marshal(d)
}
