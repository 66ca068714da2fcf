package decide

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ambit-authz/ambit/internal/audit"
	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/model"
)

// Watches bounds and paces the watches of a Service; zero fields mean the defaults.
type Watches struct {
	Max       int           // in all; default 5,000
	MaxScope  int           // of one scope; default 2,000
	Heartbeat time.Duration // after how long without news a watch tells that it is alive; default 15 seconds
}

// live holds the watches of a service. One goroutine follows each environment that has any; watches have none of their own.
type live struct {
	bounds    Watches
	directory *Directory
	clock     func() time.Time
	audit     audit.Sink
	log       *slog.Logger
	workers   chan struct{} // of the judging in all environments
	told      [NewsEnd + 1]atomic.Int64

	mu     sync.Mutex
	feeds  map[*environment]*feed
	scopes map[model.ClientID]int
	open   int
	closed bool
	idle   chan struct{} // closed when closed is set and no watch is open
}

func newLive(o *Options) *live {
	l := &live{
		bounds: o.Watches, directory: o.Directory, clock: o.Clock, audit: o.Audit, log: o.Log,
		workers: make(chan struct{}, runtime.GOMAXPROCS(0)),
		feeds:   map[*environment]*feed{}, scopes: map[model.ClientID]int{}, idle: make(chan struct{}),
	}
	if l.bounds.Max == 0 {
		l.bounds.Max = 5000
	}
	if l.bounds.MaxScope == 0 {
		l.bounds.MaxScope = 2000
	}
	if l.bounds.Heartbeat == 0 {
		l.bounds.Heartbeat = 15 * time.Second
	}
	return l
}

// WatchCounts tells what the watches of a service do.
type WatchCounts struct {
	Open                          int
	Beats, Changes, Resets, Ended int64
}

// Watching counts the watches, and what they have told since the start.
func (s *Service) Watching() WatchCounts {
	l := s.live
	l.mu.Lock()
	defer l.mu.Unlock()
	return WatchCounts{
		Open: l.open, Beats: l.told[NewsBeat].Load(), Changes: l.told[NewsChanges].Load(),
		Resets: l.told[NewsReset].Load(), Ended: l.told[NewsEnd].Load(),
	}
}

// EndWatches ends all watches and lets no more in. It returns when their listeners have been told, or when ctx ends.
func (s *Service) EndWatches(ctx context.Context) {
	l := s.live
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		if l.open == 0 {
			close(l.idle)
		}
	}
	feeds := make([]*feed, 0, len(l.feeds))
	for _, f := range l.feeds {
		feeds = append(feeds, f)
	}
	l.mu.Unlock()
	for _, f := range feeds {
		f.nudge()
	}
	select {
	case <-l.idle:
	case <-ctx.Done():
	}
}

// reserve makes room for a watch.
func (l *live) reserve(client model.ClientID) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed || l.open >= l.bounds.Max:
		return notReady(errors.New("too many watches"))
	case l.scopes[client] >= l.bounds.MaxScope:
		return tooMany()
	}
	l.open++
	l.scopes[client]++
	return nil
}

func (l *live) release(client model.ClientID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if l.scopes[client]--; l.scopes[client] == 0 {
		delete(l.scopes, client)
	}
	if l.closed && l.open == 0 {
		close(l.idle)
	}
}

// join lets the feed of the watch's environment look after it.
func (l *live) join(w *Watch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.feeds[w.env]
	if f == nil {
		f = &feed{live: l, env: w.env, watches: map[*Watch]struct{}{}, nudged: make(chan struct{}, 1)}
		l.feeds[w.env] = f
		go f.run()
	}
	w.beat = l.clock().Add(l.bounds.Heartbeat)
	f.add(w)
	f.nudge()
}

func (l *live) nudge(env *environment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f := l.feeds[env]; f != nil {
		f.nudge()
	}
}

// feed looks after the watches of one environment.
type feed struct {
	live    *live
	env     *environment
	nudged  chan struct{}
	mu      sync.Mutex
	watches map[*Watch]struct{}
}

func (f *feed) add(w *Watch) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.watches[w] = struct{}{}
}

