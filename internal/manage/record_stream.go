package manage

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/ambit-authz/ambit/internal/manage/bulk"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// Bounds of streams. Each holds a state of its environment while it runs, for as long as its reader takes.
const (
	maxStreams = 8
	maxShare   = maxStreams / 2 // of one environment: its slow readers do not keep those of the others waiting
	streamAge  = 15 * time.Minute
)

// streamPlaces counts the streams that run.
type streamPlaces struct {
	mu  sync.Mutex
	all int
	of  map[model.EnvironmentID]int
}

// take reports whether there is a place, which leave gives back.
func (p *streamPlaces) take(env model.EnvironmentID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all >= maxStreams || p.of[env] >= maxShare {
		return false
	}
	if p.of == nil {
		p.of = map[model.EnvironmentID]int{}
	}
	p.all++
	p.of[env]++
	return true
}

func (p *streamPlaces) leave(env model.EnvironmentID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all--
	if p.of[env]--; p.of[env] == 0 {
		delete(p.of, env)
	}
}

// Stream writes all records that pass the filter, of one state and in order of insertion, in the form that Import reads:
// what it wrote changes nothing when it is imported again. seen is called before the first byte. On an error, which may
// come after any number of records, what was written is not the list. A record that CSV cannot show is an error that names
// it.
func (c Catalogue[R]) Stream(ctx context.Context, f Filter, o bulk.StreamOptions, seen func(Seen), out io.Writer) error {
	if !c.s.streams.take(c.env) {
		return &model.Error{Kind: model.KindTooMany, Code: "MGT-014", Name: "TooManyRequestsError", Message: "Too many lists are being streamed"}
	}
	defer c.s.streams.leave(c.env)
	ctx, stop := context.WithTimeout(ctx, streamAge)
	defer stop()
	held, err := c.s.store.Hold(ctx, c.env)
	if err != nil {
		return storeError("manage.Stream", err)
	}
	err = held.View(ctx, func(tx *store.Tx) error {
		if err := mustExist(tx, c.env); err != nil {
			return err
		}
		schema, records, err := c.openFor(tx, &f)
		if err != nil {
			return err
		}
		seen(Seen{Revision: tx.Revision})
		write, err := bulk.NewWriter(schema, o, c.format, out)
		if err != nil {
			return err
		}
		for p, err := range c.matching(schema, records.After(0), &f) {
			if err == nil {
				err = write(&p.Record)
			}
			if err != nil {
				return err
			}
		}
		return write(nil)
	})
	return storeError("manage.Stream", errors.Join(err, held.Close()))
}
