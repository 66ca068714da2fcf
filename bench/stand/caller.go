package stand

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
)

// Caller asks the posed question over one connection with as little work as it can, so that a rate is the server's and not
// the client's: the request is made once, and of an answer only the status and the body are looked at. It is for one
// goroutine.
type Caller struct {
	conn    net.Conn
	reader  *bufio.Reader
	request []byte
	want    []byte
	body    []byte
}

// Dial connects a Caller to a contender. Every answer must be the recorded one, byte for byte.
func (s *Stand) Dial(ctx context.Context, c Contender) (*Caller, error) {
	target, err := url.Parse(s.server.URL(int(c)))
	if err != nil {
		return nil, err
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", target.Host)
	if err != nil {
		return nil, err
	}
	request := fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nX-Client-Id: %s\r\nX-Client-Secret: %s\r\nContent-Length: %d\r\n\r\n%s",
		s.path, target.Host, ClientID, s.secret, len(s.question), s.question)
	return &Caller{
		conn: conn, reader: bufio.NewReaderSize(conn, 64<<10), request: request, want: s.answer, body: make([]byte, len(s.answer)),
	}, nil
}

// Ask asks once and compares the answer. A chunked answer is an error.
func (c *Caller) Ask() error {
	if _, err := c.conn.Write(c.request); err != nil {
		return err
	}
	status, err := c.line()
	if err != nil {
		return err
	}
	if !strings.HasPrefix(status, "HTTP/1.1 200 ") {
		return errors.New(status)
	}
	length := -1
	for {
		line, err := c.line()
		if err != nil {
			return err
		}
		if line == "" {
			break
		}
		if name, value, _ := strings.Cut(line, ":"); name == "Content-Length" {
			if length, err = strconv.Atoi(textproto.TrimString(value)); err != nil {
				return err
			}
		}
	}
	if length != len(c.want) {
		return fmt.Errorf("an answer of %d bytes, want %d", length, len(c.want))
	}
	if _, err := io.ReadFull(c.reader, c.body); err != nil {
		return err
	}
	if !bytes.Equal(c.body, c.want) {
		return errors.New("another answer")
	}
	return nil
}

func (c *Caller) line() (string, error) {
	line, err := c.reader.ReadSlice('\n')
	return string(bytes.TrimRight(line, "\r\n")), err
}

// Close ends the connection.
func (c *Caller) Close() error { return c.conn.Close() }
