package server

import (
	"net/http"
	"net/http/pprof"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/muster-id/muster/internal/store"
)

// Metrics are the counters and gauges of one process. Make them first: the
// store counts into [Metrics.Store], the server into the rest.
type Metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	refusals *prometheus.CounterVec
	limited  *prometheus.CounterVec
	ignored  *prometheus.CounterVec
	retried  prometheus.Counter
	unknown  *prometheus.CounterVec
	lag      prometheus.Gauge
	dropped  prometheus.Counter
	faults   prometheus.Counter
}

// NewMetrics returns metrics at zero.
func NewMetrics() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "muster_requests_total",
			Help: "Requests answered, by route pattern, method and status.",
		}, []string{"route", "method", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "muster_request_seconds",
			Help:    "Time from a request's headers to the end of its answer.",
			Buckets: []float64{.0005, .001, .002, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"route", "method"}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "muster_refusals_total",
			Help: "Refusals by door and reason: a decision's reason, a scimType, or a status.",
		}, []string{"door", "reason"}),
		limited: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "muster_tenant_limit_total",
			Help: "Requests above their tenant's rate, by outcome: slowed or refused.",
		}, []string{"outcome"}),
		ignored: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "muster_ignored_operations_total",
			Help: "Operations of provisioning clients that were ignored or repaired, by quirk.",
		}, []string{"quirk"}),
		retried: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "muster_transactions_repeated_total",
			Help: "Transactions that the database asked to repeat.",
		}),
		unknown: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "muster_unknown_commits_total",
			Help: "Commits whose outcome was not known at first, by whether it was found out.",
		}, []string{"resolved"}),
		lag: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "muster_sequencer_lag_seconds",
			Help: "Age of the oldest change of the last pass when it got its number.",
		}),
		faults: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "muster_rule_failures_total",
			Help: "Evaluations of a rule that could not tell, for another reason than a missing attribute: it granted nothing.",
		}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "muster_provisioning_rows_dropped_total",
			Help: "Requests that the provisioning log had no place for: reads and refusals.",
		}),
	}
	m.registry.MustRegister(m.requests, m.seconds, m.refusals, m.limited, m.ignored, m.retried, m.unknown, m.lag, m.dropped, m.faults,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Store returns what the store calls as things happen.
func (m *Metrics) Store() store.Metrics {
	decided := m.refusedAt("decision")
	return store.Metrics{
		Ignored:       func(quirk string) { m.ignored.WithLabelValues(quirk).Inc() },
		Refused:       func(reason store.Reason) { decided(string(reason)) },
		Retried:       m.retried.Inc,
		UnknownCommit: func(resolved bool) { m.unknown.WithLabelValues(strconv.FormatBool(resolved)).Inc() },
		Lag:           func(d time.Duration) { m.lag.Set(d.Seconds()) },
		RuleFailed:    m.faults.Inc,
		Dropped:       func(rows int) { m.dropped.Add(float64(rows)) },
	}
}

func (m *Metrics) request(route, method string, status int, took time.Duration) {
	method = known(method)
	m.requests.WithLabelValues(route, method, strconv.Itoa(status)).Inc()
	m.seconds.WithLabelValues(route, method).Observe(took.Seconds())
}

// throttled counts a request above its tenant's rate.
func (m *Metrics) throttled(outcome string) { m.limited.WithLabelValues(outcome).Inc() }

// refusedAt returns what counts the refusals of a door.
func (m *Metrics) refusedAt(door string) func(reason string) {
	return func(reason string) { m.refusals.WithLabelValues(door, reason).Inc() }
}

// known bounds the values of a label that clients choose.
func known(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "other"
}

// watch reads the store's pool whenever the metrics are read.
func (m *Metrics) watch(s *store.Store) {
	for state, read := range map[string]func(store.Stats) int32{
		"acquired": func(st store.Stats) int32 { return st.Acquired },
		"idle":     func(st store.Stats) int32 { return st.Idle },
		"max":      func(st store.Stats) int32 { return st.Max },
	} {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name:        "muster_pool_connections",
			Help:        "Connections to the database.",
			ConstLabels: prometheus.Labels{"state": state},
		}, func() float64 { return float64(read(s.Stats())) }))
	}
}

// Handler answers /metrics and /debug/pprof/. It belongs on a listener that
// only operators reach.
func (m *Metrics) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}
