{{- define "countersign.labels" -}}
app.kubernetes.io/name: countersign
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "countersign.check" -}}
{{- if and (gt (int .Values.replicas) 1) (not .Values.database.url) }}{{ fail "replicas above 1 need database.url: SQLite is for one server" }}{{ end }}
{{- if and (gt (int .Values.replicas) 1) (not .Values.rootKeySecret) }}{{ fail "replicas above 1 need rootKeySecret: all servers have the same root key" }}{{ end }}
{{- range $key := list "listen" "plain_http" "public_url" "data" "database" }}{{ if hasKey $.Values.config $key }}{{ fail (printf "config.%s is set by the chart" $key) }}{{ end }}{{ end }}
{{- end }}
