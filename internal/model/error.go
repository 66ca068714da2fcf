package model

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"unicode/utf8"
)

// Kind classifies an error by what the caller can do about it. Package api/problem is the only place that turns it into
// a status.
type Kind uint8

// The kinds.
const (
	KindInternal      Kind = iota // a defect or an unexpected failure; the cause is for the operator only
	KindInvalid                   // the input breaks a rule
	KindUnprocessable             // the input cannot be an identifier of its kind (V-032)
	KindUnauthorized              // no or a wrong credential
	KindForbidden                 // a valid credential that may not do this
	KindNotFound                  // the named object does not exist
	KindConflict                  // the state of the store forbids it
	KindPrecondition              // the object has changed since the caller read it
	KindTooLarge                  // a limit on size is exceeded
	KindTooMany                   // a limit on rate is exceeded
	KindNotOffered                // a documented option that Ambit does not offer
	KindUnavailable               // a needed part is away, not ready or out of space; trying later can help
	KindGone                      // what was named is not kept any more
)

// Error is the one error type that crosses packages. Message is for the caller and never holds a secret; Err is for the
// operator's log and never reaches a caller. The zero Kind is KindInternal, so that an error nobody classified is never
// shown.
type Error struct {
	Kind    Kind
	Code    string   // wire code where a specification fixes one, such as "RG-206"; else api/problem chooses by Kind
	Name    string   // wire name that goes with Code
	Args    []string // arguments of the wire form, in order
	Op      string   // what was being done, such as "manage.apply"
	Message string   // without position
	Pos     Position // where in the input; zero = does not apply
	Err     error
}

// Position is a place in the caller's input. Line and Column count from 1, columns in code points; 0 means unknown.
type Position struct {
	File   string // slash-separated path inside the given directory or archive
	Line   int
	Column int
}

// IsZero reports whether nothing is known of the position.
func (p Position) IsZero() bool { return p == Position{} }

// After is the position behind a text that begins at p; the beginning of a file is line 1, column 1. Columns count code points.
func (p Position) After(text []byte) Position {
	if n := bytes.Count(text, []byte("\n")); n > 0 {
		p.Line, p.Column = p.Line+n, 1
		text = text[bytes.LastIndexByte(text, '\n')+1:]
	}
	p.Column += utf8.RuneCount(text)
	return p
}

// String writes file:line:column, leaving out what is unknown.
func (p Position) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		if b.Len() > 0 {
			b.WriteByte(':')
		}
		fmt.Fprintf(&b, "%d", p.Line)
		if p.Column > 0 {
			fmt.Fprintf(&b, ":%d", p.Column)
		}
	}
	return b.String()
}

// Error writes the whole error, cause included: for logs and tests, never for callers (they get Text).
func (e *Error) Error() string {
	var b strings.Builder
	if e.Op != "" {
		b.WriteString(e.Op + ": ")
	}
	b.WriteString(e.Text())
	if e.Err != nil {
		if e.Message != "" {
			b.WriteString(": ")
		}
		b.WriteString(e.Err.Error())
	}
	return b.String()
}

// Text is the message with its position in front, as callers see it.
func (e *Error) Text() string {
	if e.Pos.IsZero() {
		return e.Message
	}
	return e.Pos.String() + ": " + e.Message
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errors is a list of errors that are reported together. Nothing of the input that produced it was stored.
type Errors []*Error

// Error joins the texts of all errors, one a line.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As and errors.Is look into the list.
func (es Errors) Unwrap() []error {
	out := make([]error, len(es))
	for i, e := range es {
		out[i] = e
	}
	return out
}

// Sort orders the list by file, line and column; errors of one place keep their order.
func (es Errors) Sort() {
	slices.SortStableFunc(es, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Pos.File, b.Pos.File), cmp.Compare(a.Pos.Line, b.Pos.Line),
			cmp.Compare(a.Pos.Column, b.Pos.Column))
	})
}

// OrNil returns the list as an error, or nil when it is empty: a typed nil inside an error interface would not be nil.
func (es Errors) OrNil() error {
	if len(es) == 0 {
		return nil
	}
	return es
}

// Add appends an error of kind KindInvalid at field (a JSON pointer such as "/attributes/2/type").
func (es *Errors) Add(field, format string, args ...any) {
	*es = append(*es, &Error{Kind: KindInvalid, Message: field + ": " + fmt.Sprintf(format, args...)})
}

// Collect appends what err holds; an error that nobody classified counts as internal.
func (es *Errors) Collect(err error) {
	if err == nil {
		return
	}
	var several Errors
	if errors.As(err, &several) {
		*es = append(*es, several...)
		return
	}
	one, ok := errors.AsType[*Error](err)
	if !ok {
		one = &Error{Err: err}
	}
	*es = append(*es, one)
}

// CollectUnder is Collect with field in front of messages that begin with a JSON pointer.
func (es *Errors) CollectUnder(field string, err error) {
	var several Errors
	several.Collect(err)
	for _, e := range several {
		if e.Kind == KindInvalid && strings.HasPrefix(e.Message, "/") {
			under := *e
			under.Message = field + e.Message
			e = &under
		}
		*es = append(*es, e)
	}
}

// Invalidf is an error of kind KindInvalid.
func Invalidf(format string, args ...any) *Error {
	return &Error{Kind: KindInvalid, Message: fmt.Sprintf(format, args...)}
}

// NotFound is the error of an object that does not exist. Args are resource and id.
func NotFound(resource, id string) *Error {
	return &Error{
		Kind: KindNotFound, Name: resource + "NotFoundError", Args: []string{resource, id},
		Message: fmt.Sprintf("%s: [%s] not found", resource, id),
	}
}

// InvalidParameter is MGT-003.
func InvalidParameter(name, format string, args ...any) *Error {
	problem := fmt.Sprintf(format, args...)
	return &Error{
		Kind: KindInvalid, Code: "MGT-003", Name: "InvalidParameterError", Args: []string{name},
		Message: fmt.Sprintf("Invalid value for %s: %s", name, problem),
	}
}

// MissingParameter is MGT-002.
func MissingParameter(name string) *Error {
	return &Error{
		Kind: KindInvalid, Code: "MGT-002", Name: "MissingParameterError", Args: []string{name},
		Message: "Missing required parameter: " + name,
	}
}

// LimitExceeded is MGT-018: there are n of what, and only limit may be.
func LimitExceeded(what string, n, limit int64) *Error {
	return &Error{
		Kind: KindInvalid, Code: "MGT-018", Name: "LimitExceededError",
		Args:    []string{what, fmt.Sprint(n), fmt.Sprint(limit)},
		Message: fmt.Sprintf("%s: %d, the limit is %d", what, n, limit),
	}
}

// Internal wraps an unexpected failure. It returns nil for a nil error and keeps an error that is classified already.
func Internal(op string, err error) error {
	if err == nil {
		return nil
	}
	if KindOf(err) != KindInternal {
		return err
	}
	return &Error{Op: op, Err: err}
}

// NoSpace is the error of a call that a full disk ended; nothing of it is stored.
func NoSpace(op string, cause error) *Error {
	return &Error{
		Kind: KindUnavailable, Name: "NoSpaceError", Op: op, Err: cause,
		Message: "The server has no disk space left; nothing was stored",
	}
}

// FileError classifies the failure of a file that holds a body or an archive for the time of a call.
func FileError(op string, err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return NoSpace(op, err)
	}
	return Internal(op, err)
}

// KindOf is the kind of the first *Error in err's chain, KindInternal when there is none.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return KindInternal
}
