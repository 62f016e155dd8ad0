package container

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/template"

	"go.yaml.in/yaml/v3"

	"countersign/internal/config"
	"countersign/internal/testbed"
)

// tree is a document of YAML.
type tree = map[string]any

// render renders the chart as helm template does, with the functions that it uses: a missing
// value is an error. It returns the objects by their kind.
func render(t *testing.T, set tree) (map[string]tree, error) {
	t.Helper()
	var values tree
	if err := yaml.Unmarshal([]byte(deployed(t, "helm/countersign/values.yaml")), &values); err != nil {
		t.Fatal(err)
	}
	overlay(values, set)
	all := template.New("chart").Option("missingkey=error")
	const base = "countersign/templates"
	all.Funcs(functions(all))
	files, err := filepath.Glob(filepath.Join(testbed.Root(t), "deploy/helm/countersign/templates/*"))
	if err != nil || len(files) < 7 {
		t.Fatalf("%d templates: %v", len(files), err)
	}
	for _, f := range files {
		template.Must(all.New(base + "/" + filepath.Base(f)).Parse(deployed(t, "helm/countersign/templates/"+filepath.Base(f))))
	}
	data := tree{"Values": values, "Release": tree{"Name": "mfa", "Namespace": "default"}, "Template": tree{"BasePath": base}}
	out := map[string]tree{}
	for _, f := range files {
		if filepath.Ext(f) != ".yaml" {
			continue
		}
		var b bytes.Buffer
		if err := all.ExecuteTemplate(&b, base+"/"+filepath.Base(f), data); err != nil {
			return nil, err
		}
		var object tree
		d := yaml.NewDecoder(&b)
		text := b.String()
		if strings.TrimSpace(text) == "" {
			continue
		}
		if err := d.Decode(&object); err != nil {
			t.Fatalf("%s: %v\n%s", f, err, text)
		}
		out[object["kind"].(string)] = object
	}
	return out, nil
}

func overlay(values, set tree) {
	for k, v := range set {
		if inner, ok := v.(tree); ok && len(inner) > 0 {
			if into, ok := values[k].(tree); ok {
				overlay(into, inner)
				continue
			}
		}
		values[k] = v
	}
}

// functions are those of Helm that the chart uses.
func functions(all *template.Template) template.FuncMap {
	text := func(v any) (string, error) {
		b, err := yaml.Marshal(v)
		return strings.TrimSuffix(string(b), "\n"), err
	}
	return template.FuncMap{
		"include": func(name string, data any) (string, error) {
			var b strings.Builder
			err := all.ExecuteTemplate(&b, name, data)
			return b.String(), err
		},
		"nindent": func(n int, s string) string {
			return "\n" + strings.Repeat(" ", n) + strings.ReplaceAll(s, "\n", "\n"+strings.Repeat(" ", n))
		},
		"toYaml": text, "quote": func(v any) string { return fmt.Sprintf("%q", fmt.Sprint(v)) }, "int": func(v any) int { return v.(int) },
		"fail": func(s string) (string, error) { return "", errors.New(s) }, "list": func(v ...any) []any { return v }, "hasKey": func(m tree, k any) bool { _, ok := m[k.(string)]; return ok },
		"sha256sum": func(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) },
		"urlParse":  func(s string) (tree, error) { u, err := url.Parse(s); return tree{"hostname": u.Hostname()}, err },
	}
}

// shape says which fields an object has. A nil shape is a value of any form.
type shape map[string]shape

