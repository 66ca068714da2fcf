package peers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/ambit-authz/ambit/bench/workload"
)

// OpenFGA is the real server, in memory, asked over HTTP by keep-alive. It has no rules over attributes, so it is given the
// answer as tuples: a relation for each action, and nothing to work out. One user's list takes a ListObjects call for each.
type OpenFGA struct {
	url, store, model string
	user              string
	server            *exec.Cmd
	client            *http.Client
}

// openFGAUsers are the users whose tuples it holds; the others have as many as the one who asks, of other assets.
const openFGAUsers = 10

// StartOpenFGA starts the given program and writes the answer of a world of one type into it.
func StartOpenFGA(ctx context.Context, program string, w *workload.World, want Answer) (o *OpenFGA, err error) {
	ports := make([]string, 2)
	for i := range ports {
		if ports[i], err = freeAddress(ctx); err != nil {
			return nil, err
		}
	}
	o = &OpenFGA{url: "http://" + ports[0], user: "user:" + w.User.ID, client: &http.Client{Transport: &http.Transport{ReadBufferSize: 64 << 10}}}
	o.server = exec.CommandContext(ctx, program, "run")
	o.server.Env = append(os.Environ(), "OPENFGA_DATASTORE_ENGINE=memory", "OPENFGA_HTTP_ADDR="+ports[0], "OPENFGA_GRPC_ADDR="+ports[1],
		"OPENFGA_PLAYGROUND_ENABLED=false", "OPENFGA_METRICS_ENABLED=false", "OPENFGA_LOG_LEVEL=error",
		"OPENFGA_LIST_OBJECTS_MAX_RESULTS=0", "OPENFGA_LIST_OBJECTS_DEADLINE=1m", "OPENFGA_REQUEST_TIMEOUT=2m")
	if err := o.server.Start(); err != nil {
		return nil, err
	}
	if err := errors.Join(o.await(ctx), o.fill(ctx, w, want)); err != nil {
		return nil, errors.Join(err, o.Close())
	}
	return o, nil
}

func freeAddress(ctx context.Context) (string, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func (o *OpenFGA) await(ctx context.Context) error {
	for start := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		err := o.call(ctx, http.MethodGet, "/healthz", nil, nil)
		if err == nil || time.Since(start) > time.Minute {
			return err
		}
	}
}

type tuple struct {
	User     string `json:"user"`
	Relation string `json:"relation"`
	Object   string `json:"object"`
}

// fill makes a store with a type of assets that has a relation for each action, and writes the tuples.
func (o *OpenFGA) fill(ctx context.Context, w *workload.World, want Answer) error {
	var made struct {
		ID    string `json:"id"`
		Model string `json:"authorization_model_id"`
	}
	if err := o.call(ctx, http.MethodPost, "/stores", map[string]string{"name": "bench"}, &made); err != nil {
		return err
	}
	o.store = "/stores/" + made.ID
	relations, metadata := map[string]any{}, map[string]any{}
	for _, a := range workload.Actions() {
		relations[strings.ToLower(a)] = map[string]any{"this": struct{}{}}
		metadata[strings.ToLower(a)] = map[string]any{"directly_related_user_types": []any{map[string]string{"type": "user"}}}
	}
	err := o.call(ctx, http.MethodPost, o.store+"/authorization-models", map[string]any{"schema_version": "1.1", "type_definitions": []any{
		map[string]any{"type": "user"},
		map[string]any{"type": "asset", "relations": relations, "metadata": map[string]any{"relations": metadata}},
	}}, &made)
	if err != nil {
		return err
	}
	o.model = made.Model
	tuples := openFGATuples(w, want)
	for len(tuples) > 0 {
		n := min(100, len(tuples)) // as many as it takes in one write
		if err := o.call(ctx, http.MethodPost, o.store+"/write", map[string]any{"writes": map[string]any{"tuple_keys": tuples[:n]}}, nil); err != nil {
			return err
		}
		tuples = tuples[n:]
	}
	return nil
}

func openFGATuples(w *workload.World, want Answer) []tuple {
	place := make(map[string]int, w.PerType)
	paths := make([]string, 0, w.PerType)
	for a := range w.Assets(0) {
		place[a.Path] = len(paths)
		paths = append(paths, a.Path)
	}
	var out []tuple
	for n := range openFGAUsers {
		user := "user:" + w.User.ID
		if n > 0 {
			user = fmt.Sprint("user:other-", n)
		}
		for _, g := range want {
			object := "asset:" + paths[(place[g.Path]+n*w.PerType/openFGAUsers)%len(paths)]
			for i, a := range workload.Actions() {
				if g.Actions>>i&1 == 1 {
					out = append(out, tuple{user, strings.ToLower(a), object})
				}
			}
		}
	}
	return out
}

// List asks a ListObjects call for each action and reads the answers.
func (o *OpenFGA) List(ctx context.Context) ([][]byte, error) {
	var out [][]byte
	for _, a := range workload.Actions() {
		text, err := o.send(ctx, http.MethodPost, o.store+"/list-objects", map[string]string{
			"authorization_model_id": o.model, "type": "asset", "relation": strings.ToLower(a), "user": o.user,
		})
		if err != nil {
			return nil, err
		}
		out = append(out, text)
	}
	return out, nil
}

// Answer collects the list.
func (o *OpenFGA) Answer(ctx context.Context) (Answer, error) {
	texts, err := o.List(ctx)
	if err != nil {
		return nil, err
	}
	granted := map[string]uint8{}
	for i, text := range texts {
		var got struct{ Objects []string }
		if err := json.Unmarshal(text, &got); err != nil {
			return nil, err
		}
		for _, object := range got.Objects {
			granted[strings.TrimPrefix(object, "asset:")] |= 1 << i
		}
	}
	return fromMap(granted), nil
}

// call sends in as JSON and reads the answer into out; either may be nil.
func (o *OpenFGA) call(ctx context.Context, method, path string, in, out any) error {
	text, err := o.send(ctx, method, path, in)
	if err != nil || out == nil {
		return err
	}
	return json.Unmarshal(text, out)
}

func (o *OpenFGA) send(ctx context.Context, method, path string, in any) ([]byte, error) {
	var body bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, o.url+path, &body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := o.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("%s %s: %s: %.300s", method, path, resp.Status, text)
	}
	return text, err
}

// Close stops the server.
func (o *OpenFGA) Close() error {
	err := o.server.Process.Kill()
	_ = o.server.Wait() // it was killed
	return err
}
