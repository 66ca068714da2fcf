// Package workload makes the catalogues, policies and users that Ambit and its peers are measured with. Everything is
// drawn from a seed, nothing is downloaded, and one neutral form (World) is what every engine's own form is derived
// from, so that all of them answer the same question.
//
// Start at World, then W1 to W4. Assets are drawn one by one from the seed and their number, so a world of ten million
// assets costs no memory until somebody keeps them.
//
// A world never changes after it is made and may be read from many goroutines. The package must never measure anything.
package workload

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"

	"github.com/ambit-authz/ambit/internal/model"
)

// Attributes of assets and of users. Level, Amount and Clearance are numbers; Tags and Projects have several values.
const (
	Region = "region"
	Owner  = "owner"
	Code   = "code"
	Level  = "level"
	Amount = "amount"
	Tags   = "tags"

	Department = "department"
	Team       = "team"
	Projects   = "projects"
	Clearance  = "clearance"
	Area       = "area" // begins the codes of a user's own things
)

// IsNumeric reports whether an attribute's values are compared as numbers.
func IsNumeric(attribute string) bool {
	return attribute == Level || attribute == Amount || attribute == Clearance
}

// Actions are those of every asset type.
func Actions() []string { return []string{"View", "Comment", "Edit", "Export", "Approve"} }

// AssetAttributes are the six attributes of every asset type.
func AssetAttributes() []string { return []string{Region, Owner, Code, Level, Amount, Tags} }

// UserAttributes are the attributes of users.
func UserAttributes() []string { return []string{Department, Team, Projects, Clearance, Area} }

// Asset is one asset of a type.
type Asset struct {
	Path   string
	Region string
	Owner  string
	Code   string
	Level  int
	Amount int
	Tags   []string
}

// Values are the asset's values of an attribute as texts.
func (a *Asset) Values(attribute string) []string {
	switch attribute {
	case Region:
		return []string{a.Region}
	case Owner:
		return []string{a.Owner}
	case Code:
		return []string{a.Code}
	case Level:
		return []string{strconv.Itoa(a.Level)}
	case Amount:
		return []string{strconv.Itoa(a.Amount)}
	case Tags:
		return a.Tags
	}
	return nil
}

// Bytes is the size of the asset's path and values, without any structure around them.
func (a *Asset) Bytes() int {
	n := len(a.Path)
	for _, name := range AssetAttributes() {
		for _, v := range a.Values(name) {
			n += len(v)
		}
	}
	return n
}

// Rule compares an attribute with literals or, when Of is not empty, with the values of a user attribute.
type Rule struct {
	Attribute string
	Op        model.Operator
	Values    []string
	Of        string
}

// Branch is a list of rules that all must hold.
type Branch []Rule

// Condition says when a policy applies. A network that is not valid and dates that are zero say nothing.
type Condition struct {
	Network     netip.Prefix
	From, Until model.Date
}

// Policy allows or restricts the users of Who (any branch) on the assets of What (any branch).
type Policy struct {
	ID       string
	Type     int
	Restrict bool
	Who      []Branch
	What     []Branch
	Actions  []string // nil = all
	When     *Condition
}

// User is who asks, and from where.
type User struct {
	ID         string
	Attributes map[string][]string
	Source     netip.Addr
	Day        model.Date // of the question; the conditions hold or fail on every day since 2021
}

// Shape says which rules the policies have.
type Shape int

const (
	Broad  Shape = iota // a third of a type belongs to the answer
	Narrow              // only assets of the user's own team, projects and area do
)

// Parameters of a world. Policies come in tens: one of each kind of rule for every group of every type.
type Parameters struct {
	Name     string
	Seed     uint64
	Types    int
	PerType  int // assets of each type
	Groups   int // of policies a type; the user is in the first ones
	Shape    Shape
	Own      int // Narrow: assets of each type that belong to the user's team, projects or area
	Answered int // types in which the user is in a group; 0 = all
	Member   int // groups that the user is in; 0 = one
	People   int // identities beside the user; one of two hundred may do what the user may
}

// World is a workload.
type World struct {
	Parameters
	Policies []Policy
	User     User
}

// W1 is the workload of the peers' table: 10,000 assets, 50 policies.
func W1() *World {
	return New(Parameters{Name: "W1", Seed: 1, Types: 1, PerType: 10_000, Groups: 5, Shape: Broad})
}

// W2 is a session start in a large company: 10 types, 1,000 policies, about 500 assets answered out of assets
// (1,000,000 in the full size).
func W2(assets int) *World {
	return New(Parameters{Name: "W2", Seed: 2, Types: 10, PerType: assets / 10, Groups: 10, Shape: Narrow, Own: 58})
}

// W3 is the catalogue of W2 with a huge answer: about a tenth of the assets.
func W3(assets int) *World {
	return New(Parameters{Name: "W3", Seed: 3, Types: 10, PerType: assets / 10, Groups: 10, Shape: Broad, Answered: 3})
}