var (
	meta      = shape{"name": nil, "labels": nil, "annotations": nil}
	probe     = shape{"httpGet": {"path": nil, "port": nil}, "periodSeconds": nil, "timeoutSeconds": nil, "failureThreshold": nil}
	container = shape{"name": nil, "image": nil, "imagePullPolicy": nil, "args": nil, "env": {"name": nil, "value": nil}, "ports": {"name": nil, "containerPort": nil, "protocol": nil},
		"startupProbe": probe, "livenessProbe": probe, "readinessProbe": probe, "resources": {"requests": nil, "limits": nil},
		"securityContext": {"allowPrivilegeEscalation": nil, "readOnlyRootFilesystem": nil, "capabilities": {"drop": nil}}, "volumeMounts": {"name": nil, "mountPath": nil, "readOnly": nil}}
	pod = shape{"automountServiceAccountToken": nil, "enableServiceLinks": nil, "terminationGracePeriodSeconds": nil, "imagePullSecrets": {"name": nil},
		"securityContext": {"runAsNonRoot": nil, "runAsUser": nil, "runAsGroup": nil, "fsGroup": nil, "fsGroupChangePolicy": nil, "seccompProfile": {"type": nil}},
		"containers":      container, "nodeSelector": nil, "tolerations": nil, "affinity": nil,
		"volumes": {"name": nil, "emptyDir": {"medium": nil, "sizeLimit": nil}, "configMap": {"name": nil}, "secret": {"secretName": nil, "defaultMode": nil}}}
	peers = shape{"podSelector": nil, "namespaceSelector": nil, "ipBlock": {"cidr": nil, "except": nil}}
	ports = shape{"port": nil, "protocol": nil, "endPort": nil}
	// kinds are the fields of the Kubernetes API (apps/v1, v1, networking.k8s.io/v1, policy/v1)
	// that the chart may use, written down by hand.
	kinds = map[string]shape{
		"apps/v1 StatefulSet": {"apiVersion": nil, "kind": nil, "metadata": meta, "spec": {"serviceName": nil, "replicas": nil, "selector": {"matchLabels": nil}, "template": {"metadata": meta, "spec": pod},
			"volumeClaimTemplates": {"metadata": meta, "spec": {"accessModes": nil, "storageClassName": nil, "resources": {"requests": {"storage": nil}}}}}},
		"v1 Service":                         {"apiVersion": nil, "kind": nil, "metadata": meta, "spec": {"selector": nil, "ports": {"name": nil, "port": nil, "targetPort": nil, "protocol": nil}}},
		"v1 ConfigMap":                       {"apiVersion": nil, "kind": nil, "metadata": meta, "data": nil},
		"networking.k8s.io/v1 NetworkPolicy": {"apiVersion": nil, "kind": nil, "metadata": meta, "spec": {"podSelector": nil, "policyTypes": nil, "ingress": {"from": peers, "ports": ports}, "egress": {"to": peers, "ports": ports}}},
		"networking.k8s.io/v1 Ingress": {"apiVersion": nil, "kind": nil, "metadata": meta, "spec": {"ingressClassName": nil, "tls": {"hosts": nil, "secretName": nil},
			"rules": {"host": nil, "http": {"paths": {"path": nil, "pathType": nil, "backend": {"service": {"name": nil, "port": {"name": nil}}}}}}}},
		"policy/v1 PodDisruptionBudget": {"apiVersion": nil, "kind": nil, "metadata": meta, "spec": {"maxUnavailable": nil, "selector": nil}},
	}
)

// fits names what of a value no shape has.
func fits(at string, v any, s shape) (wrong []string) {
	if s == nil {
		return nil
	}
	switch v := v.(type) {
	case []any:
		for i, one := range v {
			wrong = append(wrong, fits(fmt.Sprintf("%s[%d]", at, i), one, s)...)
		}
	case tree:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			inner, known := s[k]
			if !known {
				wrong = append(wrong, at+"."+k)
				continue
			}
			wrong = append(wrong, fits(at+"."+k, v[k], inner)...)
		}
	default:
		wrong = append(wrong, fmt.Sprintf("%s is %v", at, v))
	}
	return wrong
}

// at walks into a tree.
func at(v any, path ...any) any {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(tree)
			v = m[p]
		case int:
			v = v.([]any)[p]
		}
	}
	return v
}

var everything = tree{"replicas": 3, "publicURL": "https://mfa.example.org", "database": tree{"url": "postgres://countersign@db:5432/countersign", "passwordSecret": "db"}, "rootKeySecret": "root", "secrets": []any{"mail"},
	"config":           tree{"mail": tree{"server": "smtp.example.org:587", "from": "mfa@example.org", "username": "mfa", "password_file": "/etc/countersign-secrets/mail/password"}, "trusted_proxies": []any{"10.0.0.0/8"}},
	"imagePullSecrets": []any{tree{"name": "registry"}}, "service": tree{"radius": 1812}, "ingress": tree{"enabled": true, "className": "nginx", "tlsSecret": "tls", "annotations": tree{"a": "b"}}, "persistence": tree{"storageClass": "fast"},
	"networkPolicy": tree{"from": []any{tree{"namespaceSelector": tree{"matchLabels": tree{"name": "ingress"}}}}, "egress": []any{tree{"to": []any{tree{"ipBlock": tree{"cidr": "10.0.0.0/8"}}}, "ports": []any{tree{"port": 5432, "protocol": "TCP"}}}}},
	"nodeSelector":  tree{"disk": "fast"}, "tolerations": []any{tree{"key": "x", "operator": "Exists"}}, "affinity": tree{"podAntiAffinity": tree{}}}

