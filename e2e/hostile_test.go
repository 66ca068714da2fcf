package e2e

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	certification     = "0b6c1e52-8a4d-4c7e-9d1f-5a2b3c4d5e6f"
	certificationPEP  = "HOSTILE0000000000001"
	hostileTable      = "testdata/hostile_http.txt"
	hostilePatience   = time.Minute // on a loaded machine
	leastHostileCases = 150
)

var rewriteHostile = flag.Bool("rewrite-hostile", false, "write the statuses that are seen into "+hostileTable+", to be reviewed")

// fillCertification makes the environment of the AuthZEN certification, with a scope that may ask it by header or body.
func fillCertification(s *server) {
	s.t.Helper()
	s.must("POST", "/ambit/1.0/environments", "application/json", fmt.Sprintf(`{"id":%q,"name":"certification","bare":true}`, certification))
	s.ambit(certification, "apply", "../examples/authzen-certification")
	base := "/ambit/1.0/environments/" + certification
	for path, file := range map[string]string{
		"asset-templates/record/assets": "assets", "identity-templates/user/identities": "identities",
	} {
		rows, err := os.ReadFile("../examples/authzen-certification/records/" + file + ".ndjson")
		if err != nil {
			s.t.Fatal(err)
		}
		s.must("POST", base+"/"+path, "application/x-ndjson", string(rows))
	}
	s.must("POST", base+"/scopes", "application/json",
		fmt.Sprintf(`{"clientId":%q,"secret":%q,"name":"hostile","applicationIds":["records-app"]}`, certificationPEP, walkSecret))
	s.ask(certification, certificationPEP, walkSecret, `{"entityId":"alice","entityTypeId":"user"}`) // from here on decisions have followed
}

// hostileCase is a line of the table.
type hostileCase struct {
	line           int
	name, template string
	want           string
}

// hostileCases reads the table.
func hostileCases(t *testing.T) (cases []hostileCase, lines []string) {
	t.Helper()
	text, err := os.ReadFile(hostileTable)
	if err != nil {
		t.Fatal(err)
	}
	lines = strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	for i, line := range lines {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		parts := strings.Split(line, " | ")
		if len(parts) != 3 {
			t.Fatalf("%s:%d: want NAME | REQUEST | STATUSES", hostileTable, i+1)
		}
		cases = append(cases, hostileCase{i, parts[0], parts[1], parts[2]})
	}
	return cases, lines
}

var repeated = regexp.MustCompile(`\{(\d+)\*(.+?)\}`)

// raw is the request that a template stands for.
func raw(t *testing.T, template string) string {
	t.Helper()
	const body = `{"entityId":"alice","entityTypeId":"user"}`
	const evaluation = `{"subject":{"type":"user","id":"alice"},"action":{"name":"read"},"resource":{"type":"record","id":"record-1"}}`
	key := base64.StdEncoding.EncodeToString([]byte(certificationPEP + ":" + walkSecret))
	length := func(text string) string { return strconv.Itoa(len(text)) }
	chunk := func(text string) string { return fmt.Sprintf("%x", len(text)) }
	// what a body holds is quoted for the templates, which are read as Go texts
	quoted := func(text string) string { return strings.ReplaceAll(text, `"`, `\"`) }
	template = repeated.ReplaceAllStringFunc(template, func(found string) string {
		parts := repeated.FindStringSubmatch(found)
		n, err := strconv.Atoi(parts[1])
		if err != nil {
			t.Fatal(err)
		}
		return strings.Repeat(parts[2], n)
	})
	template = strings.NewReplacer(
		"{post}", `POST /api/runtime/token/v3 HTTP/1.1\r\nHost: pdp\r\n{auth}`,
		"{get}", `GET /api/runtime/token/v3?entityId=alice&entityTypeId=user HTTP/1.1\r\nHost: pdp\r\n{auth}`,
		"{eval}", `POST /access/v1/evaluation HTTP/1.1\r\nHost: pdp\r\n{auth}Content-Type: application/json\r\n`,
	).Replace(template)
	template = strings.NewReplacer(
		"{auth}", `X-Client-Id: `+certificationPEP+`\r\nX-Client-Secret: `+walkSecret+`\r\n`,
		"{secret}", walkSecret, "{id}", certificationPEP, "{basic}", key,
		"{B}", quoted(body), "{N}", length(body), "{X}", chunk(body),
		"{E}", quoted(evaluation), "{EN}", length(evaluation), "{EX}", chunk(evaluation),
	).Replace(template)
	text, err := strconv.Unquote(`"` + template + `"`)
	if err != nil {
		t.Fatalf("%s: %v", template, err)
	}
	return text
}

