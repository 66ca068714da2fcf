package client

import (
	"context"
	"time"
)

// Session holds the access list of one identity, for an application that decides many things about it; Client.Session makes
// it. It is safe for concurrent use.
type Session struct {
	client *Client
	query  func() Query // its inside, with the user's token, is printed by no verb of fmt
	maxAge time.Duration
	turn   chan struct{} // held by the one who looks at what follows
	list   *AccessList
	at     time.Time
}

// Session makes a session, without asking. A list is used until it is maxAge old, and then asked for again; with 0 the
// server is asked each time. It sends a list only when it changed.
func (c *Client) Session(q Query, maxAge time.Duration) *Session {
	return &Session{client: c, query: func() Query { return q }, maxAge: maxAge, turn: make(chan struct{}, 1)}
}

// List is the identity's access list, at most maxAge old. A list that cannot be renewed is not used any longer.
func (s *Session) List(ctx context.Context) (*AccessList, error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	asked := time.Now()
	if s.list != nil && asked.Sub(s.at) < s.maxAge {
		return s.list, nil
	}
	list, err := s.client.Refresh(ctx, s.query(), s.list)
	if err != nil {
		return nil, err
	}
	s.list, s.at = list, asked
	return list, nil
}
