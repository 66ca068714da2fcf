package engine

import (
	"maps"
	"slices"

	"github.com/ambit-authz/ambit/internal/model"
)

// who finds the dynamic groups that hold for an identity of one template from the identity's values, not by trying
// every group: a branch with an equality on a literal is entered under its values, and only branches entered under a
// value that the identity has are judged. Branches without such a rule are judged always.
type who struct {
	anchored trie[anchor, []*groupBranch]
	// attributes counts the entries by the attribute (and type of comparison) they are under.
	attributes map[anchorAttribute]int
	rest       []*groupBranch
	edit       *lists[anchor, *groupBranch] // while a draft changes it
}

type anchorAttribute struct {
	attribute model.AttributeID
	numeric   bool
}

type anchor struct {
	anchorAttribute
	value string // a text, or the key of a number
}

// groupBranch is a branch of a group, entered once in a who.
type groupBranch struct {
	group  *block
	branch *branch
}

func newWho() *who {
	w := &who{anchored: newTrie[anchor, []*groupBranch](), attributes: map[anchorAttribute]int{}}
	w.edit = edit(&w.anchored)
	return w
}

// anchors are the entries of a branch: the literals of its equality rule with the fewest of them; none = rest.
func (b *branch) anchors() []anchor {
	var best *predicate
	for i := range b.rules {
		r := &b.rules[i]
		if r.src.RightIsRef() || r.src.Op != model.OpEqual && r.src.Op != model.OpIn {
			continue
		}
		if best == nil || len(r.src.Literals) < len(best.rule.src.Literals) {
			best = &r.fixed
		}
	}
	if best == nil {
		return nil
	}
	values := best.texts
	if best.numeric {
		values = best.keys
	}
	at := anchorAttribute{best.attribute, best.numeric}
	var out []anchor
	for _, v := range slices.Compact(slices.Sorted(slices.Values(values))) {
		out = append(out, anchor{at, v})
	}
	return out
}

// clone is a copy that a draft may change with add and remove until it calls flush.
func (w *who) clone() *who {
	out := &who{anchored: w.anchored, attributes: maps.Clone(w.attributes), rest: slices.Clone(w.rest)}
	out.edit = edit(&out.anchored)
	return out
}

func (w *who) flush() {
	w.edit.flush()
	w.edit = nil
}

func (w *who) add(g *block) {
	for _, b := range g.branches {
		entry := &groupBranch{g, b}
		anchors := b.anchors()
		if len(anchors) == 0 {
			w.rest = append(w.rest, entry)
		}
		for _, a := range anchors {
			w.edit.put(a, append(w.edit.get(a), entry))
			w.attributes[a.anchorAttribute]++
		}
	}
}

func (w *who) remove(g *block) {
	of := func(e *groupBranch) bool { return e.group == g }
	for _, b := range g.branches {
		for _, a := range b.anchors() {
			w.edit.put(a, slices.DeleteFunc(w.edit.get(a), of))
			if w.attributes[a.anchorAttribute]--; w.attributes[a.anchorAttribute] == 0 {
				delete(w.attributes, a.anchorAttribute)
			}
		}
	}
	w.rest = slices.DeleteFunc(w.rest, of)
}

// groups yields every group that holds for a subject, possibly more than once; of those that part lists, unless it is nil.
// Once the question's Done is closed it yields no more.
func (w *who) groups(sub *subject, part []grouped, yield func(*block)) {
	try := func(list []*groupBranch) {
		for _, e := range list {
			if (part == nil || partOf(part, e.group)) && !sub.question.stopped() && sub.holds(e.branch) {
				yield(e.group)
			}
		}
	}
	for at := range w.attributes {
		for _, v := range sub.values(at.attribute) {
			if at.numeric {
				n, ok := model.ParseNumber(v)
				if !ok {
					continue
				}
				v = n.Key()
			}
			if list, ok := w.anchored.get(anchor{at, v}); ok {
				try(list)
			}
		}
	}
	try(w.rest)
}
