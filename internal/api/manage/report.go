package manage

import (
	"strconv"

	"github.com/ambit-authz/ambit/internal/model"
)

// reportError is an error beside results: the usual keys and where it is (management-api.md 19.1, 21.2).
type reportError struct {
	Code    string            `json:"code"`
	Args    map[string]string `json:"args"`
	ID      string            `json:"id"`
	Status  int               `json:"status"`
	Name    string            `json:"name"`
	Message string            `json:"message"`
	File    string            `json:"file,omitempty"`
	Line    int               `json:"line,omitzero"`
	Column  int               `json:"column,omitzero"`
	Key     string            `json:"key,omitempty"`
}

func (x *exchange) reportError(e *model.Error) reportError {
	d := x.api.errors.Detail(e)
	out := reportError{
		Code: d.Code, Args: map[string]string{}, ID: d.ID, Status: d.Status, Name: d.Name, Message: d.Message,
		File: e.Pos.File, Line: e.Pos.Line, Column: e.Pos.Column,
	}
	for i, arg := range d.Args {
		out.Args[strconv.Itoa(i)] = arg
	}
	return out
}
