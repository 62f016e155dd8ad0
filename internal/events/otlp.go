package events

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"countersign/internal/audit"
	"countersign/internal/failure"
)

// OTLP posts entries as log records of OpenTelemetry: OTLP/HTTP in the JSON encoding
// (OpenTelemetry Protocol Specification 1.x, section OTLP/HTTP). The form is a dozen names of
// the published protobuf mapping, which need no library.
type OTLP struct {
	// URL is the whole address, such as https://collector.example.org:4318/v1/logs.
	URL   string
	Files Files
	// Header and Value authenticate; in Value, {secret} stands for the first line of
	// SecretFile, which is read for each request. Empty is none.
	Header, Value, SecretFile string
	// Host and Version name the service.
	Host, Version string
	Trace         Trace

	poster *poster
}

// Close ends the connections.
func (o *OTLP) Close() {
	if o.poster != nil {
		o.poster.close()
	}
}

// The names of the JSON encoding. Numbers of 64 bits are texts in it.
type (
	otlpValue struct {
		String *string `json:"stringValue,omitempty"`
		Int    *string `json:"intValue,omitempty"`
	}
	otlpPair struct {
		Key   string    `json:"key"`
		Value otlpValue `json:"value"`
	}
	otlpRecord struct {
		Time       string     `json:"timeUnixNano"`
		Observed   string     `json:"observedTimeUnixNano"`
		Severity   int        `json:"severityNumber"`
		Words      string     `json:"severityText"`
		Event      string     `json:"eventName"`
		Body       otlpValue  `json:"body"`
		Attributes []otlpPair `json:"attributes"`
	}
	otlpScope struct {
		Scope struct {
			Name    string `json:"name"`
			Version string `json:"version,omitempty"`
		} `json:"scope"`
		Records []otlpRecord `json:"logRecords"`
	}
	otlpResource struct {
		Resource struct {
			Attributes []otlpPair `json:"attributes"`
		} `json:"resource"`
		Scopes []otlpScope `json:"scopeLogs"`
	}
	otlpRequest struct {
		Resources []otlpResource `json:"resourceLogs"`
	}
)

// severities are SeverityNumber and the word beside it, by weight.
var severities = map[weight]struct {
	number int
	word   string
}{usual: {9, "INFO"}, refusal: {13, "WARN"}, failing: {17, "ERROR"}, alarming: {21, "FATAL"}}

func otlpText(s string) otlpValue { return otlpValue{String: &s} }

func otlpNumber(n int64) otlpValue {
	s := strconv.FormatInt(n, 10)
	return otlpValue{Int: &s}
}

// record is an entry as a log record.
func record(e audit.Entry) otlpRecord {
	at, severity := strconv.FormatInt(e.At.UnixNano(), 10), severities[weigh(e)]
	r := otlpRecord{Time: at, Observed: at, Severity: severity.number, Words: severity.word, Event: e.Event, Body: otlpText(sentence(e))}
	r.Attributes = append(r.Attributes, otlpPair{"countersign.seq", otlpNumber(e.Seq)})
	for _, f := range fields(e) {
		name := "countersign." + f.name
		if f.name == "source" {
			name = "client.address" // of the semantic conventions
		}
		r.Attributes = append(r.Attributes, otlpPair{name, otlpText(f.value)})
	}
	for _, k := range slices.Sorted(maps.Keys(e.Detail)) {
		r.Attributes = append(r.Attributes, otlpPair{"countersign.detail." + k, otlpText(e.Detail[k])})
	}
	return r
}

// request is what is posted.
func (o *OTLP) request(entries []audit.Entry) ([]byte, error) {
	var resource otlpResource
	resource.Resource.Attributes = []otlpPair{{"service.name", otlpText("countersign")}, {"service.version", otlpText(o.Version)}, {"service.namespace", otlpText(o.Host)}}
	var scope otlpScope
	scope.Scope.Name, scope.Scope.Version = "countersign.audit", o.Version
	for _, e := range entries {
		scope.Records = append(scope.Records, record(e))
	}
	resource.Scopes = []otlpScope{scope}
	var b bytes.Buffer
	err := appendLine(&b, otlpRequest{Resources: []otlpResource{resource}})
	return b.Bytes(), err
}

// Take posts entries in one request.
func (o *OTLP) Take(ctx context.Context, entries []audit.Entry) (int, error) {
	header, secret := http.Header{}, ""
	header.Set("Content-Type", "application/json")
	if o.SecretFile != "" {
		lines, err := secrets(o.SecretFile)
		if err != nil {
			return 0, err
		}
		secret = lines[0]
	}
	if o.Header != "" {
		header.Set(o.Header, strings.ReplaceAll(o.Value, "{secret}", secret))
	}
	body, err := o.request(entries)
	if err != nil {
		return 0, err
	}
	if o.poster == nil {
		o.poster = &poster{what: "collector", files: o.Files, trace: o.Trace}
	}
	answer, err := o.poster.send(ctx, post{url: o.URL, header: header, body: body, hide: []string{secret}})
	if err != nil {
		return 0, err
	}
	return rejected(answer, len(entries))
}

// rejected reads the partial success of an answer. An empty answer is full success.
func rejected(answer []byte, sent int) (int, error) {
	if len(bytes.TrimSpace(answer)) == 0 {
		return 0, nil
	}
	var said struct {
		Partial struct {
			Rejected json.RawMessage `json:"rejectedLogRecords"`
		} `json:"partialSuccess"`
	}
	if err := json.Unmarshal(answer, &said); err != nil {
		return 0, failure.New(failure.Unavailable, "The collector's answer is not that of OTLP/HTTP in JSON. Check that url ends in /v1/logs.")
	}
	text := strings.Trim(string(said.Partial.Rejected), `"`)
	if text == "" || text == "null" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > sent {
		return 0, failure.New(failure.Unavailable, "The collector says that it rejected %s of %d records, which cannot be.", shown([]byte(text), nil), sent)
	}
	return n, nil
}
