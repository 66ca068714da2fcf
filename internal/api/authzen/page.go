package authzen

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/decide"
	"github.com/ambit-authz/ambit/internal/model"
)

// place is where a search goes on: what a page token holds (authzen.md 9). Route, environment and scope are bound by the
// seal. After names candidates that the subject must perhaps not learn of, so that tokens are encrypted.
type place struct {
	Version int      `json:"v"`
	Digest  []byte   `json:"d"` // of the request
	Limit   int      `json:"l"`
	After   []string `json:"a,omitempty"`
	Issued  int64    `json:"t"` // unix seconds
}

const placeVersion = 1

// A place has several names, in case the last of them are deleted before the next page is asked for.
const (
	maxPlaceNames = 8
	maxPlaceBytes = 2048
)

// next is the place behind what was found.
func (p *place) next(found *decide.Found, now time.Time) *place {
	names := slices.Clone(found.Names)
	slices.Reverse(names)
	if found.Last != "" && (len(names) == 0 || names[0] != found.Last) {
		names = slices.Insert(names, 0, found.Last)
	}
	names = append(names, p.After...)
	out := &place{Version: placeVersion, Digest: p.Digest, Limit: p.Limit, Issued: now.Unix()}
	size := 0
	for _, name := range names {
		if size += len(name); len(out.After) == maxPlaceNames || len(out.After) > 0 && size > maxPlaceBytes {
			break
		}
		if !slices.Contains(out.After, name) {
			out.After = append(out.After, name)
		}
	}
	return out
}

// place is where the request wants to go on: the beginning without a token.
func (x *exchange) place(target string, f fields, l limits) (*place, error) {
	digest, err := digestOf(f)
	if err != nil {
		return nil, err
	}
	limit := min(l.limit, x.h.options.PageMax)
	if l.token == "" {
		if limit < 0 {
			limit = min(x.h.options.PageSize, x.h.options.PageMax)
		}
		return &place{Digest: digest, Limit: limit}, nil
	}
	p, ok := x.unseal(target, l.token)
	age := x.h.options.Clock().Sub(time.Unix(p.Issued, 0))
	if !ok || p.Version != placeVersion || !bytes.Equal(p.Digest, digest) || age > x.h.options.TokenTTL {
		return nil, errPageToken()
	}
	if limit >= 0 && limit != p.Limit {
		return nil, invalid("page.limit must stay as it was on the page before")
	}
	return p, nil
}

func errPageToken() error { return invalid("invalid page token") }

// digestOf tells requests apart by their values: order of members and white space do not matter.
func digestOf(f fields) ([]byte, error) {
	sum := sha256.New()
	for _, name := range []string{"subject", "action", "resource", "context"} {
		if v, ok := f[name]; ok {
			text, err := jsontext.AppendFormat(nil, v, jsontext.ReorderRawObjects(true),
				jsontext.CanonicalizeRawInts(false), jsontext.CanonicalizeRawFloats(false))
			if err != nil {
				return nil, &model.Error{Op: "authzen.digest", Err: err}
			}
			sum.Write([]byte(name + "="))
			sum.Write(append(text, '\n'))
		}
	}
	return sum.Sum(nil), nil
}

// sealedFor names the only place where a token is good.
func (x *exchange) sealedFor(target string) string {
	return strings.Join([]string{"authzen page token", target, string(x.call.Environment()), string(x.call.Client())}, "\n")
}

func (x *exchange) seal(target string, p *place) string {
	text, _ := json.Marshal(p) // numbers and valid texts: there is nothing that fails
	return base64.RawURLEncoding.EncodeToString(x.h.options.Sealer.Encrypt(x.sealedFor(target), text))
}

func (x *exchange) unseal(target, token string) (*place, bool) {
	p := &place{}
	// strict, so that a changed byte never gives the same token
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || strings.ContainsAny(token, "\r\n") {
		return p, false
	}
	text, ok := x.h.options.Sealer.Decrypt(x.sealedFor(target), sealed)
	return p, ok && json.Unmarshal(text, p) == nil
}

// wholeNumber reads the text of a number of at least 0; the largest stands for all that are larger.
func wholeNumber(text string) (int, bool) {
	n, err := strconv.ParseUint(text, 10, 31)
	if errors.Is(err, strconv.ErrRange) {
		return math.MaxInt32, true
	}
	return int(n), err == nil
}
