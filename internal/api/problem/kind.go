package problem

import (
	"crypto/rand"
	"net/http"

	"github.com/ambit-authz/ambit/internal/model"
)

// Names of errors of the HTTP layer. They decide the status, because no Kind of the domain stands for them.
const (
	nameMethodNotAllowed     = "MethodNotAllowed"
	nameMethodNotAllowedMgt  = "MethodNotAllowedError"
	nameNotAcceptable        = "NotAcceptableError"
	nameUnsupportedMedia     = "UnsupportedMediaType"
	nameUnsupportedMediaMgt  = "UnsupportedMediaTypeError"
	namePreconditionRequired = "PreconditionRequiredError"
)

// RouteNotFound is the error of an unknown path.
func RouteNotFound() *model.Error { return &model.Error{Kind: model.KindNotFound} }

// MethodNotAllowed is the error of a known path with another method (405). The caller sets the header Allow.
func MethodNotAllowed() *model.Error {
	return &model.Error{Kind: model.KindInvalid, Code: codeByStatus, Name: nameMethodNotAllowed}
}

// UnsupportedMedia is the error of a body in a form that is not read (415).
func UnsupportedMedia(message string) *model.Error {
	return &model.Error{Kind: model.KindInvalid, Code: codeByStatus, Name: nameUnsupportedMedia, Message: message}
}

// NotAcceptable is the error of an Accept that no form of the answer meets (406).
func NotAcceptable(message string) *model.Error {
	return &model.Error{Kind: model.KindInvalid, Code: codeByStatus, Name: nameNotAcceptable, Message: message}
}

// codeByStatus marks the errors of the HTTP layer: their code and name are those of the form's family.
const codeByStatus = "http"

func statusOf(e *model.Error) int {
	if status, ok := httpStatus(e.Name); ok {
		return status
	}
	switch e.Kind {
	case model.KindInvalid:
		return http.StatusBadRequest
	case model.KindUnprocessable:
		return http.StatusUnprocessableEntity
	case model.KindUnauthorized:
		return http.StatusUnauthorized
	case model.KindForbidden:
		return http.StatusForbidden
	case model.KindNotFound:
		return http.StatusNotFound
	case model.KindConflict:
		return http.StatusConflict
	case model.KindPrecondition:
		return http.StatusPreconditionFailed
	case model.KindTooLarge:
		return http.StatusRequestEntityTooLarge
	case model.KindTooMany:
		return http.StatusTooManyRequests
	case model.KindNotOffered:
		return http.StatusNotImplemented
	case model.KindUnavailable:
		return http.StatusServiceUnavailable
	case model.KindGone:
		return http.StatusGone
	}
	return http.StatusInternalServerError
}

func httpStatus(name string) (int, bool) {
	switch name {
	case nameMethodNotAllowed, nameMethodNotAllowedMgt:
		return http.StatusMethodNotAllowed, true
	case nameNotAcceptable:
		return http.StatusNotAcceptable, true
	case nameUnsupportedMedia, nameUnsupportedMediaMgt:
		return http.StatusUnsupportedMediaType, true
	case namePreconditionRequired:
		return http.StatusPreconditionRequired, true
	}
	return 0, false
}

// words are what an error carries when its maker gave none.
type words struct{ code, name, message string }

func standard(runtime bool, status int) words {
	if runtime {
		return runtimeWords(status)
	}
	return managementWords(status)
}

// runtimeWords is the table of runtime-api.md 3.7.
func runtimeWords(status int) words {
	switch status {
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return words{"AMB-002", "InvalidParameter", "Invalid request"}
	case http.StatusUnauthorized:
		return words{"AMB-011", "InvalidApiKey", "Invalid api key"}
	case http.StatusForbidden:
		return words{"RT-087", "InvalidParameter", "None of the Identity Templates Matched"}
	case http.StatusNotFound:
		return words{"AMB-404", "NotFound", "Not found"}
	case http.StatusMethodNotAllowed:
		return words{"AMB-405", nameMethodNotAllowed, "Method not allowed"}
	case http.StatusGone:
		return words{"AMB-410", "RevisionGone", "Gone"}
	case http.StatusRequestEntityTooLarge:
		return words{"AMB-413", "PayloadTooLarge", "Request body too large"}
	case http.StatusUnsupportedMediaType:
		return words{"AMB-415", nameUnsupportedMedia, "Unsupported Content-Encoding"}
	case http.StatusTooManyRequests:
		return words{"AMB-429", "TooManyRequests", "Too many requests"}
	case http.StatusNotImplemented:
		return words{"AMB-501", "NotImplemented", "Not supported"}
	case http.StatusServiceUnavailable:
		return words{"AMB-503", "NotReady", "Not ready"}
	}
	return words{"AMB-500", "InternalError", "Internal error"}
}

// managementWords is the table of management-api.md 1.3.
func managementWords(status int) words {
	switch status {
	case http.StatusBadRequest:
		return words{"MGT-001", "BadRequestError", "Bad request"}
	case http.StatusUnprocessableEntity:
		return words{"V-032", "UnprocessableEntityError", "Unprocessable entity"}
	case http.StatusUnauthorized:
		return words{"MGT-004", "UnauthorizedError", "The access token is missing, expired or revoked"}
	case http.StatusForbidden:
		return words{
			"MGT-005", "ForbiddenError",
			"Operation is not permitted due to the current user's lack of permissions.",
		}
	case http.StatusNotFound:
		return words{"MGT-006", "NotFoundError", "Not found"}
	case http.StatusMethodNotAllowed:
		return words{"MGT-007", nameMethodNotAllowedMgt, "Method not allowed"}
	case http.StatusNotAcceptable:
		return words{"MGT-007", nameNotAcceptable, "Not acceptable"}
	case http.StatusUnsupportedMediaType:
		return words{"MGT-007", nameUnsupportedMediaMgt, "Unsupported media type"}
	case http.StatusConflict:
		return words{"MGT-008", "AlreadyExistsError", "Already exists"}
	case http.StatusPreconditionFailed:
		return words{"MGT-011", "PreconditionFailedError", "The object has changed"}
	case http.StatusRequestEntityTooLarge:
		return words{"MGT-012", "PayloadTooLargeError", "The body is too large"}
	case http.StatusPreconditionRequired:
		return words{"MGT-013", namePreconditionRequired, "If-Match is required"}
	case http.StatusTooManyRequests:
		return words{"MGT-014", "TooManyRequestsError", "Too many attempts"}
	case http.StatusNotImplemented:
		return words{"MGT-016", "NotOfferedError", "Not offered"}
	case http.StatusServiceUnavailable:
		return words{"AMB-503", "NotReadyError", "Not ready"}
	}
	return words{"MGT-015", "InternalError", "Internal error"}
}

// newID makes the id of one error: E and five characters of A-Z0-9 (runtime-api.md 3.7).
func newID() string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	id := [6]byte{'E'}
	for i := 1; i < len(id); {
		var b [8]byte
		_, _ = rand.Read(b[:]) // never fails
		for _, c := range b {
			// 252 is the largest multiple of 36 in a byte: above it the choice would not be even
			if c < 252 && i < len(id) {
				id[i] = alphabet[c%36]
				i++
			}
		}
	}
	return string(id[:])
}
