{{/* The head of every pod's specification: (root, component, scheduling, user, grace, serviceAccount). */}}
{{- define "mqtt2go.podHead" -}}
{{- $scheduling := merge (deepCopy (default dict .scheduling)) .root.Values.scheduling -}}
serviceAccountName: {{ default (include "mqtt2go.fullname" .root) .serviceAccount }}
automountServiceAccountToken: false
{{/* A Service named mqtt2go-discovery would otherwise set MQTT2GO_DISCOVERY_PORT to a URL. */ -}}
enableServiceLinks: false
terminationGracePeriodSeconds: {{ .grace }}
securityContext:
  runAsNonRoot: true
  runAsUser: {{ .user }}
  runAsGroup: {{ .user }}
  fsGroup: {{ .user }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with $scheduling.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $scheduling.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $scheduling.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $scheduling.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if $scheduling.spread }}
topologySpreadConstraints:
  {{- $labels := include "mqtt2go.selectorLabels" . }}
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- $labels | nindent 8 }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* (root, component, annotations) */}}
{{- define "mqtt2go.podMetadata" -}}
{{- $annotations := merge (deepCopy (default dict .annotations)) .root.Values.podAnnotations -}}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{/* No versions: a pod is not to be made anew, and devices disconnected, because the chart has another number. */ -}}
labels:
  {{- include "mqtt2go.selectorLabels" . | nindent 2 }}
  app.kubernetes.io/part-of: mqtt2go
  {{- with .root.Values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "mqtt2go.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{/* Of a Node.js program, by its health port. A service waits for the database for 30 seconds, then it ends by itself. */}}
{{- define "mqtt2go.healthProbes" -}}
startupProbe:
  httpGet: { path: /health/live, port: {{ . }} }
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 45
livenessProbe:
  httpGet: { path: /health/live, port: {{ . }} }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
readinessProbe:
  httpGet: { path: /health/ready, port: {{ . }} }
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 2
{{- end -}}

{{/* Of what runs beside a broker: without its database it is no less alive, and the broker is no less ready. */}}
{{- define "mqtt2go.livenessProbes" -}}
startupProbe:
  httpGet: { path: /health/live, port: {{ . }} }
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 45
livenessProbe:
  httpGet: { path: /health/live, port: {{ . }} }
  periodSeconds: 20
  timeoutSeconds: 5
  failureThreshold: 3
readinessProbe:
  httpGet: { path: /health/live, port: {{ . }} }
  periodSeconds: 20
  timeoutSeconds: 5
  failureThreshold: 3
{{- end -}}

{{/* DATABASE_URL and what it is put together from; no value is in the manifest. */}}
{{- define "mqtt2go.databaseEnv" -}}
{{- if .Values.postgresql.enabled -}}
- name: PGPASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ include "mqtt2go.postgresqlSecret" . }}
      key: password
- name: DATABASE_URL
  value: postgresql://mqtt2go:$(PGPASSWORD)@{{ include "mqtt2go.fullname" . }}-postgresql:5432/mqtt2go
{{- else -}}
{{- $secret := .Values.database.existingSecret -}}
{{- $entries := .Values.database.entries -}}
{{- if $entries.url -}}
- name: DATABASE_URL
  valueFrom:
    secretKeyRef:
      name: {{ $secret }}
      key: {{ $entries.url }}
{{- else -}}
{{- range $variable, $entry := dict "PGHOST" $entries.host "PGPORT" $entries.port "PGDATABASE" $entries.name "PGUSER" $entries.user "PGPASSWORD" $entries.password }}
{{- if $entry }}
- name: {{ $variable }}
  valueFrom:
    secretKeyRef:
      name: {{ $secret }}
      key: {{ $entry }}
{{- end }}
{{- end }}
- name: DATABASE_URL
  value: postgresql://$(PGUSER):$(PGPASSWORD)@$(PGHOST):{{ ternary "$(PGPORT)" "5432" (ne $entries.port "") }}/{{ ternary "$(PGDATABASE)" "mqtt2go" (ne $entries.name "") }}{{ with .Values.database.parameters }}?{{ . }}{{ end }}
{{- end }}
{{- end }}
{{- if .Values.database.ca.existingSecret }}
- name: NODE_EXTRA_CA_CERTS
  value: /etc/mqtt2go/database/ca.crt
{{- end }}
{{- end -}}

{{- define "mqtt2go.databaseMount" -}}
{{- if .Values.database.ca.existingSecret -}}
- name: database-ca
  mountPath: /etc/mqtt2go/database
  readOnly: true
{{- end }}
{{- end -}}

{{- define "mqtt2go.databaseVolume" -}}
{{- with .Values.database.ca -}}
{{- if .existingSecret -}}
- name: database-ca
  secret:
    secretName: {{ .existingSecret }}
    items:
      - key: {{ .entry | quote }}
        path: ca.crt
{{- end }}
{{- end }}
{{- end -}}

{{/* Where there is no Discovery server, new devices come to the port of the others. */}}
{{- define "mqtt2go.gatewayListeners" -}}
{{- toYaml (ternary (omit .Values.gateway.listeners "activation") .Values.gateway.listeners (eq .Values.profile "local-gateway")) -}}
{{- end -}}

{{/* What all of the project's programs are told. */}}
{{- define "mqtt2go.commonEnv" -}}
- name: MQTT2GO_PROFILE
  value: {{ .Values.profile }}
- name: MQTT2GO_PUBLIC_HOST
  value: {{ .Values.publicHost | quote }}
- name: MQTT2GO_LOG_LEVEL
  value: {{ .Values.log.level }}
- name: MQTT2GO_LOG_FORMAT
  value: json
- name: MQTT2GO_PLUGINS
  value: {{ join "," .Values.plugins | quote }}
{{- with .Values.tracing.endpoint }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ . | quote }}
{{- end }}
{{- end -}}

{{/* Extra variables of a component: a map. */}}
{{- define "mqtt2go.extraEnv" -}}
{{- range $name, $value := . }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end -}}

{{- define "mqtt2go.storageClass" -}}
{{- if eq . "-" -}}
storageClassName: ''
{{- else if . -}}
storageClassName: {{ . }}
{{- end -}}
{{- end -}}
