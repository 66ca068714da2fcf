package runtime

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/api/incoming"
	"github.com/ambit-authz/ambit/internal/model"
)

// coercer reads fields by the rules of runtime-api.md 3.3 and gathers what is wrong with them.
type coercer struct {
	fields fields
	prefix string // of field names in errors, such as "assetList[2]."
	errs   *model.Errors
}

// fail names the field and the reason. A name that the request made up may fill a whole body: of a long one the
// beginning tells enough.
func (c *coercer) fail(name, reason string) {
	field := c.prefix + name
	if len(field) > maxName {
		field = strings.ToValidUTF8(field[:maxName], "") + "…"
	}
	c.errs.Add(field, "%s", reason)
}

// maxName is how many bytes of a field's name an error tells.
const maxName = 200

// text reads a string; "" when it is absent.
func (c *coercer) text(name string) string {
	v, ok := c.fields[name]
	if !ok {
		return ""
	}
	text, ok := incoming.Scalar(v)
	if !ok {
		c.fail(name, "must be a string")
	}
	return text
}

// required reads a string that must be there.
func (c *coercer) required(name string) string {
	before := len(*c.errs)
	text := c.text(name)
	if text == "" && len(*c.errs) == before {
		c.fail(name, "required")
	}
	return text
}

// flag reads a boolean; what is none gives the default.
func (c *coercer) flag(name string, def bool) bool {
	if b, ok := c.boolean(name); ok {
		return b
	}
	return def
}

// strictFlag reads a boolean that is off by default and refuses what is none.
func (c *coercer) strictFlag(name string) bool {
	b, ok := c.boolean(name)
	if _, sent := c.fields[name]; sent && !ok {
		c.fail(name, "must be true or false")
	}
	return b
}

func (c *coercer) boolean(name string) (value, ok bool) {
	v := c.fields[name]
	switch v.Kind() {
	case jsontext.KindTrue:
		return true, true
	case jsontext.KindFalse:
		return false, true
	case jsontext.KindString:
		text, _ := incoming.Scalar(v)
		value = strings.EqualFold(text, "true")
		return value, value || strings.EqualFold(text, "false")
	}
	return false, false
}

// address reads a bare IP address from the first of the names that has one; the zero Addr when none has. One that cannot
// be read is an error (README ruling 1).
func (c *coercer) address(names ...string) netip.Addr {
	for _, name := range names {
		text := c.text(name)
		if text == "" {
			continue
		}
		a, ok := incoming.Address(text)
		if !ok {
			c.fail(name, "must be an IP address without port or zone")
		}
		return a
	}
	return netip.Addr{}
}

// offset reads a number of hours from -14 to 14 (README ruling 2).
func (c *coercer) offset(name string) time.Duration {
	v, ok := c.fields[name]
	if !ok {
		return 0
	}
	offset, ok := incoming.Offset(v)
	if !ok {
		c.fail(name, "must be a number of hours from -14 to 14")
	}
	return offset
}

// choice reads one of several words in any case; a value that is no string counts as absent, "".
func (c *coercer) choice(name string, words ...string) string {
	v, ok := c.fields[name]
	if !ok || v.Kind() != jsontext.KindString {
		return ""
	}
	text, _ := incoming.Scalar(v)
	for _, w := range words {
		if strings.EqualFold(w, text) {
			return w
		}
	}
	c.fail(name, "must be one of "+strings.Join(words, ", "))
	return ""
}

// objects reads a list of objects, each with a coercer of its own. strings, when not nil, takes elements that are
// strings instead.
func (c *coercer) objects(name string, one func(*coercer), strings func(string)) {
	v, ok := c.fields[name]
	if !ok {
		return
	}
	if v.Kind() == jsontext.KindBeginObject || v.Kind() == jsontext.KindString && strings != nil {
		c.object(name, v, one, strings)
		return
	}
	if v.Kind() != jsontext.KindBeginArray {
		c.fail(name, "must be a list of objects")
		return
	}
	i := 0
	for element := range incoming.Elements(v) {
		if element.Kind() != jsontext.KindNull {
			c.object(name+"["+strconv.Itoa(i)+"]", element, one, strings)
		}
		if i++; len(*c.errs) >= maxErrors {
			return
		}
	}
}

