package manage

import (
	"net/http/httptest"
	"testing"

	"golang.org/x/oauth2/clientcredentials"
)

// MG-25: the usual client library obtains a token without being told how this server wants it.
func TestClientCredentialsClient(t *testing.T) {
	w := newWorld(t)
	server := httptest.NewServer(w.handler)
	defer server.Close()
	for _, path := range []string{"/oauth2/token", realm, "/api/1.0/api-key/token"} {
		c := clientcredentials.Config{ClientID: "admin", ClientSecret: w.secrets["admin"], TokenURL: server.URL + path}
		token, err := c.Token(t.Context())
		if err != nil || token.Type() != "Bearer" {
			t.Fatalf("%s: %v", path, err)
		}
		if _, err := w.service.Authenticate(t.Context(), token.AccessToken); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		c.ClientSecret = "wrong"
		if _, err := c.Token(t.Context()); err == nil {
			t.Errorf("%s: a wrong secret got a token", path)
		}
	}
}
