{{- define "roost.name" -}}
{{- if contains "roost" .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}{{ else }}{{ printf "%s-roost" .Release.Name | trunc 52 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "roost.selector" -}}
app.kubernetes.io/name: roost
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "roost.labels" -}}
{{ include "roost.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- /* Seconds. 20 for clients that take their last bytes, 5 for presence, 5 to spare. */}}
{{- define "roost.shutdown" -}}
{{ add .Values.drain.delay .Values.drain.window 30 }}
{{- end }}

{{- /* Kubernetes counts preStop too. */}}
{{- define "roost.grace" -}}
{{ add .Values.preStop (include "roost.shutdown" . | int) 10 }}
{{- end }}

{{- /* MiB: 512, and 6.5 KiB a connection (docs/deploy.md). */}}
{{- define "roost.memory" -}}
{{ add 512 (ceil (divf (mulf .Values.maxConnections 6.5) 1024)) }}Mi
{{- end }}