// The promise: with the values as they are and with every one set, the chart has only fields
// that Kubernetes has, the server reads its configuration, and the pod is closed.
func TestChart(t *testing.T) {
	for name, c := range map[string]struct {
		set   tree
		kinds int
	}{"as it is": {tree{}, 4}, "with everything": {everything, 6}} {
		t.Run(name, func(t *testing.T) {
			objects, err := render(t, c.set)
			if err != nil {
				t.Fatal(err)
			}
			for kind, o := range objects {
				s, known := kinds[fmt.Sprint(o["apiVersion"], " ", kind)]
				if wrong := fits(kind, o, s); !known || len(wrong) > 0 {
					t.Errorf("%v %s: %q", o["apiVersion"], kind, wrong)
				}
			}
			if len(objects) != c.kinds {
				t.Errorf("%d objects", len(objects))
			}
			file, err := config.Parse([]byte(at(objects["ConfigMap"], "data", "countersign.yaml").(string)))
			if err != nil || file.Listen != "0.0.0.0:8080" {
				t.Errorf("the server does not read its configuration: %v", err)
			}
			closed(t, objects["StatefulSet"])
			for kind, path := range map[string][]any{"Service": {"spec", "selector"}, "NetworkPolicy": {"spec", "podSelector", "matchLabels"}, "StatefulSet": {"spec", "selector", "matchLabels"}} {
				if got := fmt.Sprint(at(objects[kind], path...)); got != fmt.Sprint(at(objects["StatefulSet"], "spec", "template", "metadata", "labels")) {
					t.Errorf("the selector of the %s is %s", kind, got)
				}
			}
		})
	}
}

// closed demands of a pod what docs/containers.md promises.
func closed(t *testing.T, set tree) {
	t.Helper()
	spec := at(set, "spec", "template", "spec")
	server := at(spec, "containers", 0)
	for _, want := range []struct {
		is, want any
	}{
		{at(spec, "automountServiceAccountToken"), false}, {at(spec, "securityContext", "runAsNonRoot"), true}, {at(spec, "securityContext", "runAsUser"), 65532}, {at(spec, "securityContext", "seccompProfile", "type"), "RuntimeDefault"},
		{at(server, "securityContext", "readOnlyRootFilesystem"), true}, {at(server, "securityContext", "allowPrivilegeEscalation"), false}, {fmt.Sprint(at(server, "securityContext", "capabilities", "drop")), "[ALL]"},
		{at(server, "readinessProbe", "httpGet", "path"), "/readyz"}, {at(server, "livenessProbe", "httpGet", "path"), "/healthz"},
	} {
		if want.is != want.want {
			t.Errorf("%v, not %v", want.is, want.want)
		}
	}
	volumes := map[any]bool{"data": true}
	for _, v := range at(spec, "volumes").([]any) {
		volumes[at(v, "name")] = true
	}
	for _, m := range at(server, "volumeMounts").([]any) {
		if !volumes[at(m, "name")] {
			t.Errorf("no volume is called %v", at(m, "name"))
		}
		delete(volumes, at(m, "name"))
	}
	if len(volumes) > 0 {
		t.Errorf("nothing mounts %v", volumes)
	}
}

// The promise: what cannot work, or would put a password where everybody reads it, is refused
// with a sentence.
func TestChartRefuses(t *testing.T) {
	for says, set := range map[string]tree{
		"SQLite is for one server":            {"replicas": 2},
		"all servers have the same root key":  {"replicas": 2, "database": tree{"url": "postgres://db/x"}},
		"config.listen is set by the chart":   {"config": tree{"listen": "127.0.0.1:80"}},
		"config.database is set by the chart": {"config": tree{"database": "postgres://a:b@db/x"}},
	} {
		if _, err := render(t, set); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
	var schema struct {
		Additional bool `json:"additionalProperties"`
		Properties map[string]struct {
			Additional *bool `json:"additionalProperties"`
			Properties map[string]struct{ Pattern string }
		}
	}
	if err := json.Unmarshal([]byte(deployed(t, "helm/countersign/values.schema.json")), &schema); err != nil || schema.Additional {
		t.Fatalf("unknown values are taken: %v", err)
	}
	var values tree
	if err := yaml.Unmarshal([]byte(deployed(t, "helm/countersign/values.yaml")), &values); err != nil {
		t.Fatal(err)
	}
	for name, v := range values {
		s, known := schema.Properties[name]
		if !known {
			t.Errorf("the schema lacks %s", name)
		}
		inner, _ := v.(tree)
		for key := range inner {
			if _, known := s.Properties[key]; s.Additional != nil && !known {
				t.Errorf("the schema lacks %s.%s", name, key)
			}
		}
	}
	url := regexp.MustCompile(schema.Properties["database"].Properties["url"].Pattern)
	for text, want := range map[string]bool{"": true, "postgres://countersign@db:5432/x?sslmode=verify-full": true, "postgres://db:5432/x": true, "postgres://u:secret@db/x": false, "mysql://db": false} {
		if url.MatchString(text) != want {
			t.Errorf("the schema about %q: %v", text, !want)
		}
	}
}
