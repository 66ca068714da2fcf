package client

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode"
)

var (
	// ErrAnswer is the error of an answer that cannot be relied on: cut, not of the form of the API, ambiguous, older than
	// MinRevision, or not about what was asked.
	ErrAnswer = errors.New("unusable answer")
	// ErrTooLarge is the error of an answer above Options.MaxBytes.
	ErrTooLarge = errors.New("answer above MaxBytes")
)

// Error is a status other than 200. It grants nothing, whatever the status is.
type Error struct {
	// Status is that of HTTP.
	Status int
	// Code is the server's name of the error, such as AMB-011 or RT-087 (runtime-api.md 3.7); "" when something else answered.
	Code string
	// Message is for people.
	Message string
	// RequestID is the correlation id of the call, and ID that of the error in the server's log.
	RequestID, ID string
}

// Error gives status, code, message and ids.
func (e *Error) Error() string {
	text := fmt.Sprintf("ambit: %d %s", e.Status, e.Message)
	if e.Code != "" {
		text += " (" + e.Code + ")"
	}
	if e.ID != "" {
		text += ", error " + e.ID
	}
	if e.RequestID != "" {
		text += ", request " + e.RequestID
	}
	return text
}

const (
	maxErrorBytes = 64 << 10
	maxErrorText  = 300
)

// refusal reads an answer that is no success. What is no problem document, as a page of a proxy, is left out.
func refusal(res *http.Response) *Error {
	e := &Error{Status: res.StatusCode, RequestID: res.Header.Get(headerRequestID), ID: res.Header.Get("X-Error-Id")}
	var code, detail string
	r := newReader(io.LimitReader(res.Body, maxErrorBytes))
	err := r.object(func(name string) (err error) {
		switch name {
		case "code":
			code, err = r.text()
		case "detail":
			detail, err = r.text()
		default:
			err = r.skip()
		}
		return err
	})
	if err == nil && r.end() == nil {
		e.Code, e.Message = code, detail
	}
	if e.Message == "" {
		e.Message = http.StatusText(e.Status)
	}
	for _, text := range []*string{&e.Code, &e.Message, &e.RequestID, &e.ID} {
		*text = quotable(*text, res.Request.Header)
	}
	return e
}

// quotable makes a foreign text fit for a log: short, of one line, and without the secrets of the request, which a server
// may have echoed.
func quotable(text string, sent http.Header) string {
	for _, name := range secretHeaders(sent) {
		for _, value := range sent[name] {
			for _, part := range append(strings.Fields(value), value) {
				if len(part) > len("Bearer") {
					text = strings.ReplaceAll(text, part, "[redacted]")
				}
			}
		}
	}
	text = strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return ' '
	}, text)
	if runes := []rune(text); len(runes) > maxErrorText {
		text = string(runes[:maxErrorText]) + "…"
	}
	return text
}
