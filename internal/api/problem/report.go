package problem

import "github.com/ambit-authz/ambit/internal/model"

// Detail is one error of a report: an answer that lists errors beside results (management-api.md 19.1, 21.2). Its maker
// adds where the error is.
type Detail struct {
	ID, Code, Name, Message string
	Args                    []string
	Status                  int
}

// Detail gives e the status, words and fresh id that it would have as an answer of its own.
func (p Writer) Detail(e *model.Error) Detail {
	d := p.detail(e)
	return Detail{ID: d.id, Code: d.code, Name: d.name, Message: d.message, Args: d.args, Status: d.status}
}
