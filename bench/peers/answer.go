// Package peers answers the question of a workload with other engines: a plain Go loop over structs, OPA, cedar-go and
// casbin. Each is given its own best form of the same policies and data, and each returns the same Answer, so that no
// time is reported for a wrong one.
//
// Start at Answer, then plain.go, which is also the reference. The package must never use Ambit's engine to answer.
package peers

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"github.com/ambit-authz/ambit/bench/workload"
)

// Grant is one asset of an answer. Bit i of Actions is action i of workload.Actions.
type Grant struct {
	Type    int
	Path    string
	Actions uint8
}

// Answer is a full list. Sort brings it into an order in which equal answers are equal slices.
type Answer []Grant

// Sort orders by type and path.
func (a Answer) Sort() {
	slices.SortFunc(a, func(x, y Grant) int {
		if x.Type != y.Type {
			return x.Type - y.Type
		}
		return strings.Compare(x.Path, y.Path)
	})
}

// Pairs counts the pairs of asset and action.
func (a Answer) Pairs() int {
	n := 0
	for _, g := range a {
		n += bits.OnesCount8(g.Actions)
	}
	return n
}

// Differs says where two sorted answers differ, "" when they do not.
func (a Answer) Differs(b Answer) string {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("entry %d is %+v in one and %+v in the other", i, a[i], b[i])
		}
	}
	if len(a) != len(b) {
		return fmt.Sprintf("%d entries against %d", len(a), len(b))
	}
	return ""
}

// bit is the place of an action in Grant.Actions.
func bit(action string) uint8 { return 1 << slices.Index(workload.Actions(), action) }

func bitsOf(actions []string) uint8 {
	if actions == nil {
		return 1<<len(workload.Actions()) - 1
	}
	var b uint8
	for _, a := range actions {
		b |= bit(a)
	}
	return b
}