// nudge makes the feed look at its watches now.
func (f *feed) nudge() {
	select {
	case f.nudged <- struct{}{}:
	default:
	}
}

// glance is how often a feed looks at its watches though nothing is due: the clock may have been set.
const glance = time.Second

// run looks at the watches whenever the environment has changed, one of them has fallen behind, or time has come for one.
func (f *feed) run() {
	timer := time.NewTimer(glance)
	defer timer.Stop()
	for {
		changed := f.env.watch()
		next := f.round()
		if f.leave() {
			return
		}
		timer.Reset(min(glance, max(0, next.Sub(f.live.clock()))))
		select {
		case <-changed:
		case <-f.nudged:
		case <-timer.C:
		}
	}
}

// leave reports whether the feed has no watch any more; then it is no feed any more.
func (f *feed) leave() bool {
	f.live.mu.Lock()
	defer f.live.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.watches) > 0 {
		return false
	}
	delete(f.live.feeds, f.env)
	return true
}

// round judges every watch that a change or the time concerns, and says when the next one is due.
func (f *feed) round() (next time.Time) {
	now := f.live.clock()
	next = now.Add(glance)
	f.mu.Lock()
	ready := make([]*Watch, 0, len(f.watches))
	for w := range f.watches {
		if !w.busy.Load() {
			ready = append(ready, w)
		}
	}
	f.mu.Unlock()
	// after the watches: one that was opened a moment ago must not be led back to what was before it
	st := f.env.state.Load()
	end := ""
	f.live.mu.Lock()
	if f.live.closed {
		end = endShutdown
	}
	f.live.mu.Unlock()
	if end == "" && f.live.directory.Ready() != nil {
		end = endNotReady
	}
	var ways map[*state]*way
	if end == "" {
		var err error
		f.guard(&err, func() { ways = waysTo(st, ready) })
		if err != nil {
			end = endNotReady
		}
	}
	f.sideBySide(ready, func(w *Watch) { f.judge(w, ways[w.at.state], st, now, end) })
	for _, w := range ready {
		if due := w.due(); due.Before(next) {
			next = due
		}
	}
	return next
}

// waysTo works out what all watches share, before they are judged side by side.
func waysTo(st *state, watches []*Watch) map[*state]*way {
	ways := map[*state]*way{}
	for _, w := range watches {
		if w.at.state == st {
			continue
		}
		if ways[w.at.state] == nil {
			ways[w.at.state] = newWay(w.at.state, st)
		}
		ways[w.at.state].prepare(w.question)
	}
	return ways
}

// sideBySide calls do for every watch, on at most as many processors as there are, letting others have their turn.
func (f *feed) sideBySide(watches []*Watch, do func(*Watch)) {
	var at atomic.Int64
	var group sync.WaitGroup
	for range min(cap(f.live.workers), (len(watches)+31)/32) {
		group.Go(func() {
			f.live.workers <- struct{}{}
			defer func() { <-f.live.workers }()
			for {
				i := int(at.Add(1)) - 1
				if i >= len(watches) {
					return
				}
				do(watches[i])
				if i%16 == 0 {
					runtime.Gosched()
				}
			}
		})
	}
	group.Wait()
}

// judge finds out whether a watch has something to tell.
func (f *feed) judge(w *Watch, way *way, st *state, now time.Time, end string) {
	switch {
	case w.left.Load():
		f.drop(w)
		return
	case end != "":
	case way != nil && way.ends[w.question.client] != "":
		end = way.ends[w.question.client]
	default:
		end = w.unproved(st, now)
	}
	var news *News
	told := w.Cursor()
	if end == "" {
		if news, end = f.news(w, way, st, now); end == "" && news == nil {
			return
		}
	}
	if end == "" {
		end = w.distrusted()
	}
	if end != "" {
		news = &News{Kind: NewsEnd, Cursor: told, Reason: end}
	}
	news.told = told
	f.deliver(w, news)
}

