package app

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ambit-authz/ambit/internal/config"
	"github.com/ambit-authz/ambit/internal/decide"
)

// watches bounds the watches. They never take more than half of the connections.
func watches(c *config.Config) decide.Watches {
	return decide.Watches{
		Max: max(1, min(c.Live.MaxStreams, c.MaxConnections/2)), MaxScope: c.Live.MaxStreamsPerScope, Heartbeat: c.Live.Heartbeat,
	}
}

func past(c *config.Config) decide.Past {
	return decide.Past{Revisions: c.Live.PastRevisions, Age: c.Live.PastAge, Bytes: c.Live.PastBytes}
}

// measureWatches shows the watches of a service, and what is held of the past for them.
func measureWatches(r *prometheus.Registry, s *decide.Service, d *decide.Directory) {
	r.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "ambit_watch_streams", Help: "Watches that are open."},
			func() float64 { return float64(s.Watching().Open) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "ambit_past_bytes", Help: "Estimate of the memory held for earlier revisions."},
			func() float64 { return float64(d.PastBytes()) }),
	)
	for kind, count := range map[string]func(*decide.WatchCounts) int64{
		"change":    func(c *decide.WatchCounts) int64 { return c.Changes },
		"reset":     func(c *decide.WatchCounts) int64 { return c.Resets },
		"end":       func(c *decide.WatchCounts) int64 { return c.Ended },
		"heartbeat": func(c *decide.WatchCounts) int64 { return c.Beats },
	} {
		r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "ambit_watch_events_total", Help: "Events sent to watches, by kind.", ConstLabels: prometheus.Labels{"event": kind},
		}, func() float64 {
			counts := s.Watching()
			return float64(count(&counts))
		}))
	}
}