// W4 has 200 policies and an answer of about 500 assets, whatever the number of assets.
func W4(assets int) *World {
	return New(Parameters{Name: "W4/" + strconv.Itoa(assets), Seed: 4, Types: 1, PerType: assets, Groups: 20, Shape: Narrow, Own: 595})
}

// W5 has 100,000 assets and a number of policies of which about 50 are the user's, whatever the number of policies.
func W5(policies int) *World {
	return New(Parameters{
		Name: "W5/" + strconv.Itoa(policies), Seed: 5, Types: 1, PerType: 100_000, Groups: policies / 10, Shape: Narrow,
		Own: 700, Member: 5,
	})
}

// W7 is W2 with many identities: who may use one asset?
func W7(assets, people int) *World {
	return New(Parameters{Name: "W7", Seed: 2, Types: 10, PerType: assets / 10, Groups: 10, Shape: Narrow, Own: 58, People: people})
}

// Users yields the user and then everybody else, in the order of the directory. Others are of other departments, teams and
// areas.
func (w *World) Users() iter.Seq[User] {
	return func(yield func(User) bool) {
		if !yield(w.User) {
			return
		}
		for i := 1; i <= w.People; i++ {
			u := w.User
			u.ID = fmt.Sprintf("user-%d", i)
			if i%200 != 0 {
				u.Attributes = map[string][]string{
					Department: {department(i % 200)}, Team: {fmt.Sprintf("team-%05d", i%w.teams())}, Projects: {fmt.Sprintf("project-%05d", i%w.teams())},
					Clearance: {strconv.Itoa(1 + i%2)}, Area: {"YY"},
				}
			}
			if !yield(u) {
				return
			}
		}
	}
}

// New makes a world.
func New(p Parameters) *World {
	if p.Answered == 0 {
		p.Answered = p.Types
	}
	departments := make([]string, max(1, p.Member))
	for i := range departments {
		departments[i] = department(i)
	}
	w := &World{Parameters: p, User: User{
		ID: "user-0",
		Attributes: map[string][]string{
			Department: departments, Team: {"team-own"}, Projects: {"project-own", "project-next"}, Clearance: {"3"}, Area: {"ZZ"},
		},
		Source: netip.MustParseAddr("10.1.2.3"),
		Day:    model.Date{Year: 2026, Month: 6, Day: 15},
	}}
	for t := range p.Types {
		for g := range p.Groups {
			w.Policies = append(w.Policies, w.group(t, g)...)
		}
	}
	return w
}

// TypeID is the id of a type.
func (w *World) TypeID(t int) string { return fmt.Sprintf("type-%02d", t) }

// Assets yields the assets of a type, the same ones in the same order each time.
func (w *World) Assets(t int) iter.Seq[Asset] {
	return func(yield func(Asset) bool) {
		for i := range w.PerType {
			if !yield(w.Asset(t, i)) {
				return
			}
		}
	}
}

// Asset draws one asset. In narrow worlds every step-th asset is one of the user's own; what it is like depends on its
// place among them and not on the size of the catalogue.
func (w *World) Asset(t, i int) Asset {
	number := uint64(t)<<40 | uint64(i)
	step := 0
	if w.Shape == Narrow {
		step = w.PerType / w.Own
	}
	own := step > 0 && i%step == 0 && i/step < w.Own
	if own {
		number = 1<<60 | uint64(t)<<40 | uint64(i/step)
	}
	r := rand.New(rand.NewPCG(w.Seed, number))
	a := Asset{
		Path:   fmt.Sprintf("doc-%02d-%08d", t, i),
		Region: region(r.IntN(regions)),
		Owner:  fmt.Sprintf("team-%05d", r.IntN(w.teams())),
		Code:   fmt.Sprintf("%c%c-%04d", 'A'+r.IntN(20), 'A'+r.IntN(10), r.IntN(10_000)),
		Level:  1 + r.IntN(5),
		Amount: r.IntN(100_000),
	}
	for range 1 + r.IntN(3) {
		if tag := fmt.Sprintf("tag-%02d", r.IntN(50)); !slices.Contains(a.Tags, tag) {
			a.Tags = append(a.Tags, tag)
		}
	}
	switch {
	case !own:
		if r.IntN(4) == 0 {
			a.Tags = append(a.Tags, fmt.Sprintf("project-%05d", r.IntN(w.teams())))
		}
	case i/step%3 == 0:
		a.Owner = "team-own"
	case i/step%3 == 1:
		a.Tags = append(a.Tags, "project-own")
	default:
		a.Code = "ZZ" + a.Code[2:]
	}
	if w.Shape == Broad && r.IntN(40) == 0 {
		a.Owner = "team-own"
	}
	return a
}

const regions = 20

// teams grows with the catalogue: a team has about 250 assets.
func (w *World) teams() int { return max(40, w.PerType/250) }

func region(n int) string     { return fmt.Sprintf("region-%02d", n%regions) }
func department(n int) string { return fmt.Sprintf("department-%05d", n) }
