package sqlite

import (
	"context"
	"errors"
	"os"
	"sync"

	"zombiezen.com/go/sqlite"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// maxHeldLog is how large the log may be while states are held, in bytes. SQLite cannot begin its log anew while a held
// state needs it, and each new one may need a later part of it; beyond this size all of them are released.
const maxHeldLog = 1 << 30

// heldSettings are those of a connection that reads a page now and then.
const heldSettings = "query_only = on; cache_size = -2048"

// holds are the states that are held.
type holds struct {
	mu     sync.Mutex
	closed bool
	all    map[*held]struct{}
	open   sync.WaitGroup
}

// held implements store.Held: a read transaction on a connection of its own.
type held struct {
	store       *Store
	environment model.EnvironmentID
	conn        chan *sqlite.Conn // holds the connection while nobody reads
	life        context.Context   //nolint:containedctx // ends with the state, not with a call
	end         context.CancelFunc
	closing     sync.Once
	closed      error // of the connection
}

// Hold implements store.Store.
func (s *Store) Hold(ctx context.Context, env model.EnvironmentID) (store.Held, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	h := &held{store: s, environment: env, conn: make(chan *sqlite.Conn, 1)}
	h.life, h.end = context.WithCancel(context.Background())
	if !s.holds.add(h) {
		return nil, store.ErrClosed
	}
	conn, err := connect(s.path)
	if err == nil {
		err = configure(conn, heldSettings)
	}
	if err == nil {
		err = begin(ctx, conn, "BEGIN")
	}
	if err == nil { // SQLite fixes the state at the first read
		_, err = newTransaction(ctx, conn, store.Write{Environment: env}, false)
	}
	h.conn <- conn
	if err != nil {
		return nil, errors.Join(translate(ctx, "hold", err), h.Close())
	}
	return h, nil
}

func (hs *holds) add(h *held) bool {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	if hs.closed {
		return false
	}
	hs.all[h] = struct{}{}
	hs.open.Add(1)
	return true
}

func (hs *holds) remove(h *held) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	delete(hs.all, h)
	hs.open.Done()
}

// releaseAll ends all states without waiting for those who read them; with forever there will be no others.
func (hs *holds) releaseAll(forever bool) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	hs.closed = hs.closed || forever
	for h := range hs.all {
		h.end()
		go h.Close() //nolint:errcheck // a connection that has only read has nothing to lose
	}
}

// bound releases all states when the log has grown too much for them.
func (s *Store) bound() {
	s.holds.mu.Lock()
	n := len(s.holds.all)
	s.holds.mu.Unlock()
	if n == 0 {
		return
	}
	if log, err := os.Stat(s.path + "-wal"); err == nil && log.Size() > maxHeldLog {
		s.holds.releaseAll(false)
	}
}

// View implements store.Held.
func (h *held) View(ctx context.Context, fn func(*store.Tx) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(h.life, stop)()
	err := h.view(ctx, fn)
	if err != nil && h.life.Err() != nil {
		return errors.Join(store.ErrReleased, err)
	}
	return err
}

func (h *held) view(ctx context.Context, fn func(*store.Tx) error) error {
	var conn *sqlite.Conn
	select {
	case conn = <-h.conn:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() {
		conn.SetInterrupt(nil)
		if conn.AutocommitEnabled() {
			h.end() // SQLite has rolled back by itself: the next read would show another state
		}
		h.conn <- conn
	}()
	if err := ctx.Err(); err != nil {
		return err
	}
	conn.SetInterrupt(ctx.Done())
	t, err := newTransaction(ctx, conn, store.Write{Environment: h.environment}, false)
	if err != nil {
		return err
	}
	defer t.end()
	if err := fn(t.tx()); err != nil {
		return err
	}
	return t.failed
}

// Close implements store.Held.
func (h *held) Close() error {
	h.closing.Do(func() {
		h.end()
		if conn := <-h.conn; conn != nil {
			h.closed = conn.Close()
		}
		h.store.holds.remove(h)
	})
	return h.closed
}
