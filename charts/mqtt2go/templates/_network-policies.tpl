{{/* A peer of the release's own: (root, components). */}}
{{- define "mqtt2go.peers" -}}
{{- $root := .root -}}
{{- range .components }}
- podSelector:
    matchLabels:
      {{- include "mqtt2go.selectorLabels" (dict "root" $root "component" .) | nindent 6 }}
{{- end }}
{{- end -}}

{{/* (root, ports: list of numbers, components | peers: empty for everybody): one rule, `from` or `to` by `direction`. */}}
{{- define "mqtt2go.rule" -}}
- ports:
    {{- range .ports }}
    - { port: {{ . }}, protocol: TCP }
    {{- end }}
  {{- if .components }}
  {{ .direction }}:
    {{- include "mqtt2go.peers" . | trim | nindent 4 }}
  {{- else if .peers }}
  {{ .direction }}:
    {{- toYaml .peers | nindent 4 }}
  {{- end }}
{{- end -}}

{{- define "mqtt2go.databaseRule" -}}
{{- $database := .Values.networkPolicy.database -}}
{{- if .Values.postgresql.enabled -}}
{{ include "mqtt2go.rule" (dict "root" . "direction" "to" "ports" (list 5432) "components" (list "postgresql")) }}
{{- else -}}
{{ include "mqtt2go.rule" (dict "root" . "direction" "to" "ports" (list $database.port) "peers" $database.to) }}
{{- end -}}
{{- end -}}

{{- define "mqtt2go.dnsRule" -}}
{{- with .Values.networkPolicy.dns -}}
- to:
    {{- toYaml .to | nindent 4 }}
  ports:
    - { port: {{ .port }}, protocol: UDP }
    - { port: {{ .port }}, protocol: TCP }
{{- end -}}
{{- end -}}

{{/* The port of the OTLP endpoint. */}}
{{- define "mqtt2go.tracingRule" -}}
{{- with .Values.tracing.endpoint -}}
{{- $url := urlParse . -}}
{{- $port := regexFind ":[0-9]+$" $url.host | trimPrefix ":" | default (ternary "443" "80" (eq $url.scheme "https")) -}}
{{ include "mqtt2go.rule" (dict "root" $ "direction" "to" "ports" (list $port) "peers" $.Values.networkPolicy.tracing.to) }}
{{- end -}}
{{- end -}}

{{/* (root, component, ingress: list of rules' text, egress: the same; "" are left out) */}}
{{- define "mqtt2go.networkPolicy" -}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "mqtt2go.fullname" .root }}-{{ .component }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "mqtt2go.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "mqtt2go.selectorLabels" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  {{- with compact .ingress }}
  ingress:
    {{- range . }}
    {{- . | nindent 4 }}
    {{- end }}
  {{- end }}
  {{- with compact .egress }}
  egress:
    {{- range . }}
    {{- . | nindent 4 }}
    {{- end }}
  {{- end }}
{{ end -}}
