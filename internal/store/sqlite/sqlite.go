// Package sqlite is the embedded store: one SQLite database file, nothing to install. It implements store.Store.
//
// Start at Open, then Store.View and Store.Update. Configuration objects of every kind lie in one table as JSON
// (collection.go), assets and identities in another in a compact form of their own (records.go, codec.go), and every
// commit leaves a row in the feed (changes.go). migrations/ holds the schema.
//
// It promises what store.Store promises: a write that returned nil was synced to disk; views run on a snapshot beside
// the writer and never wait for it; after any failure, a full disk included, nothing of a transaction remains. One
// process opens a file at a time; a second one gets an error.
//
// The package never interprets policies, never reads the clock and never touches a database that is not Ambit's.
package sqlite

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// Options of Open. The zero value is ready for use.
type Options struct {
	// Readers is the number of views that can run at once; more wait for one to end. 0 = 8.
	Readers int
	// KeepCommits is how many commits the change feed holds at least. 0 = 10,000.
	KeepCommits int
}

const (
	defaultReaders     = 8
	defaultKeepCommits = 10_000
)

// Store is an open database. All methods may be called from many goroutines at once. A function given to View or
// Update must not call Update, which would wait for itself until its context ends.
type Store struct {
	path        string
	keepCommits int

	lock    *sqlite.Conn      // held on the lock file while the store is open
	writer  chan *sqlite.Conn // holds the one writing connection while nobody writes
	readers chan *sqlite.Conn
	closed  chan struct{}
	close   sync.Once

	watchers watchers
	holds    holds
}

var _ store.Store = (*Store)(nil)

// View implements store.Store.
func (s *Store) View(ctx context.Context, env model.EnvironmentID, fn func(*store.Tx) error) error {
	return s.read(ctx, func(conn *sqlite.Conn) error {
		t, err := newTransaction(ctx, conn, store.Write{Environment: env}, false)
		if err != nil {
			return err
		}
		defer t.end()
		if err := fn(t.tx()); err != nil {
			return err
		}
		return t.failed
	})
}

// Update implements store.Store. A commit is announced to watchers before Update returns.
func (s *Store) Update(ctx context.Context, w store.Write, fn func(*store.Tx) error) (store.Commit, error) {
	conn, err := s.take(ctx, s.writer)
	if err != nil {
		return store.Commit{}, err
	}
	defer s.release(s.writer, conn)
	if err := begin(ctx, conn, "BEGIN IMMEDIATE"); err != nil {
		return store.Commit{}, err
	}
	t, err := newTransaction(ctx, conn, w, true)
	if err != nil {
		return store.Commit{}, err
	}
	defer t.end()
	if err := fn(t.tx()); err != nil {
		return store.Commit{}, err
	}
	commit, err := t.commit(s.keepCommits)
	if err != nil {
		return store.Commit{}, err
	}
	if commit.Changed && !w.DryRun {
		s.watchers.notify()
	}
	s.bound()
	return commit, nil
}

// Check reads the whole database and reports every damage that SQLite finds in it, as one error.
func (s *Store) Check(ctx context.Context) error {
	return s.read(ctx, func(conn *sqlite.Conn) error {
		var damages []error
		err := sqlitex.Execute(conn, "PRAGMA integrity_check", &sqlitex.ExecOptions{
			ResultFunc: func(stmt *sqlite.Stmt) error {
				if line := stmt.ColumnText(0); line != "ok" {
					damages = append(damages, errors.New(line))
				}
				return nil
			},
		})
		if err = errors.Join(append(damages, err)...); err != nil {
			return translate(ctx, "check", fmt.Errorf("database %s is damaged: %w", s.path, err))
		}
		return nil
	})
}

// Close implements store.Store. Calls that wait for a connection end with store.ErrClosed.
func (s *Store) Close() error {
	var errs []error
	s.close.Do(func() {
		close(s.closed)
		s.holds.releaseAll(true)
		s.holds.open.Wait()
		// All connections back means that no transaction runs. The writer closes last: it folds the log into the file.
		for range cap(s.readers) {
			errs = append(errs, (<-s.readers).Close())
		}
		errs = append(errs, (<-s.writer).Close(), s.lock.Close())
	})
	return errors.Join(errs...)
}

// read runs fn in a read transaction of its own.
func (s *Store) read(ctx context.Context, fn func(*sqlite.Conn) error) error {
	conn, err := s.take(ctx, s.readers)
	if err != nil {
		return err
	}
	defer s.release(s.readers, conn)
	if err := begin(ctx, conn, "BEGIN"); err != nil {
		return err
	}
	return fn(conn)
}

// take waits for a connection; its statements stop when ctx ends.
func (s *Store) take(ctx context.Context, from chan *sqlite.Conn) (*sqlite.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case <-s.closed:
		return nil, store.ErrClosed
	default:
	}
	select {
	case conn := <-from:
		conn.SetInterrupt(ctx.Done())
		return conn, nil
	case <-s.closed:
		return nil, store.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// release gives a connection back, rolling back what was not committed. It runs after a panic too.
func (s *Store) release(to chan *sqlite.Conn, conn *sqlite.Conn) {
	conn.SetInterrupt(nil)
	if !conn.AutocommitEnabled() {
		// SQLite documents no failure of a rollback that leaves the transaction open, and the next BEGIN would report it.
		_ = sqlitex.Execute(conn, "ROLLBACK", nil)
	}
	to <- conn
}

func begin(ctx context.Context, conn *sqlite.Conn, statement string) error {
	return translate(ctx, "begin", sqlitex.Execute(conn, statement, nil))
}

// watchers are the channels of Watch.
type watchers struct {
	mu       sync.Mutex
	channels map[chan struct{}]struct{}
}

// Watch implements store.Store. The channel is closed when ctx ends.
func (s *Store) Watch(ctx context.Context) <-chan struct{} {
	return s.watchers.add(ctx)
}

func (w *watchers) add(ctx context.Context) <-chan struct{} {
	ch := make(chan struct{}, 1)
	w.mu.Lock()
	w.channels[ch] = struct{}{}
	w.mu.Unlock()
	context.AfterFunc(ctx, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.channels, ch)
		close(ch)
	})
	return ch
}

func (w *watchers) notify() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for ch := range w.channels {
		select {
		case ch <- struct{}{}:
		default: // one value is waiting already: commits are merged
		}
	}
}
