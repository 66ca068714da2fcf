package server

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics is the registry of one process. Other parts add their collectors to it.
type Metrics struct {
	*prometheus.Registry
	requests   *prometheus.CounterVec
	duration   *prometheus.HistogramVec
	inFlight   *prometheus.GaugeVec
	panics     prometheus.Counter
	clockJumps prometheus.Counter
}

// NewMetrics makes a registry with the measures of the Go runtime, the process and the HTTP surface.
func NewMetrics() *Metrics {
	m := &Metrics{
		Registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ambit_http_requests_total", Help: "Requests answered, by route and status.",
		}, []string{"listener", "route", "method", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "ambit_http_request_duration_seconds", Help: "Time from the request's headers to the end of its answer.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"listener", "route"}),
		inFlight: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "ambit_http_requests_in_flight", Help: "Requests being answered.",
		}, []string{"listener"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ambit_http_panics_total", Help: "Requests that ended in a defect of the program.",
		}),
		clockJumps: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ambit_clock_jumps_total", Help: "Times the wall clock went back more than a minute.",
		}),
	}
	m.MustRegister(m.requests, m.duration, m.inFlight, m.panics, m.clockJumps,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Handler serves the registry in the Prometheus text format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.Registry, promhttp.HandlerOpts{})
}

// observe counts one request. The route is the pattern that matched, so that ids in paths make no new series.
func (m *Metrics) observe(listener string, r *http.Request, status int, took time.Duration) {
	route := r.Pattern
	if route == "" {
		route = "other"
	}
	method := r.Method
	if !slices.Contains([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}, method) {
		method = "other"
	}
	m.requests.WithLabelValues(listener, route, method, strconv.Itoa(status)).Inc()
	m.duration.WithLabelValues(listener, route).Observe(took.Seconds())
}
