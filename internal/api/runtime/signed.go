package runtime

import (
	"net/http"
	"strconv"

	"github.com/ambit-authz/ambit/internal/decide"
)

// answerBody is an answer in the form of runtime-api.md 8.5, of which 8.6 makes a token.
type answerBody struct {
	validity int
	name     string        // of the member of the one element of response
	value    func(*stream) // writes that member's value
	none     bool          // response is empty
	more     func(*stream) // writes further members, each after a comma
	context  valueMap      // nil = null
	ready    []byte        // the part of an earlier answer that is not new; nil = there is none
	kept     *keeping      // where that part is left
}

// write answers with d as JSON or, with a signature, as a token: what is signed may come from an earlier answer, the times
// never do. Nothing of the answer is ever held whole, but for EdDSA and for the cache.
func (x *exchange) write(d answerBody, format string, sig *decide.Signature) {
	d.ready, d.kept = x.again.ready(), x.again.keeping()
	if sig == nil && d.ready != nil {
		x.replay(d.ready)
		return
	}
	s := x.openStream()
	if sig == nil {
		s.keep(d.kept)
		s.answer(&d)
		s.buf = append(s.buf, '}')
		x.closeStream(s)
		return
	}
	s.buf = append(s.buf, `{"tokenValidity":`...)
	s.buf = strconv.AppendInt(s.buf, int64(sig.ExpiresAt.Sub(sig.IssuedAt).Seconds()), 10)
	s.buf = append(s.buf, `,"response":[{"accessToken":"`...)
	token, err := sig.Begin(s)
	if err == nil {
		payload := x.h.newStream(token, nil)
		if format == formatStandardJWT {
			payload.standard(&d, sig)
		} else {
			payload.plain(&d, sig)
		}
		payload.send()
		x.h.drop(payload)
		err = token.Close()
	}
	if err != nil {
		x.h.options.Log.Error("an answer could not be signed", "error", err)
		panic(http.ErrAbortHandler) // part of it may have left: it must stay visibly incomplete
	}
	s.buf = append(s.buf, `"}],"contextData":null}`...)
	x.closeStream(s)
}

// Write takes what goes into the answer as it is.
func (s *stream) Write(p []byte) (int, error) {
	s.buf = append(s.buf, p...)
	s.full()
	return len(p), nil
}

// answer writes all members of the JSON answer.
func (s *stream) answer(d *answerBody) {
	s.buf = append(s.buf, `{"tokenValidity":`...)
	s.buf = strconv.AppendInt(s.buf, int64(d.validity), 10)
	s.buf = append(s.buf, `,"response":[`...)
	if !d.none {
		s.member("{", d.name)
		s.buf = append(s.buf, ':')
		d.value(s)
		s.buf = append(s.buf, '}')
	}
	s.buf = append(s.buf, ']')
	d.more(s)
	s.context(d.context)
}

// plain writes the claims of the format JWT: the members of the JSON answer, then those of the token.
func (s *stream) plain(d *answerBody, sig *decide.Signature) {
	s.part(d, func() { s.answer(d) })
	s.number(`,"iat":`, sig.IssuedAt.Unix())
	s.number(`,"exp":`, sig.ExpiresAt.Unix())
	if sig.Audience != "" {
		s.member(`,"aud":`, sig.Audience)
	}
	s.buf = append(s.buf, '}')
}

// standard writes the claims of the format StandardJWT: those of RFC 9068, then what is allowed.
func (s *stream) standard(d *answerBody, sig *decide.Signature) {
	s.member(`{"iss":`, sig.Issuer)
	if sig.Subject != "" {
		s.member(`,"sub":`, sig.Subject)
	}
	audience := sig.Audience
	if audience == "" {
		audience = string(sig.ClientID)
	}
	s.member(`,"aud":`, audience)
	s.number(`,"iat":`, sig.IssuedAt.Unix())
	s.number(`,"nbf":`, sig.IssuedAt.Unix())
	s.number(`,"exp":`, sig.ExpiresAt.Unix())
	s.member(`,"jti":`, sig.ID)
	s.member(`,"client_id":`, string(sig.ClientID))
	s.part(d, func() {
		s.member(`,`, d.name)
		s.buf = append(s.buf, ':')
		d.value(s)
		d.more(s)
	})
	s.buf = append(s.buf, '}')
}

// part writes the part of a payload that is the same whenever it is asked for.
func (s *stream) part(d *answerBody, write func()) {
	if d.ready != nil {
		_, _ = s.Write(d.ready) // never fails: what cannot be sent ends the connection
		return
	}
	s.keep(d.kept)
	write()
	s.stop()
}

func (s *stream) number(name string, n int64) {
	s.buf = append(s.buf, name...)
	s.buf = strconv.AppendInt(s.buf, n, 10)
}
