package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/ambit-authz/ambit/bench/peers"
	"github.com/ambit-authz/ambit/bench/stand"
	"github.com/ambit-authz/ambit/bench/workload"
)

// stood runs f on a stand of a world.
func stood(ctx context.Context, w *workload.World, f func(*stand.Stand) error) (err error) {
	dir, err := os.MkdirTemp("", "ambit-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s, err := stand.Open(ctx, dir, w, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return f(s)
}

// w6 is a yes/no question about one asset. The first assets of a type are asked about before anything is timed.
func (r *report) w6(ctx context.Context, assets int) error {
	w := workload.W2(assets)
	return stood(ctx, w, func(s *stand.Stand) error {
		var allowed []byte
		verdicts := map[bool]int{}
		for i := range 2_000 {
			t := i % w.Types
			a := w.Asset(t, (i/w.Types*97)%w.PerType)
			if i%4 == 0 { // of the user's own ones, which are few
				a = w.Asset(t, i/w.Types%w.Own*(w.PerType/w.Own))
			}
			for _, action := range []string{"View", "Edit"} {
				want := slices.Contains(peers.Actions(w, &w.User, t, &a), action)
				question := stand.PermitQuestion(w, t, a.Path, action)
				if err := s.Pose(ctx, stand.PermitPath, question); err != nil {
					return err
				}
				if got := string(s.Bytes()) == `{"result":"PERMIT"}`; got != want {
					return fmt.Errorf("%s on %s: %s", action, a.Path, s.Bytes())
				}
				verdicts[want]++
				if want && action == "View" {
					allowed = question
				}
			}
		}
		if err := s.Pose(ctx, stand.PermitPath, allowed); err != nil {
			return err
		}
		r.head("W6 over HTTP: %d assets, %d policies, one pair; %d allowed and %d denied ones compared", w.Types*w.PerType, len(w.Policies), verdicts[true], verdicts[false])
		series, err := r.compare(contender{"Ambit", over(ctx, s, stand.Ambit)}, contender{"an empty authenticated handler", over(ctx, s, stand.Empty)})
		if err != nil {
			return err
		}
		r.gap()
		r.atMost(series[0].Median(), series[1].Median(), 3, "an empty authenticated handler")
		if _, err := r.rate(ctx, s, stand.Ambit, stand.Empty); err != nil {
			return err
		}
		perSecond, err := r.serverRate(ctx, s, stand.Ambit, stand.Empty)
		r.verdict(perSecond >= 20_000, "≥ 20,000 decisions/s over 4 connections", "%.0f", perSecond)
		return err
	})
}

// w7 asks who may use one asset.
func (r *report) w7(ctx context.Context, size int) error {
	w := workload.W7(size, size)
	return stood(ctx, w, func(s *stand.Stand) error {
		a := w.Asset(0, 0)
		if err := s.Pose(ctx, stand.UsersPath, stand.UsersQuestion(w, 0, a.Path)); err != nil {
			return err
		}
		n, err := sameUsers(w, &a, s.Bytes())
		if err != nil {
			return err
		}
		r.head("W7 over HTTP: %d assets, %d policies, %d identities, answer %d of them, %d bytes", w.Types*w.PerType, len(w.Policies), w.People+1, n, len(s.Bytes()))
		series, err := r.compare(contender{"Ambit", over(ctx, s, stand.Ambit)}, contender{"same bytes from memory", over(ctx, s, stand.Memory)})
		if err != nil {
			return err
		}
		r.gap()
		r.atMost(series[0].Median(), series[1].Median(), 2, "the same bytes from memory")
		return nil
	})
}

// sameUsers compares an answer with the plain loop over all users and says how many there are.
func sameUsers(w *workload.World, a *workload.Asset, text []byte) (int, error) {
	type entry struct {
		EntityID string
		Actions  []struct{ Action string }
	}
	var answer struct{ Response []struct{ Access []entry } }
	if err := json.Unmarshal(text, &answer); err != nil || len(answer.Response) != 1 {
		return 0, errors.Join(err, fmt.Errorf("%.200s", text))
	}
	got := answer.Response[0].Access
	n := 0
	for u := range w.Users() {
		want := peers.Actions(w, &u, 0, a)
		if len(want) == 0 {
			continue
		}
		var actions []string
		if n < len(got) && got[n].EntityID == u.ID {
			for _, x := range got[n].Actions {
				actions = append(actions, x.Action)
			}
		}
		if !slices.Equal(actions, want) {
			return 0, fmt.Errorf("%s has %v, want %v", u.ID, actions, want)
		}
		n++
	}
	if n != len(got) {
		return 0, fmt.Errorf("%d users, want %d", len(got), n)
	}
	return n, nil
}