// TestHostileHTTP is reliability.md 4 (hostile HTTP), 3 (request text into query or path), RT-4, RT-5, RT-6, RT-7: raw requests
// over a socket, each with a harmless one behind it. The table says with which statuses the server answers, the harmless one's
// 200 included: where that is missing the server closed the connection, so that nothing behind a request that could be read in
// two ways is ever executed.
func TestHostileHTTP(t *testing.T) {
	t.Parallel()
	s := start(t)
	fillCertification(s)
	address := strings.TrimPrefix(s.url, "http://")
	cases, lines := hostileCases(t)
	if len(cases) < leastHostileCases {
		t.Errorf("only %d cases", len(cases))
	}
	names := map[string]bool{}
	for _, c := range cases {
		if names[c.name] {
			t.Errorf("%s stands there twice", c.name)
		}
		names[c.name] = true
		got := exchange(t, address, raw(t, c.template))
		if *rewriteHostile {
			lines[c.line] = c.name + " | " + c.template + " | " + got
		} else if got != c.want {
			t.Errorf("%s: answered %s, want %s", c.name, got, c.want)
		}
	}
	if status := exchange(t, address, ""); status != "200" {
		t.Errorf("in the end: %s", status)
	}
	if *rewriteHostile {
		if err := os.WriteFile(hostileTable, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// endOfRequest at the end of a request lets the client end its side of the connection, as for one that is cut off.
const endOfRequest = "{end}"

// exchange sends a request and a probe behind it and gives the statuses of all answers.
func exchange(t *testing.T, address, request string) string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(hostilePatience)); err != nil {
		t.Fatal(err)
	}
	request, ends := strings.CutSuffix(request, endOfRequest)
	go func() { // the server may answer, and stop reading, before all is sent
		_, _ = io.WriteString(conn, request+"GET /healthz HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n")
		if ends {
			_ = conn.(*net.TCPConn).CloseWrite()
		}
	}()
	answers, err := io.ReadAll(conn)
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		t.Errorf("%.200q: no end of the answers %.200q", request, answers)
	}
	var statuses []string
	for r := bufio.NewReader(bytes.NewReader(answers)); ; {
		method := http.MethodGet
		if strings.HasPrefix(request, "HEAD ") && len(statuses) == 0 {
			method = http.MethodHead
		}
		answer, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			if r.Buffered() > 0 {
				t.Errorf("%.200q: not an answer: %.300q", request, answers)
			}
			break
		}
		text, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil {
			t.Errorf("%.200q: a broken answer: %.300q", request, answers)
		}
		if bytes.Contains(answers, []byte(walkSecret)) {
			t.Errorf("%.200q: the secret is in the answer %.300q", request, answers)
		}
		if answer.StatusCode == http.StatusInternalServerError {
			t.Errorf("%.200q: %s", request, text)
		}
		statuses = append(statuses, strconv.Itoa(answer.StatusCode))
	}
	if len(statuses) == 0 {
		return "none"
	}
	return strings.Join(statuses, " ")
}

// TestSlowHeaders is reliability.md 3 (stuck peers) and 4 (slowloris): clients that send their headers byte by byte, and some
// that send nothing, are let go however long they go on, and nobody waits for them.
func TestSlowHeaders(t *testing.T) {
	t.Parallel()
	s := start(t)
	address := strings.TrimPrefix(s.url, "http://")
	const clients = 100
	ended := make(chan error, clients)
	for i := range clients {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		go func() {
			text := "GET /healthz HTTP/1.1\r\nHost: pdp\r\n" + strings.Repeat("X: y\r\n", 10_000)
			for n := 0; i%4 > 0 && n < len(text); n++ { // every fourth is silent
				if _, err := io.WriteString(conn, text[n:n+1]); err != nil {
					break // the server has closed it
				}
				time.Sleep(20 * time.Millisecond)
			}
			_ = conn.SetReadDeadline(time.Now().Add(hostilePatience))
			_, err := io.Copy(io.Discard, conn)
			if ne, ok := errors.AsType[net.Error](err); !ok || !ne.Timeout() {
				err = nil // closed or reset, in whatever way
			}
			ended <- err
		}()
	}
	for range 10 {
		if status := exchange(t, address, ""); status != "200" {
			t.Errorf("beside slow clients: %s", status)
		}
	}
	for range clients {
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("a slow client is still there: %v", err)
			}
		case <-time.After(2 * hostilePatience):
			t.Fatal("slow clients are never let go")
		}
	}
}
