package server

import (
	"context"
	"maps"
	"net/http"
	"runtime"
	"slices"

	"countersign/internal/metrics"
)

// Metrics is what Prometheus reads of a running server.
func (in *Installation) Metrics() http.Handler {
	log := metrics.NewLog(in.DB.AuditLog(), slices.Concat([]string{"browser", "api", "socket"}, in.protocols.Names()))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics.Handler(append(in.MetricSources(), log.Gather)...))
	return mux
}

// MetricSources are what the store, the process and the protocols measure; the log is
// counted beside them.
func (in *Installation) MetricSources() []metrics.Source {
	return append([]metrics.Source{metrics.Store(in.DB.View(), in.DB.Condition(), in.DB.Alarms()), process(in.version), in.Delivery.Gather}, slices.Collect(maps.Values(in.ProtocolMetrics()))...)
}

// process is what is told of the program itself.
func process(version string) func(context.Context) ([]metrics.Sample, error) {
	return func(context.Context) ([]metrics.Sample, error) {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return []metrics.Sample{
			{Name: "countersign_build_info", Help: "The version of this server.", Kind: metrics.Gauge, Labels: []string{"version", version, "go", runtime.Version()}, Value: 1},
			{Name: "countersign_goroutines", Help: "Goroutines.", Kind: metrics.Gauge, Value: float64(runtime.NumGoroutine())},
			{Name: "countersign_heap_bytes", Help: "Bytes of the heap in use.", Kind: metrics.Gauge, Value: float64(m.HeapAlloc)},
		}, nil
	}
}
