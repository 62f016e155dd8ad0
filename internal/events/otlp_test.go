package events

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	collector "go.opentelemetry.io/proto/slim/otlp/collector/logs/v1"
	logs "go.opentelemetry.io/proto/slim/otlp/logs/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"countersign/internal/audit"
)

// The promise: the published protobuf definitions read what is sent, with no field that they
// do not know.
func TestOTLPIsReadByItsDefinitions(t *testing.T) {
	var got []byte
	var head http.Header
	answer := `{}`
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head = r.Header
		got, _ = io.ReadAll(r.Body)
		io.WriteString(w, answer) //nolint:errcheck // a test
	}))
	defer s.Close()
	secret := t.TempDir() + "/secret"
	keep(t, secret, "a-token\n")
	o := &OTLP{URL: s.URL + "/v1/logs", Header: "Authorization", Value: "Bearer {secret}", SecretFile: secret, Host: "login.example.org", Version: "v9"}
	defer o.Close()
	e := audit.Entry{Seq: 1 << 60, At: noon, Actor: audit.Actor{Name: "ada", Via: "radius"}, Event: "alarm.spray", Outcome: audit.Refused, AccountName: "ädä \"x\"", Source: "192.0.2.7", Versions: "account/1=2", Detail: map[string]string{"names": "3"}}
	if _, err := o.Take(t.Context(), []audit.Entry{e, one[0]}); err != nil {
		t.Fatal(err)
	}
	var r collector.ExportLogsServiceRequest
	if err := protojson.Unmarshal(got, &r); err != nil {
		t.Fatalf("%v: %s", err, got)
	}
	if head.Get("Authorization") != "Bearer a-token" || head.Get("Content-Type") != "application/json" || len(r.ResourceLogs) != 1 {
		t.Errorf("%v %v", head, &r)
	}
	records := r.ResourceLogs[0].ScopeLogs[0].LogRecords
	first := records[0]
	if len(records) != 2 || first.TimeUnixNano != uint64(noon.UnixNano()) || first.SeverityNumber != logs.SeverityNumber_SEVERITY_NUMBER_FATAL || first.EventName != "alarm.spray" || records[1].SeverityNumber != logs.SeverityNumber_SEVERITY_NUMBER_INFO {
		t.Errorf("%v", records)
	}
	have := map[string]string{}
	for _, a := range first.Attributes {
		have[a.Key] = a.Value.GetStringValue()
		if a.Key == "countersign.seq" && a.Value.GetIntValue() != e.Seq {
			t.Errorf("the number is %v", a.Value)
		}
	}
	if have["countersign.account"] != e.AccountName || have["client.address"] != e.Source || have["countersign.detail.names"] != "3" || strings.Contains(string(got), "account/1=2") {
		t.Errorf("%v", have)
	}
	for said, want := range map[string]int{"": 0, `{"partialSuccess":{}}`: 0, `{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"x"}}`: 1, `{"partialSuccess":{"rejectedLogRecords":2}}`: 2, `{"partialSuccess":{"rejectedLogRecords":"3"}}`: -1, "<html>": -1, `{"partialSuccess":{"rejectedLogRecords":"-1"}}`: -1} {
		answer = said
		n, err := o.Take(t.Context(), []audit.Entry{e, one[0]})
		if want < 0 != (err != nil) || want >= 0 && n != want {
			t.Errorf("%q: %d %v", said, n, err)
		}
	}
}
