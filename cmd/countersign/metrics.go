package main

import (
	"context"
	"net/http"
	"reflect"
	"runtime"
	"strings"
	"sync/atomic"

	"countersign/internal/metrics"
)

// metrics is what Prometheus reads of a running server.
func (in *installation) metrics() http.Handler {
	log := metrics.NewLog(in.db, []string{"browser", "api", "radius", "yubico", "forward-auth", "socket"})
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics.Handler(log.Gather, metrics.Store(in.db), in.radiusMetrics, process))
	return mux
}

// radiusMetrics names each of the RADIUS server's counts after its field.
func (in *installation) radiusMetrics(context.Context) ([]metrics.Sample, error) {
	var out []metrics.Sample
	stats := reflect.ValueOf(&in.radius.Stats).Elem()
	for i := range stats.NumField() {
		name := strings.ToLower(stats.Type().Field(i).Name)
		switch n := stats.Field(i).Addr().Interface().(type) {
		case *atomic.Uint64:
			out = append(out, metrics.Sample{Name: "countersign_radius_datagrams_total", Help: "Datagrams by what became of them.", Kind: metrics.Counter,
				Labels: []string{"fate", name}, Value: float64(n.Load())})
		case *atomic.Int64:
			out = append(out, metrics.Sample{Name: "countersign_radius_now", Help: "Requests that wait now.", Kind: metrics.Gauge,
				Labels: []string{"for", name}, Value: float64(n.Load())})
		}
	}
	return out, nil
}

func process(context.Context) ([]metrics.Sample, error) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return []metrics.Sample{
		{Name: "countersign_build_info", Help: "The version of this server.", Kind: metrics.Gauge, Labels: []string{"version", version, "go", runtime.Version()}, Value: 1},
		{Name: "countersign_goroutines", Help: "Goroutines.", Kind: metrics.Gauge, Value: float64(runtime.NumGoroutine())},
		{Name: "countersign_heap_bytes", Help: "Bytes of the heap in use.", Kind: metrics.Gauge, Value: float64(m.HeapAlloc)},
	}, nil
}
