package token

import (
	"context"
	"crypto"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"golang.org/x/sync/singleflight"

	"github.com/ambit-authz/ambit/internal/model"
)

// Ages of a fetched key set, and how often it is asked for.
const (
	keysFresh   = 5 * time.Minute  // used as it is; after that it is fetched again behind the answer
	keysAged    = 15 * time.Minute // fetched again before the answer; as it is only while its issuer is away
	keysStale   = time.Hour        // never used
	fetchPause  = 30 * time.Second // between two fetches of one set
	fetchTime   = 5 * time.Second
	maxKeySet   = 512 << 10 // bytes
	maxKeys     = 100       // of one set
	maxKeySets  = 1024
	maxRedirect = 3
)

// KeyFetch is the client that key sets are fetched with: bounded in time, and led by a redirect only to a URL that could
// stand in the settings and has the same scheme.
func KeyFetch() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxResponseHeaderBytes = 64 << 10
	transport.MaxConnsPerHost = 4
	return &http.Client{
		Transport: transport, Timeout: fetchTime,
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > maxRedirect || r.URL.Scheme != via[0].URL.Scheme || model.CheckKeyURL(r.URL.String()) != "" {
				return errors.New("the redirect is not followed")
			}
			return nil
		},
	}
}

// keySets are the key sets of issuers by URL. The least recently used ones are forgotten.
type keySets struct {
	client *http.Client
	now    func() time.Time
	failed func(url string, err error)
	sets   *lru.Cache[string, *keySet]
	flight singleflight.Group
}

// issuerKey is a public key with the algorithms that it is good for.
type issuerKey struct {
	key        jwk.Key
	kid        string
	thumbprint thumbprint
	algorithms []jwa.SignatureAlgorithm
}

// thumbprint is that of RFC 7638.
type thumbprint [sha256.Size]byte

// keySet is what is known of one URL.
type keySet struct {
	mu      sync.Mutex
	keys    []issuerKey
	fetched time.Time // zero = never
	tried   time.Time
}

func (k *keySet) state() (keys []issuerKey, fetched, tried time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.keys, k.fetched, k.tried
}

func (s *keySets) of(url string) *keySet {
	if set, ok := s.sets.Get(url); ok {
		return set
	}
	set := &keySet{}
	if earlier, found, _ := s.sets.PeekOrAdd(url, set); found {
		return earlier
	}
	return set
}

// find gives the keys of a URL. The error says that there are none to judge by: the issuer is away, and what it said
// before is too old.
func (s *keySets) find(ctx context.Context, url string) ([]issuerKey, error) {
	set := s.of(url)
	keys, fetched, tried := set.state()
	now := s.now()
	age := now.Sub(fetched)
	known := !fetched.IsZero() && age < keysStale
	switch {
	case known && age < keysFresh:
		return keys, nil
	case now.Sub(tried) < fetchPause:
	case known && age < keysAged:
		s.fetch(url, set)
		return keys, nil
	default:
		if err := s.wait(ctx, url, set); err != nil && !known {
			return nil, err
		}
		keys, fetched, _ = set.state()
		known = !fetched.IsZero() && now.Sub(fetched) < keysStale
	}
	if !known {
		return nil, errors.New("the key set could not be fetched a moment ago")
	}
	return keys, nil
}

// held gives the keys of a URL that are here, without waiting for others: those that find would fetch again are fetched behind
// the answer. known is false while nothing was ever fetched, as when the set was forgotten for others. The error is that of find.
func (s *keySets) held(url string) (keys []issuerKey, known bool, err error) {
	set := s.of(url)
	keys, fetched, tried := set.state()
	now := s.now()
	age := now.Sub(fetched)
	if age >= keysFresh && now.Sub(tried) >= fetchPause {
		s.fetch(url, set)
	}
	switch {
	case fetched.IsZero() && tried.IsZero():
		return nil, false, nil
	case fetched.IsZero() || age >= keysStale:
		return nil, false, errors.New("the key set could not be fetched for long")
	}
	return keys, true, nil
}

// start begins to fetch those sets that find would wait for, so that they are waited for together: several issuers that
// are away must not cost several times as long.
func (s *keySets) start(urls []string) {
	now := s.now()
	for _, url := range urls {
		set := s.of(url)
		if _, fetched, tried := set.state(); now.Sub(fetched) >= keysAged && now.Sub(tried) >= fetchPause {
			s.fetch(url, set)
		}
	}
}

// again gives the keys after a fresh fetch, for a token whose key is not among them; ok is false when it is too early for
// one.
func (s *keySets) again(ctx context.Context, url string) (keys []issuerKey, ok bool, err error) {
	set := s.of(url)
	if _, _, tried := set.state(); s.now().Sub(tried) < fetchPause {
		return nil, false, nil
	}
	if err := s.wait(ctx, url, set); err != nil {
		return nil, false, err
	}
	keys, _, _ = set.state()
	return keys, true, nil
}

// wait fetches a set, together with whoever else wants it. A caller that leaves does not end the fetch for the others.
func (s *keySets) wait(ctx context.Context, url string, set *keySet) error {
	select {
	case done := <-s.fetch(url, set):
		return done.Err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *keySets) fetch(url string, set *keySet) <-chan singleflight.Result {
	return s.flight.DoChan(url, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.Background(), fetchTime)
		defer cancel()
		keys, err := s.read(ctx, url)
		set.mu.Lock()
		set.tried = s.now()
		if err == nil {
			set.keys, set.fetched = keys, set.tried
		}
		set.mu.Unlock()
		if err != nil {
			s.failed(url, err)
		}
		return nil, err
	})
}

func (s *keySets) read(ctx context.Context, url string) (keys []issuerKey, err error) {
	if problem := model.CheckKeyURL(url); problem != "" {
		return nil, errors.New(problem)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/jwk-set+json, application/json")
	response, err := s.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", response.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxKeySet+1))
	if err != nil {
		return nil, err
	}
	return parseKeySet(text)
}

// parseKeySet reads the public signing keys of a JWK set. Keys of kinds that are not used here are passed over: a set may
// hold some for others. So are secret ones, which nobody could trust.
func parseKeySet(text []byte) ([]issuerKey, error) {
	if len(text) > maxKeySet {
		return nil, fmt.Errorf("more than %d bytes", maxKeySet)
	}
	var set struct {
		Keys []jsontext.Value `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil || set.Keys == nil {
		return nil, errors.New("not a JWK set")
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("%d keys, the limit is %d", len(set.Keys), maxKeys)
	}
	out := []issuerKey{}
	for _, text := range set.Keys {
		key, err := jwk.ParseKey(text)
		if err != nil {
			continue
		}
		if good := algorithms(key); len(good) > 0 {
			sum, err := key.Thumbprint(crypto.SHA256)
			if err != nil {
				continue
			}
			kid, _ := key.KeyID()
			out = append(out, issuerKey{key, kid, thumbprint(sum), good})
		}
	}
	return out, nil
}
