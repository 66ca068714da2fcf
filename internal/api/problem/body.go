package problem

import (
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

func appendText(b []byte, list []detail) []byte {
	for i, d := range list {
		if i > 0 {
			b = append(b, '\n')
		}
		b = append(b, d.message...)
	}
	return b
}

func (p Writer) appendJSON(b []byte, r *http.Request, list []detail) []byte {
	switch p.Form {
	case Runtime:
		b = append(b, '{')
		b = appendErrors(b, list, appendRuntime)
	case Flat:
		return appendFlat(b, r, list)
	case OAuth:
		b = append(b, `{"error":`...)
		b = quote(b, oauthWord(list[0]))
		b = append(b, `,"error_description":`...)
		b = quote(b, list[0].message)
		b = append(b, ',')
		b = appendErrors(b, list, appendManagement)
	default:
		b = append(b, '{')
		b = appendErrors(b, list, appendManagement)
	}
	return append(b, '}')
}

// appendErrors writes the member "errors".
func appendErrors(b []byte, list []detail, one func([]byte, detail) []byte) []byte {
	b = append(b, `"errors":[`...)
	for i, d := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = one(b, d)
	}
	return append(b, ']')
}

func appendRuntime(b []byte, d detail) []byte {
	b = member(append(b, '{'), "id", d.id)
	b = member(append(b, ','), "code", d.code)
	b = member(append(b, ','), "name", d.name)
	b = member(append(b, ','), "message", d.message)
	return append(b, '}')
}

func appendManagement(b []byte, d detail) []byte {
	b = member(append(b, '{'), "code", d.code)
	b = appendArgs(append(b, ','), d.args)
	b = member(append(b, ','), "id", d.id)
	b = append(b, `,"status":`...)
	b = strconv.AppendInt(b, int64(d.status), 10)
	b = member(append(b, ','), "name", d.name)
	b = member(append(b, ','), "message", d.message)
	return append(b, '}')
}

// appendFlat writes one object. Further errors follow in its message, one a line: the form has no list.
func appendFlat(b []byte, r *http.Request, list []detail) []byte {
	d := list[0]
	b = member(append(b, '{'), "code", d.code)
	b = member(append(b, ','), "id", d.id)
	b = append(b, `,"status":`...)
	b = strconv.AppendInt(b, int64(d.status), 10)
	b = member(append(b, ','), "name", d.name)
	b = member(append(b, ','), "message", string(appendText(nil, list)))
	b = appendArgs(append(b, ','), d.args)
	b = member(append(b, ','), "path", r.URL.Path)
	return append(b, '}')
}

func appendProblem(b []byte, list []detail) []byte {
	d := list[0]
	b = member(append(b, '{'), "type", "about:blank")
	b = member(append(b, ','), "title", http.StatusText(d.status))
	b = append(b, `,"status":`...)
	b = strconv.AppendInt(b, int64(d.status), 10)
	b = member(append(b, ','), "detail", d.message)
	b = member(append(b, ','), "code", d.code)
	b = member(append(b, ','), "name", d.name)
	b = member(append(b, ','), "id", d.id)
	if len(list) > 1 {
		b = appendErrors(append(b, ','), list, appendManagement)
	}
	return append(b, '}')
}

// appendArgs writes the arguments as an object with the keys "0", "1", … (management-api.md 1.3).
func appendArgs(b []byte, args []string) []byte {
	b = append(b, `"args":{`...)
	for i, a := range args {
		if i > 0 {
			b = append(b, ',')
		}
		b = member(b, strconv.Itoa(i), a)
	}
	return append(b, '}')
}

// oauthWord is the error code of RFC 6749 5.2 (management-api.md 2.3).
func oauthWord(d detail) string {
	switch {
	case d.name == "UnsupportedGrantTypeError":
		return "unsupported_grant_type"
	case d.name == "InvalidGrantError":
		return "invalid_grant"
	case d.status == http.StatusForbidden:
		return "unauthorized_client"
	case d.status == http.StatusUnauthorized:
		return "invalid_client"
	case d.status == http.StatusTooManyRequests || d.status == http.StatusServiceUnavailable:
		return "temporarily_unavailable"
	case d.status >= 500:
		return "server_error"
	}
	return "invalid_request"
}

func member(b []byte, name, value string) []byte {
	b = append(b, '"')
	b = append(b, name...)
	b = append(b, `":`...)
	return quote(b, value)
}

// quote writes a JSON string; invalid UTF-8 becomes U+FFFD, which is the encoder's only complaint and no reason to
// lose an error answer.
func quote(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s)
	return b
}
