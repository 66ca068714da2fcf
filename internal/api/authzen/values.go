package authzen

import (
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/api/incoming"
)

// Names of nested members are joined, so that without limits a small body could become any amount of text.
const (
	maxName  = 1024    // bytes of the name of an attribute
	maxNames = 1 << 20 // bytes of the joined names of one object together
)

// pool gathers the values of one object by attribute, each once, by the rules of authzen.md 11.2.
type pool struct {
	values  map[string][]string
	seen    map[string]map[string]struct{} // of long lists
	joined  int                            // bytes of joined names
	tooLong bool
}

// readValues turns a JSON object into sets of texts; ok is false for names that are too long, one or
// all together.
func readValues(object jsontext.Value) (values map[string][]string, ok bool) {
	p := &pool{values: map[string][]string{}, seen: map[string]map[string]struct{}{}}
	p.object("", object)
	return p.values, !p.tooLong
}

func (p *pool) object(prefix string, v jsontext.Value) {
	for name, value := range incoming.Members(v) {
		if prefix != "" {
			p.joined += len(prefix) + len(name)
		}
		if p.tooLong = p.tooLong || len(prefix)+len(name) > maxName || p.joined > maxNames; p.tooLong {
			return
		}
		p.add(prefix+name, value)
	}
}

// add pools a value that is not null.
func (p *pool) add(name string, v jsontext.Value) {
	switch v.Kind() {
	case jsontext.KindBeginObject:
		p.object(name+".", v)
	case jsontext.KindBeginArray:
		objects := false
		for element := range incoming.Elements(v) {
			if objects = objects || element.Kind() == jsontext.KindBeginObject; element.Kind() != jsontext.KindNull {
				p.add(name, element)
			}
		}
		if _, some := p.values[name]; !some && !objects {
			p.values[name] = []string{} // an empty list is a value, too
		}
	default:
		text, _ := incoming.Scalar(v)
		p.one(name, text)
	}
}

// few is how many values are compared one by one; beyond it a set is quicker.
const few = 16

func (p *pool) one(name, text string) {
	list := p.values[name]
	if len(list) < few {
		if !slices.Contains(list, text) {
			p.values[name] = append(list, text)
		}
		return
	}
	seen := p.seen[name]
	if seen == nil {
		seen = make(map[string]struct{}, 2*few)
		for _, known := range list {
			seen[known] = struct{}{}
		}
		p.seen[name] = seen
	}
	if _, again := seen[text]; !again {
		seen[text] = struct{}{}
		p.values[name] = append(list, text)
	}
}
