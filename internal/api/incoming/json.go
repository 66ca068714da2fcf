package incoming

import (
	"bytes"
	"errors"
	"iter"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/model"
)

// MaxDepth is how many levels of nesting a body may have (README ruling 5).
const MaxDepth = 64

// ErrMalformed is the error of Object.
var ErrMalformed = errors.New("malformed JSON")

// Object checks a whole body and gives the members of its one object for which known is true and which are not null; the
// values lie in the body's memory. A body without text is an object without members. Duplicate names at any depth, invalid
// UTF-8, unpaired surrogates, more than MaxDepth levels and text after the object are ErrMalformed.
func Object(body []byte, known func(name string) bool) (map[string]jsontext.Value, error) {
	out := map[string]jsontext.Value{}
	object := jsontext.Value(bytes.Trim(bytes.TrimPrefix(body, []byte("\ufeff")), " \t\r\n"))
	if len(object) == 0 {
		return out, nil
	}
	if object.Kind() != jsontext.KindBeginObject || TooDeep(object) || !object.IsValid() {
		return nil, ErrMalformed
	}
	for name, value := range Members(object) {
		if known(name) {
			out[name] = value
		}
	}
	return out, nil
}

// TooDeep reports whether brackets outside of strings nest deeper than allowed; it says nothing else of the text.
func TooDeep(body []byte) bool {
	depth := 0
	for i := 0; i < len(body); i++ {
		switch body[i] {
		case '{', '[':
			if depth++; depth > MaxDepth {
				return true
			}
		case '}', ']':
			depth--
		case '"':
			i = textEnd(body, i)
		}
	}
	return false
}

// Elements yields the elements of an array that is known to be well formed.
func Elements(array jsontext.Value) iter.Seq[jsontext.Value] {
	return func(yield func(jsontext.Value) bool) {
		for at := next(array, 1); at < len(array) && array[at] != ']'; {
			value := array[at:valueEnd(array, at)]
			if !yield(value) {
				return
			}
			at = next(array, at+len(value))
		}
	}
}

// Members yields the members of an object that is known to be well formed, except those that are null.
func Members(object jsontext.Value) iter.Seq2[string, jsontext.Value] {
	return func(yield func(string, jsontext.Value) bool) {
		for at := next(object, 1); at < len(object) && object[at] != '}'; {
			name := object[at:valueEnd(object, at)]
			at = next(object, at+len(name))
			value := object[at:valueEnd(object, at)]
			if value.Kind() != jsontext.KindNull {
				if key, _ := Scalar(name); !yield(key, value) {
					return
				}
			}
			at = next(object, at+len(value))
		}
	}
}

// next is where the next value, name or closing bracket of well-formed JSON begins.
func next(b []byte, at int) int {
	for at < len(b) && (b[at] <= ' ' || b[at] == ',' || b[at] == ':') {
		at++
	}
	return at
}

// valueEnd is where the value that begins at a place of well-formed JSON ends.
func valueEnd(b []byte, at int) int {
	depth := 0
	for ; at < len(b); at++ {
		switch b[at] {
		case '"':
			at = textEnd(b, at)
		case '{', '[':
			depth++
			continue
		case '}', ']':
			depth--
		case ',', ':', ' ', '\t', '\r', '\n':
			continue
		default:
			for at+1 < len(b) && isPlain(b[at+1]) {
				at++
			}
		}
		if depth <= 0 {
			return min(at+1, len(b))
		}
	}
	return len(b)
}

// textEnd is the place of the quotation mark that ends the text which begins at a place.
func textEnd(b []byte, at int) int {
	for at++; at < len(b) && b[at] != '"'; at++ {
		if b[at] == '\\' {
			at++
		}
	}
	return at
}

// isPlain reports whether a byte may stand in a number, in true, false or null.
func isPlain(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c == '-' || c == '+' || c == '.' || c == 'E'
}

// Scalar is the text of a string, number or boolean (runtime-api.md 3.3); numbers keep their literal text.
func Scalar(v jsontext.Value) (string, bool) {
	switch v.Kind() {
	case jsontext.KindString:
		if n := len(v) - 1; n > 0 && v[0] == '"' && v[n] == '"' && bytes.IndexByte(v, '\\') < 0 {
			return string(v[1:n]), true
		}
		text, err := jsontext.AppendUnquote(nil, v)
		return string(text), err == nil
	case jsontext.KindNumber, jsontext.KindTrue, jsontext.KindFalse:
		return string(v), true
	}
	return "", false
}

// Address reads a bare IP address, without port or zone; IPv4-mapped IPv6 becomes IPv4 (README ruling 1).
func Address(text string) (a netip.Addr, ok bool) {
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" {
		return netip.Addr{}, false
	}
	return a.Unmap(), true
}

// Offset reads a number of hours from -14 to 14, as a number or a string (README ruling 2).
func Offset(v jsontext.Value) (offset time.Duration, ok bool) {
	if v.Kind() != jsontext.KindNumber && v.Kind() != jsontext.KindString {
		return 0, false
	}
	text, _ := Scalar(v)
	text = strings.TrimSpace(text)
	if _, isNumber := model.ParseNumber(text); !isNumber {
		return 0, false
	}
	hours, _ := strconv.ParseFloat(text, 64) // out of range gives an infinity, or zero for less than a nanosecond
	if hours < -14 || hours > 14 {
		return 0, false
	}
	return time.Duration(math.Round(hours * float64(time.Hour))), true
}
