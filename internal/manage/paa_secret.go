package manage

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/token"
)

// masked stands for the value of a secret property wherever it is shown; written, it keeps the stored value.
const masked = `"***"`

// isSecret reports whether a property of that name holds a secret (management-api.md 13). How the words of the name are
// parted makes no difference.
func isSecret(name string) bool {
	name = strings.ToLower(strings.NewReplacer("-", "", "_", "", ".", "", " ", "").Replace(name))
	for _, word := range []string{"password", "secret", "token", "credential", "apikey"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// property is the value of a secret property and where it stands.
type property struct {
	pointer string // as errors name it
	place   string // as pointer, but items of lists that say who they are go by that: they keep their secrets when they move
	value   jsontext.Value
}

// rewriteSecrets puts what of returns in the place of every secret value of a document, at any depth. Secret is what the
// property's name says, be it the name of a member or that in {"name": …, "value": …}. A missing secret (null) is none.
func rewriteSecrets(document jsontext.Value, of func(property) (jsontext.Value, error)) (jsontext.Value, error) {
	return rewriteAt(property{value: document}, of)
}

func rewriteAt(p property, of func(property) (jsontext.Value, error)) (jsontext.Value, error) {
	switch p.value.Kind() {
	case '{':
		return rewriteObject(p, of)
	case '[':
		return rewriteList(p, of)
	}
	return p.value, nil
}

type member struct {
	name  string
	value jsontext.Value
}

// membersOf reads an object that is known to be well-formed.
func membersOf(object jsontext.Value) ([]member, error) {
	d := jsontext.NewDecoder(bytes.NewReader(object))
	if _, err := d.ReadToken(); err != nil {
		return nil, err
	}
	var out []member
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return nil, err
		}
		m := member{name: name.String()}
		if m.value, err = readShared(d, object); err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

// itemsOf is membersOf for a list.
func itemsOf(list jsontext.Value) ([]jsontext.Value, error) {
	d := jsontext.NewDecoder(bytes.NewReader(list))
	if _, err := d.ReadToken(); err != nil {
		return nil, err
	}
	var out []jsontext.Value
	for d.PeekKind() != ']' {
		value, err := readShared(d, list)
		if err != nil {
			return nil, err
		}
		out = append(out, value)
	}
	return out, nil
}

// readShared reads a value of the document without a copy of its own: a deep document has many levels.
func readShared(d *jsontext.Decoder, document jsontext.Value) (jsontext.Value, error) {
	value, err := d.ReadValue()
	if err != nil {
		return nil, err
	}
	end := d.InputOffset()
	return document[end-int64(len(value)) : end : end], nil
}

func writeObject(members []member) (jsontext.Value, error) {
	out := []byte{'{'}
	for i, m := range members {
		if i > 0 {
			out = append(out, ',')
		}
		var err error
		if out, err = jsontext.AppendQuote(out, m.name); err != nil {
			return nil, err
		}
		out = append(append(out, ':'), m.value...)
	}
	return append(out, '}'), nil
}

func rewriteObject(p property, of func(property) (jsontext.Value, error)) (jsontext.Value, error) {
	members, err := membersOf(p.value)
	if err != nil {
		return nil, err
	}
	isPair := isSecret(textOf(members, "name")) || isSecret(textOf(members, "key"))
	for i, m := range members {
		token := "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(m.name)
		inner := property{p.pointer + token, p.place + token, m.value}
		switch {
		case m.value.Kind() == 'n':
		case isSecret(m.name), isPair && strings.HasPrefix(strings.ToLower(m.name), "value"):
			members[i].value, err = of(inner)
		default:
			members[i].value, err = rewriteAt(inner, of)
		}
		if err != nil {
			return nil, err
		}
	}
	return writeObject(members)
}

// textOf is the text member of that name, "" when there is none.
func textOf(members []member, name string) string {
	for _, m := range members {
		if strings.EqualFold(m.name, name) && m.value.Kind() == '"' {
			text, err := jsontext.AppendUnquote(nil, m.value)
			if err == nil {
				return string(text)
			}
		}
	}
	return ""
}

func rewriteList(p property, of func(property) (jsontext.Value, error)) (jsontext.Value, error) {
	items, err := itemsOf(p.value)
	if err != nil {
		return nil, err
	}
	out := []byte{'['}
	seen := map[string]int{}
	for i, item := range items {
		if i > 0 {
			out = append(out, ',')
		}
		if kind := item.Kind(); kind != '{' && kind != '[' {
			out = append(out, item...)
			continue
		}
		who, err := whoIs(item, i)
		if err != nil {
			return nil, err
		}
		seen[who]++
		place := fmt.Sprintf("%s/[%s;%d]", p.place, who, seen[who])
		rewritten, err := rewriteAt(property{p.pointer + "/" + strconv.Itoa(i), place, item}, of)
		if err != nil {
			return nil, err
		}
		out = append(out, rewritten...)
	}
	return append(out, ']'), nil
}

// whoIs is what tells an item of a list from the others: its id or name, else its position.
func whoIs(item jsontext.Value, position int) (string, error) {
	if item.Kind() == '{' {
		members, err := membersOf(item)
		if err != nil {
			return "", err
		}
		for _, name := range []string{"modelId", "id", "key", "name"} {
			if text := textOf(members, name); text != "" {
				return name + "=" + strconv.Quote(text), nil
			}
		}
	}
	return strconv.Itoa(position), nil
}

// maskedSource is the definition of a source as everybody may see it.
func maskedSource(s *model.PAASource) jsontext.Value {
	if len(s.Definition) == 0 {
		return nil
	}
	out, err := rewriteSecrets(s.Definition, func(property) (jsontext.Value, error) { return jsontext.Value(masked), nil })
	if err != nil {
		return jsontext.Value("null") // rather nothing than a secret
	}
	return out
}

// rewriteMember gives a top-level member another value.
func rewriteMember(object jsontext.Value, name, value string) (jsontext.Value, error) {
	members, err := membersOf(object)
	if err != nil {
		return nil, err
	}
	for i := range members {
		if members[i].name == name {
			members[i].value = jsontext.Value(value)
		}
	}
	return writeObject(members)
}

// sealer seals the secrets of a source for the store.
type sealer struct {
	secrets *token.Secrets
	at      []string // ids of the source; a sealed value is of no use anywhere else
	stored  jsontext.Value
	// trial is of a dry run. It takes every secret that is written out for another one: who would be told which of them is
	// the stored one could guess on without a trace. A real write that guesses wrong replaces what it guesses at.
	trial bool
}

// seal returns the definition with its secret values sealed. Values that are masked, or are those that are stored already,
// stay as they are stored, so that a write that changes nothing is none.
func (s *sealer) seal(definition jsontext.Value) (jsontext.Value, error) {
	known := map[string]jsontext.Value{}
	if len(s.stored) > 0 {
		_, err := rewriteSecrets(s.stored, func(p property) (jsontext.Value, error) {
			known[p.place] = p.value
			return p.value, nil
		})
		if err != nil {
			return nil, model.Internal("manage.seal", err)
		}
	}
	var errs model.Errors
	out, err := rewriteSecrets(definition, func(p property) (jsontext.Value, error) {
		before, isKnown := known[p.place]
		if string(p.value) == masked {
			if !isKnown {
				errs.Add(p.pointer, "*** keeps the stored value, and there is none")
			}
			return before, nil
		}
		place := strings.Join(append(s.at, p.place), "\x00")
		value := form.Compact(p.value)
		if opened, ok := s.open(place, before); ok && !s.trial && bytes.Equal(opened, value) {
			return before, nil
		}
		sealed := base64.StdEncoding.EncodeToString(s.secrets.Encrypt(place, value))
		return jsontext.Value(`"` + sealed + `"`), nil
	})
	if err != nil {
		return nil, model.Internal("manage.seal", err)
	}
	return out, errs.OrNil()
}

func (s *sealer) open(place string, stored jsontext.Value) ([]byte, bool) {
	if len(stored) < 2 {
		return nil, false
	}
	sealed, err := base64.StdEncoding.DecodeString(string(stored[1 : len(stored)-1]))
	if err != nil {
		return nil, false
	}
	return s.secrets.Decrypt(place, sealed)
}