// maxErrors bounds how many errors of one list are gathered: a body of wrong elements must not become a longer answer.
const maxErrors = 100

func (c *coercer) object(name string, v jsontext.Value, one func(*coercer), strings func(string)) {
	switch {
	case v.Kind() == jsontext.KindBeginObject:
		f := fields{}
		for key, value := range incoming.Members(v) {
			if nested(key) {
				f[key] = value
			}
		}
		one(&coercer{fields: f, prefix: c.prefix + name + ".", errs: c.errs})
	case v.Kind() == jsontext.KindString && strings != nil:
		text, _ := incoming.Scalar(v)
		strings(text)
	default:
		c.fail(name, "must be an object")
	}
}

// texts reads a list of strings; a lone scalar is a list of one.
func (c *coercer) texts(name string) []string {
	v, ok := c.fields[name]
	if !ok {
		return nil
	}
	var out []string
	add := func(v jsontext.Value) {
		text, ok := incoming.Scalar(v)
		if !ok {
			c.fail(name, "must be a list of strings")
			return
		}
		out = append(out, text)
	}
	if v.Kind() != jsontext.KindBeginArray {
		add(v)
		return out
	}
	for element := range incoming.Elements(v) {
		if element.Kind() != jsontext.KindNull {
			add(element)
		}
		if len(*c.errs) >= maxErrors {
			break
		}
	}
	return out
}

// valueMap is a value map in the order in which it was sent. Values hold no text twice.
type valueMap []namedValues

type namedValues struct {
	name   string
	values []string
}

// byName gives the map; nil for one that was not sent.
func (m valueMap) byName() map[string][]string {
	if m == nil {
		return nil
	}
	out := make(map[string][]string, len(m))
	for _, e := range m {
		out[e.name] = e.values
	}
	return out
}

// values reads a value map; nil when it is absent or an array stands in its place.
func (c *coercer) values(name string) valueMap {
	v, ok := c.fields[name]
	if !ok || v.Kind() == jsontext.KindBeginArray {
		return nil
	}
	if v.Kind() != jsontext.KindBeginObject {
		c.fail(name, "must be an object of lists of strings")
		return nil
	}
	out := valueMap{}
	for key, value := range incoming.Members(v) {
		values, ok := valueList(value)
		if !ok {
			c.fail(name+"."+key, "must be a list of strings, numbers or booleans")
		}
		out = append(out, namedValues{key, values})
		if len(*c.errs) >= maxErrors {
			break
		}
	}
	return out
}

// valueList reads the values of an attribute, each once. A list may fill a whole body, so that repeated values are
// never gathered.
func valueList(v jsontext.Value) ([]string, bool) {
	if v.Kind() != jsontext.KindBeginArray {
		text, ok := incoming.Scalar(v)
		return []string{text}, ok
	}
	values := []string{}
	var seen map[string]struct{}
	for element := range incoming.Elements(v) {
		if element.Kind() == jsontext.KindNull {
			continue
		}
		text, ok := incoming.Scalar(element)
		if !ok {
			return nil, false
		}
		if len(values) < few {
			if !slices.Contains(values, text) {
				values = append(values, text)
			}
			continue
		}
		if seen == nil {
			seen = make(map[string]struct{}, 2*few)
			for _, known := range values {
				seen[known] = struct{}{}
			}
		}
		if _, again := seen[text]; !again {
			seen[text] = struct{}{}
			values = append(values, text)
		}
	}
	return values, true
}

// few is how many values are compared one by one; beyond it a set is quicker.
const few = 16
