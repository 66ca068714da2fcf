package cli

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v3"

	"github.com/ambit-authz/ambit/docs/api"
)

// A large file is looked through where it lies: its size does not come back as memory.
func TestMemberWalkHoldsNothing(t *testing.T) {
	var d apiDescription
	if err := yaml.Unmarshal([]byte(api.Description()), &d); err != nil {
		t.Fatal(err)
	}
	body, takes, err := d.file("POST", "/api/1.0/asset-templates/{env}")
	if err != nil || takes == nil {
		t.Fatalf("the call takes nothing: %v", err)
	}
	var b strings.Builder
	b.WriteString(`{"templateId":"Big","attributes":[`)
	for i := range 50_000 {
		fmt.Fprintf(&b, `{"attributeId":"a%d","displayName":"A","type":"STRING"},`, i)
	}
	b.WriteString("{\"attributeId\":\"a\",\n \"typ\":\"STRING\"}]}")
	text := []byte(b.String())
	places, found := placesOf(text, nil), ""
	w := memberWalk{description: &d, in: jsontext.NewDecoder(bytes.NewBuffer(text)), visit: func(pointer jsontext.Pointer, at int) {
		found += fmt.Sprintf("%s %s\n", places(pointer, at), pointer)
	}}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	ok := w.whole(&known{schema: body})
	runtime.ReadMemStats(&after)
	if !ok || found != "2:2 /attributes/50000/typ\n" {
		t.Errorf("found %q, %t", found, ok)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 2*uint64(len(text)) {
		t.Errorf("%d bytes of memory for %d of text", n, len(text))
	}
	if _, _, err := jsonOf(bytes.Repeat([]byte("#"), maxYAML+1)); err == nil || !strings.Contains(err.Error(), "only JSON may be so large") {
		t.Errorf("YAML of any size: %v", err)
	}
}
