package manage

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"

	"github.com/ambit-authz/ambit/internal/model"
)

// collect appends what err holds to errs.
func collect(errs *model.Errors, err error) { collectUnder(errs, "", err) }

// collectUnder appends what err holds, with field in front of messages that begin with a JSON pointer.
func collectUnder(errs *model.Errors, field string, err error) {
	if err == nil {
		return
	}
	var several model.Errors
	if !errors.As(err, &several) {
		several = model.Errors{asError(err)}
	}
	for _, e := range several {
		if field != "" && e.Kind == model.KindInvalid && strings.HasPrefix(e.Message, "/") {
			under := *e
			under.Message = field + e.Message
			e = &under
		}
		*errs = append(*errs, e)
	}
}

// asError finds the domain error in err or wraps it as an internal one.
func asError(err error) *model.Error {
	if e, ok := errors.AsType[*model.Error](err); ok {
		return e
	}
	return &model.Error{Err: err}
}

func pointerTo(list string, index int) string {
	if list == "" {
		return fmt.Sprintf("/%d", index)
	}
	return fmt.Sprintf("/%s/%d", list, index)
}

func missingResource(resource, id string) *model.Error {
	e := model.NotFound(resource, id)
	e.Code = "MGT-006"
	return e
}

func alreadyExists(resource, id string) *model.Error {
	return &model.Error{
		Kind: model.KindConflict, Code: "MGT-008", Name: "AlreadyExistsError", Args: []string{resource, id},
		Message: fmt.Sprintf("%s: [%s] already exists", resource, id),
	}
}

// inUse is MGT-009: at most 20 of the users are named.
func inUse(resource, id, kind string, users []string) *model.Error {
	slices.Sort(users)
	users = slices.Compact(users)
	shown := users[:min(len(users), 20)]
	return &model.Error{
		Kind: model.KindConflict, Code: "MGT-009", Name: "InUseError",
		Args:    append([]string{resource, id, kind}, shown...),
		Message: fmt.Sprintf("%s: [%s] is used by %s: [%s]", resource, id, kind, strings.Join(shown, ", ")),
	}
}

func limitExceeded(what string, n, limit int64) *model.Error {
	return model.LimitExceeded(what, n, limit)
}

// InvalidParameter is MGT-003.
func InvalidParameter(name, format string, args ...any) *model.Error {
	problem := fmt.Sprintf(format, args...)
	return &model.Error{
		Kind: model.KindInvalid, Code: "MGT-003", Name: "InvalidParameterError", Args: []string{name},
		Message: fmt.Sprintf("Invalid value for %s: %s", name, problem),
	}
}

// MissingParameter is MGT-002.
func MissingParameter(name string) *model.Error {
	return &model.Error{
		Kind: model.KindInvalid, Code: "MGT-002", Name: "MissingParameterError", Args: []string{name},
		Message: "Missing required parameter: " + name,
	}
}

func notOffered(what string) *model.Error {
	return &model.Error{
		Kind: model.KindNotOffered, Code: "MGT-016", Name: "NotOfferedError", Args: []string{what},
		Message: what + " is not offered",
	}
}

// NoSpace is the error of a call that a full disk ended; nothing of it is stored.
func NoSpace(op string, cause error) *model.Error {
	return &model.Error{
		Kind: model.KindUnavailable, Name: "NoSpaceError", Op: op, Err: cause,
		Message: "The server has no disk space left; nothing was stored",
	}
}

// FileError classifies the failure of a file that holds a body or an archive for the time of a call.
func FileError(op string, err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return NoSpace(op, err)
	}
	return model.Internal(op, err)
}
