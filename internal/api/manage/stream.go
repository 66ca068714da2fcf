package manage

import (
	"bufio"
	"cmp"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
)

const mediaCSV = "text/csv"

// preferred is the one of the media types that the caller would rather have: that of the highest weight, of equal ones
// the one that Accept names first. Without a wish it is the first of types.
func (x *exchange) preferred(types ...string) string {
	best, weight := types[0], 0.0
	for _, a := range accepted(x.r) {
		family, isRange := strings.CutSuffix(a.media, "*")
		for _, media := range types {
			fits := a.media == media || a.media == "*/*" || isRange && strings.HasPrefix(media, family)
			if fits && a.weight > weight {
				best, weight = media, a.weight
			}
		}
	}
	return best
}

// streamBuffer is how much of a stream is written at once. An error before that much is an ordinary error answer.
const streamBuffer = 64 << 10

// stream answers 200 with what write writes. When write fails after bytes have left, the connection is broken off: a
// client must never take a part for the whole.
func (x *exchange) stream(contentType string, write func(io.Writer) error) error {
	s := &stream{x: x, contentType: contentType}
	out := bufio.NewWriterSize(s, streamBuffer)
	err := write(out)
	if err == nil {
		err = out.Flush()
	}
	if err == nil {
		s.begin() // an empty list
	}
	switch {
	case errors.Is(err, errHeadOnly):
		return nil
	case err == nil || !s.begun:
		return err
	case s.lost == nil: // else the peer is gone: nobody is left to tell
		cmp.Or(x.api.log, slog.Default()).Error("a stream was broken off", "path", x.r.URL.Path,
			"requestId", x.w.Header().Get("x-request-id"), "error", err)
	}
	panic(http.ErrAbortHandler)
}

// errHeadOnly ends a stream after its head.
var errHeadOnly = errors.New("only the head was asked for")

// stream begins the answer with the first bytes.
type stream struct {
	x           *exchange
	contentType string
	begun       bool
	lost        error // of the connection
}

func (s *stream) begin() {
	if s.begun {
		return
	}
	s.begun = true
	h := s.x.w.Header()
	h.Set("Content-Type", s.contentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	s.x.w.WriteHeader(http.StatusOK)
}

// Write implements io.Writer.
func (s *stream) Write(p []byte) (n int, err error) {
	s.begin()
	if s.x.r.Method == http.MethodHead {
		return 0, errHeadOnly
	}
	n, s.lost = s.x.w.Write(p)
	return n, s.lost
}
