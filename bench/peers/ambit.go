package peers

import (
	"strconv"

	"github.com/ambit-authz/ambit/bench/workload"
	"github.com/ambit-authz/ambit/internal/engine"
)

// Ambit is the engine itself, in process.
type Ambit struct {
	Snapshot *engine.Snapshot
	question engine.Question
}

// NewAmbit compiles and loads a world.
func NewAmbit(w *workload.World) (*Ambit, error) {
	s, err := w.Snapshot()
	return &Ambit{Snapshot: s, question: w.Question()}, err
}

// Select asks for the full list.
func (a *Ambit) Select() (*engine.Access, error) {
	r, err := a.Snapshot.Bind(a.question)
	if err != nil {
		return nil, err
	}
	return r.Select(engine.Selection{})
}

// AppendJSON appends the answer of runtime-api.md 8.5 in the way of the product's own writer. full is called whenever
// the buffer holds more than 60 KiB and gives the buffer to go on with.
func (a *Ambit) AppendJSON(buf []byte, full func([]byte) []byte) ([]byte, error) {
	access, err := a.Select()
	if err != nil {
		return buf, err
	}
	buf = append(buf, `{"tokenValidity":0,"response":[`...)
	if access.Len() > 0 {
		buf = append(buf, `{"access":[`...)
		sets := make([][]byte, len(access.ActionSets()))
		for i, set := range access.ActionSets() {
			sets[i] = actionList(set)
		}
		first := true
		for e := range access.Entries() {
			if !first {
				buf = append(buf, ',')
			}
			first = false
			buf = e.Append(buf, nil)
			buf = append(buf, sets[e.Actions]...)
			buf = append(buf, '}')
			if len(buf) > 60<<10 {
				buf = full(buf)
			}
		}
		buf = append(buf, `]}`...)
	}
	return append(buf, `],"contextData":null}`...), nil
}

func actionList(set engine.ActionSet) []byte {
	b := []byte{'['}
	for i, g := range set {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"action":`...)
		b = strconv.AppendQuote(b, g.Action.Value)
		b = append(b, '}')
	}
	return append(b, ']')
}

// Answer collects the list.
func (a *Ambit) Answer(w *workload.World) (Answer, error) {
	access, err := a.Select()
	if err != nil {
		return nil, err
	}
	types := map[string]int{}
	for t := range w.Types {
		types[w.TypeID(t)] = t
	}
	var out Answer
	for e := range access.Entries() {
		g := Grant{Type: types[string(e.Template())], Path: e.Path()}
		for _, granted := range access.ActionSets()[e.Actions] {
			g.Actions |= bit(granted.Action.Value)
		}
		out = append(out, g)
	}
	out.Sort()
	return out, nil
}
