package manage

import (
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/ambit-authz/ambit/internal/api/problem"
	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
)

// maxTokenRequest bounds the body of a token request in bytes.
const maxTokenRequest = 64 << 10

// credentials are an id with a secret, as a request spelled them.
type credentials struct{ id, secret string }

// token is POST /api/1.0/api-key/token (management-api.md 2.1 to 2.3): the client credentials grant of RFC 6749.
func (a *api) token(w http.ResponseWriter, r *http.Request) { a.grant(w, r, false) }

// grant issues a token; with runtime also to scopes.
func (a *api) grant(w http.ResponseWriter, r *http.Request, runtime bool) {
	errors := problem.Writer{Form: problem.OAuth, Log: a.log}
	fields, err := tokenFields(w, r)
	if err == nil {
		err = checkGrantType(r, fields)
	}
	if err != nil {
		errors.Write(w, r, err)
		return
	}
	var grant manage.Grant
	err = a.proven(w, r, fields, func(l manage.Login) (err error) {
		l.Runtime = runtime
		grant, err = a.service.Login(r.Context(), l)
		return err
	})
	if err != nil {
		errors.Write(w, r, err)
		return
	}
	out := struct {
		AccessToken string `json:"access_token"`
		TokenType   string `json:"token_type"`
		ExpiresIn   int64  `json:"expires_in"`
		Scope       string `json:"scope,omitempty"`
	}{AccessToken: grant.AccessToken, TokenType: "Bearer", ExpiresIn: int64(grant.ExpiresIn.Seconds())}
	if _, asked := fields["scope"]; asked {
		out.Scope = grant.Scope
	}
	w.Header().Set("Pragma", "no-cache")
	x := &exchange{api: a, w: w, r: r}
	if err := x.answer(http.StatusOK, out); err != nil {
		errors.Write(w, r, err)
	}
}

// proven calls use with the client's credentials, in each spelling that they may have until one is good; only the last
// failure counts.
func (a *api) proven(w http.ResponseWriter, r *http.Request, fields map[string]string, use func(manage.Login) error) error {
	attempts, err := tokenCredentials(r, fields)
	if err != nil {
		return err
	}
	var ids []string
	secrets := map[string][]string{}
	for _, c := range attempts {
		if secrets[c.id] == nil {
			ids = append(ids, c.id)
		}
		if !slices.Contains(secrets[c.id], c.secret) {
			secrets[c.id] = append(secrets[c.id], c.secret)
		}
	}
	for _, id := range ids {
		err = use(manage.Login{
			ClientID: model.ClientID(id), Secrets: secrets[id],
			ClientIP: a.clientIP(r), RequestID: w.Header().Get("x-request-id"),
		})
		if model.KindOf(err) != model.KindUnauthorized || err == nil {
			break
		}
	}
	if model.KindOf(err) == model.KindTooMany && err != nil {
		w.Header().Set("Retry-After", "60")
	}
	return err
}

func badRequest(message string) error {
	return &model.Error{Kind: model.KindInvalid, Message: message}
}

// tokenFields are the parameters of a form or of a JSON object. RFC 6749 3.2: none may be there twice.
func tokenFields(w http.ResponseWriter, r *http.Request) (map[string]string, error) {
	for _, name := range []string{"client_id", "client_secret", "clientId", "clientSecret"} {
		if r.URL.Query().Has(name) {
			return nil, badRequest("credentials cannot stand in the query")
		}
	}
	in, err := body(w, r, maxTokenRequest)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(in)
	if err != nil {
		return nil, err
	}
	fields := map[string]string{}
	switch mediaType(r) {
	case "application/json":
		if err := form.Decode(text, &fields); err != nil {
			return nil, badRequest("the body is not a JSON object of texts") // the cause could show a secret
		}
	case "application/x-www-form-urlencoded", "":
		form, err := url.ParseQuery(string(text))
		if err != nil {
			return nil, badRequest("the body is not a form")
		}
		for name, values := range form {
			if len(values) > 1 {
				return nil, badRequest("a parameter stands more than once")
			}
			fields[name] = values[0]
		}
	default:
		return nil, problem.UnsupportedMedia("the body is a form or JSON")
	}
	return fields, nil
}

const tokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange"

func checkGrantType(r *http.Request, fields map[string]string) error {
	e := &model.Error{
		Kind: model.KindInvalid, Code: "MGT-001", Name: "UnsupportedGrantTypeError",
		Message: "grant_type must be client_credentials",
	}
	switch grant := fields["grant_type"]; {
	case grant == "client_credentials":
		return nil
	case grant == "":
		return badRequest("grant_type is missing")
	case grant == tokenExchange && strings.HasPrefix(r.URL.Path, "/auth/realms/"):
		e.Kind, e.Code, e.Message = model.KindNotOffered, "MGT-016", "The exchange of tokens is not offered"
	}
	return e
}

// tokenCredentials finds the credentials: Basic wins over the body.
func tokenCredentials(r *http.Request, fields map[string]string) ([]credentials, error) {
	if authorization := r.Header.Get("Authorization"); hasScheme(authorization, "Basic") {
		attempts, ok := parseBasic(authorization)
		if !ok {
			return nil, noCredentials()
		}
		return attempts, nil
	}
	c := credentials{}
	for to, names := range map[*string][2]string{&c.id: {"client_id", "clientId"}, &c.secret: {"client_secret", "clientSecret"}} {
		first, second := fields[names[0]], fields[names[1]]
		if first != "" && second != "" && first != second {
			return nil, badRequest(names[0] + " and " + names[1] + " differ")
		}
		*to = first + second
		if first != "" {
			*to = first
		}
	}
	if c.id == "" || c.secret == "" {
		return nil, noCredentials()
	}
	return []credentials{c}, nil
}

func noCredentials() error {
	return &model.Error{
		Kind: model.KindUnauthorized, Code: "MGT-004", Name: "UnauthorizedError",
		Message: "The client id or the secret is missing",
	}
}

func hasScheme(authorization, scheme string) bool {
	return len(authorization) > len(scheme) && strings.EqualFold(authorization[:len(scheme)], scheme) &&
		authorization[len(scheme)] == ' '
}

// parseBasic reads the header of HTTP Basic. RFC 6749 wants id and secret form-encoded inside, most clients do not:
// both readings are tried, the decoded one first.
func parseBasic(authorization string) ([]credentials, bool) {
	if !hasScheme(authorization, "Basic") {
		return nil, false
	}
	text, err := base64.StdEncoding.DecodeString(strings.TrimSpace(authorization[len("Basic "):]))
	if err != nil {
		return nil, false
	}
	id, secret, ok := strings.Cut(string(text), ":")
	if !ok || id == "" || secret == "" {
		return nil, false
	}
	literal := credentials{id, secret}
	decodedID, errID := url.QueryUnescape(id)
	decodedSecret, errSecret := url.QueryUnescape(secret)
	decoded := credentials{decodedID, decodedSecret}
	if errID != nil || errSecret != nil || decoded == literal {
		return []credentials{literal}, true
	}
	return []credentials{decoded, literal}, true
}
