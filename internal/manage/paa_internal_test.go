package manage

import (
	"bytes"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/token"
)

// MG-51: which names hold secrets.
func TestIsSecret(t *testing.T) {
	for name, want := range map[string]bool{
		"password": true, "dbPassword": true, "PASSWORD2": true, "client_secret": true, "x-api-key": true, "api.key": true, "ApiKey": true,
		"accessToken": true, "Credentials": true, "user": false, "url": false, "pass": false, "key": false, "": false,
	} {
		if isSecret(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}

// FuzzSecrets: MG-51: whatever a definition looks like, its secrets are not in what is shown or stored, masking twice is masking
// once, and a masked definition that is written back changes nothing.
func FuzzSecrets(f *testing.F) {
	for _, seed := range []string{
		`{"password":"x","a":[{"name":"token","value":"y"},{"modelId":"m","secret":[1]},{"modelId":"m","secret":null}]}`,
		`{"a":{"/~":{"apikey":1.50}},"b":[[{"credential":{}}]],"\u0070assword":"z"}`, `[]`, `null`, `{}`, `[{"key":"secret","Values":"v"},1,"x"]`,
	} {
		f.Add(seed)
	}
	secrets, err := token.NewSecrets(bytes.Repeat([]byte{7}, token.KeySize))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var document jsontext.Value
		if form.Decode([]byte(text), &document) != nil {
			return
		}
		document = form.Compact(document)
		// every secret is made one that stands nowhere else
		const marker = `"0f5e4a779c1e3d0a"`
		marked, err := rewriteSecrets(document, func(property) (jsontext.Value, error) { return jsontext.Value(marker), nil })
		if err != nil || strings.Contains(text, strings.Trim(marker, `"`)) {
			return
		}
		shown := maskedSource(&model.PAASource{Definition: marked})
		if bytes.Contains(shown, []byte(strings.Trim(marker, `"`))) || !shown.IsValid() {
			t.Fatalf("%s is shown as %s", marked, shown)
		}
		if again := maskedSource(&model.PAASource{Definition: shown}); !bytes.Equal(again, shown) {
			t.Fatalf("%s, masked again %s", shown, again)
		}
		seal := sealer{secrets: secrets, at: []string{"e", "g", "s"}}
		stored, err := seal.seal(marked)
		if err != nil || bytes.Contains(stored, []byte(strings.Trim(marker, `"`))) {
			t.Fatalf("%s is stored as %s: %v", marked, stored, err)
		}
		seal.stored = stored
		for _, write := range []jsontext.Value{shown, marked} {
			if kept, err := seal.seal(write); err != nil || !bytes.Equal(kept, stored) {
				t.Fatalf("%s became %s: %v", stored, kept, err)
			}
		}
	})
}
