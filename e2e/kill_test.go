package e2e

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	killEnvironment = "11111111-2222-4333-8444-555555555555"
	killScope       = "WORKSHOP000000000001"
	killRows        = 200
)

// world is a server that is killed again and again, and what it has acknowledged.
type world struct {
	t       *testing.T
	dir     string
	address string
	server  *exec.Cmd
	log     *bytes.Buffer
	api     api
	secret  string

	mu       sync.Mutex
	begun    int // the last turn whose write was sent
	acked    int // the last turn whose write was acknowledged
	revision int // that was acknowledged last
	seen     int // the newest turn that a decision showed
}

// TestKill kills the server with SIGKILL while it takes writes, bulk uploads and applied directories by turns, and while
// decisions are asked (reliability section 4). After each restart every acknowledged write must be there, and no answer,
// before or after, may show a part of a write: all things carry the same turn.
func TestKill(t *testing.T) {
	loops := 100
	if testing.Short() {
		loops = 5
	}
	if n, err := strconv.Atoi(os.Getenv("AMBIT_KILL_LOOPS")); err == nil {
		loops = n
	}
	address, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, dir: t.TempDir(), address: address, api: api{url: "http://" + address}}
	w.start()
	w.prepare()
	slowest := time.Duration(0)
	for range loops {
		w.disturb(time.Duration(5+rand.IntN(80)) * time.Millisecond)
		started := time.Now()
		w.start()
		slowest = max(slowest, time.Since(started))
		w.verify()
		if t.Failed() {
			t.Logf("log of the server:\n%s", w.log)
			break
		}
	}
	t.Logf("%d kills, %d writes acknowledged, revision %d, slowest restart %s", loops, w.acked, w.revision, slowest)
	if w.acked < loops {
		t.Errorf("only %d writes were acknowledged: the test did not test much", w.acked)
	}
	w.kill()
}

func (w *world) start() {
	w.t.Helper()
	w.api.client.CloseIdleConnections()
	w.log = &bytes.Buffer{}
	w.server = exec.Command(program, "serve", "--listen", w.address, "--data", w.dir, "--log-level", "warn")
	w.server.Env = append(os.Environ(), "AMBIT_ADMIN_ID=admin", "AMBIT_ADMIN_SECRET=a-secret-of-this-test")
	w.server.Stderr = w.log
	if err := w.server.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = w.server.Process.Kill() })
	if err := ready(w.api.url); err != nil {
		w.t.Fatalf("%v\n%s", err, w.log)
	}
}

func (w *world) kill() {
	_ = w.server.Process.Kill()
	_ = w.server.Wait()
}

func (w *world) prepare() {
	w.t.Helper()
	must := func(text []byte, err error) []byte {
		w.t.Helper()
		if err != nil {
			w.t.Fatalf("%v\n%s", err, w.log)
		}
		return text
	}
	must(nil, w.api.login("admin", "a-secret-of-this-test"))
	must(w.api.call("POST", "/ambit/1.0/environments", "application/json",
		strings.NewReader(`{"id":"`+killEnvironment+`","name":"World","bare":true}`)))
	must(w.write("/apply", "application/x-tar", w.archive(0)))
	must(w.write("/identity-templates/Person/identities", "application/x-ndjson", []byte(`{"entityId":"ann","attributes":{"team":"red"}}`)))
	text := must(w.write("/scopes/"+killScope+"/secrets", "application/json", []byte("{}")))
	var made struct{ Data struct{ Secret string } }
	must(nil, json.Unmarshal(text, &made))
	w.secret = made.Data.Secret
	var err error
	w.revision, err = w.latest()
	must(nil, err)
	w.verify()
}

func (w *world) write(path, contentType string, body []byte) ([]byte, error) {
	return w.api.call("POST", "/ambit/1.0/environments/"+killEnvironment+path, contentType, bytes.NewReader(body))
}

// rows are all things as of a turn.
func rows(turn int) []byte {
	var b bytes.Buffer
	for i := range killRows {
		fmt.Fprintf(&b, `{"path":"thing-%03d","attributes":{"team":"red","turn":"%d"}}`+"\n", i, turn)
	}
	return b.Bytes()
}

// archive is the directory of the world with the things as of a turn.
func (w *world) archive(turn int) []byte {
	var b bytes.Buffer
	archive := tar.NewWriter(&b)
	add := func(name string, text []byte) {
		if err := archive.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(text))}); err != nil {
			w.t.Error(err)
		}
		if _, err := archive.Write(text); err != nil {
			w.t.Error(err)
		}
	}
	root := os.DirFS("testdata/world")
	err := fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(root, p)
		if strings.HasSuffix(p, ".rego") {
			text = bytes.Replace(text, []byte(`description: ""`), fmt.Appendf(nil, `description: "turn %d"`, turn), 1)
		}
		add(p, text)
		return err
	})
	if err != nil {
		w.t.Error(err)
	}
	add("authorization-workspaces/Main/assets/Things.ndjson", rows(turn))
	if err := archive.Close(); err != nil {
		w.t.Error(err)
	}
	return b.Bytes()
}