// news is what a watch has to tell, nil for nothing, or the reason why it ends.
func (f *feed) news(w *Watch, way *way, st *state, now time.Time) (news *News, end string) {
	if way != nil || !w.turns.IsZero() && !now.Before(w.turns) {
		var err error
		f.guard(&err, func() { news, err = w.next(way, st, now) })
		if err != nil {
			if model.KindOf(err) != model.KindNotFound {
				f.live.log.Error("a watch ends: its question cannot be answered any more", "error", err)
			}
			return nil, endFor(err)
		}
	}
	if news == nil && !now.Before(w.beat) {
		news = &News{Kind: NewsBeat, Cursor: w.Cursor()}
	}
	return news, ""
}

// deliver lets the listener hear a news in a goroutine of its own; until it has, the watch is busy.
func (f *feed) deliver(w *Watch, n *News) {
	w.busy.Store(true)
	w.beat = f.live.clock().Add(f.live.bounds.Heartbeat)
	at := w.at.state
	go func() {
		var err error
		f.guard(&err, func() { err = w.tell(context.Background(), n) })
		f.live.told[n.Kind].Add(1)
		if err != nil || n.Kind == NewsEnd {
			f.drop(w)
			return
		}
		w.busy.Store(false)
		if f.env.state.Load() != at || w.left.Load() {
			f.nudge()
		}
	}()
}

// guard makes an error of a panic: there is no request to end with it, and the server must not.
func (f *feed) guard(err *error, do func()) {
	defer func() {
		if cause := recover(); cause != nil {
			f.live.log.Error("panic", "cause", fmt.Sprint(cause), "stack", string(debug.Stack()))
			*err = fmt.Errorf("panic: %v", cause)
		}
	}()
	do()
}

// drop forgets a watch.
func (f *feed) drop(w *Watch) {
	w.left.Store(true)
	f.mu.Lock()
	delete(f.watches, w)
	f.mu.Unlock()
	w.listener.Close()
	f.live.release(w.question.client)
}

// way is what lies between two states, for all watches that are to go it. It does not change once it is prepared.
type way struct {
	from, to *state
	step     *engine.Step
	ends     map[model.ClientID]string // why the watches of a scope end; "" = they go on
	linked   map[model.ClientID]bool   // scopes whose applications are others
	people   map[model.TemplateID]changedPeople
}

type changedPeople struct {
	ids map[string]bool
	all bool
}

func newWay(from, to *state) *way {
	w := &way{from: from, to: to, ends: map[model.ClientID]string{}, linked: map[model.ClientID]bool{}, people: map[model.TemplateID]changedPeople{}}
	if from.snapshot != nil && to.snapshot != nil {
		w.step = engine.NewStep(from.snapshot, to.snapshot, nil)
	}
	return w
}

// prepare works out what a question needs to know of the way.
func (y *way) prepare(q *liveQuestion) {
	if _, known := y.ends[q.client]; !known {
		end := q.otherwise(y.from, y.to)
		before, now := y.from.scopes[q.client], y.to.scopes[q.client]
		y.ends[q.client] = end
		y.linked[q.client] = end == "" && before != now && !slices.Equal(before.ApplicationIDs, now.ApplicationIDs)
	}
	for _, c := range q.who {
		if _, known := y.people[c.Template]; !known && y.step != nil {
			ids, all := y.step.Identities(c.Template)
			y.people[c.Template] = changedPeople{ids, all}
		}
	}
}

// concerns reports whether the identities of a question, or the applications of its scope, differ.
func (y *way) concerns(q *liveQuestion) bool {
	for _, c := range q.who {
		if p := y.people[c.Template]; p.all || p.ids[c.EntityID] {
			return true
		}
	}
	return y.linked[q.client]
}

// sameCredentials reports whether two versions of a scope accept the same callers.
func sameCredentials(a, b *model.Scope) bool {
	return slices.Equal(a.AuthMethods, b.AuthMethods) && slices.EqualFunc(a.Secrets, b.Secrets, func(x, y model.SecretHash) bool {
		return x.ID == y.ID && x.Form == y.Form && string(x.Hash) == string(y.Hash) && x.ExpiresAt.Equal(y.ExpiresAt)
	})
}