// disturb writes turn after turn while decisions are asked, until the server is killed after d.
func (w *world) disturb(d time.Duration) {
	done := make(chan struct{})
	var parts sync.WaitGroup
	parts.Go(func() {
		for turn := w.begun + 1; ; turn++ {
			select {
			case <-done:
				return
			default:
			}
			w.mu.Lock()
			w.begun = turn
			w.mu.Unlock()
			var err error
			if turn%3 == 0 {
				_, err = w.write("/apply", "application/x-tar", w.archive(turn))
			} else {
				_, err = w.write("/asset-templates/Things/assets", "application/x-ndjson", rows(turn))
			}
			if err != nil {
				w.refused(err)
				return // the server is gone; whether this turn was stored is open
			}
			w.mu.Lock()
			w.acked = turn
			w.mu.Unlock()
		}
	})
	parts.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			if _, err := w.ask(); err != nil {
				w.refused(err)
				return
			}
		}
	})
	time.Sleep(d)
	w.kill()
	close(done)
	parts.Wait()
}

// refused tells a server that is gone, which is the point, from one that answers with an error, which is not.
func (w *world) refused(err error) {
	for _, gone := range []string{"EOF", "connection re", "broken pipe", "closed"} {
		if strings.Contains(err.Error(), gone) {
			return
		}
	}
	w.t.Errorf("the server refused: %v", err)
}

// ask puts the question and returns the turn that the answer shows. An answer with two turns, or with some of the
// things, is a half write.
func (w *world) ask() (int, error) {
	req, err := http.NewRequest("POST", w.api.url+"/api/runtime/token/v3", strings.NewReader(`{"entityId":"ann","entityTypeId":"Person"}`))
	if err != nil {
		return 0, err
	}
	req.Header.Set("X-Client-Id", killScope)
	req.Header.Set("X-Client-Secret", w.secret)
	req.Header.Set("Ambit-Min-Revision", strconv.Itoa(w.revision)) // decisions follow writes a moment later
	resp, err := w.api.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	var answer struct {
		Response []struct {
			Access []struct{ Attributes map[string][]string }
		}
	}
	if err := json.Unmarshal(text, &answer); err != nil || resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%d %s", resp.StatusCode, text)
	}
	turns := map[string]int{}
	for _, r := range answer.Response {
		for _, a := range r.Access {
			turns[strings.Join(a.Attributes["turn"], ",")]++
		}
	}
	if len(turns) != 1 {
		return 0, fmt.Errorf("half a write is seen: things by turn: %v", turns)
	}
	for turn, count := range turns {
		n, err := strconv.Atoi(turn)
		if err != nil || count != killRows {
			return 0, fmt.Errorf("%d things of turn %q", count, turn)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if n > w.begun {
			return 0, fmt.Errorf("turn %d is seen, %d was the last sent", n, w.begun)
		}
		w.seen = max(w.seen, n)
		return n, nil
	}
	return 0, nil
}

// verify checks a server that has just started: it shows the newest acknowledged turn or the one that was being written,
// nothing older than what was seen, and no revision is lost.
func (w *world) verify() {
	w.t.Helper()
	if err := w.api.login("admin", "a-secret-of-this-test"); err != nil {
		w.t.Errorf("logging in: %v", err)
		return
	}
	turn, err := w.ask()
	if err != nil {
		w.t.Errorf("asking after the restart: %v", err)
		return
	}
	if turn < w.acked || turn < w.seen || turn > w.begun {
		w.t.Errorf("turn %d is there: %d was acknowledged, %d was seen, %d was sent", turn, w.acked, w.seen, w.begun)
	}
	now, err := w.latest()
	if err != nil {
		w.t.Errorf("reading the revision: %v", err)
		return
	}
	if now < w.revision {
		w.t.Errorf("revision %d after %d", now, w.revision)
	}
	w.revision = now
	w.begun = turn
	w.acked = turn
}

// latest reads the environment's revision.
func (w *world) latest() (int, error) {
	text, err := w.api.call("GET", "/ambit/1.0/environments/"+killEnvironment+"/revision", "", nil)
	var now struct{ Data struct{ Revision int } }
	if err == nil {
		err = json.Unmarshal(text, &now)
	}
	return now.Data.Revision, err
}
