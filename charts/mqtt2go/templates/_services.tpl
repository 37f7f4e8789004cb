{{/* Of each service: whether its name is part of sessions on brokers, and the files that it reads. */}}
{{- define "mqtt2go.serviceTraits" -}}
discovery:
  sessions: true
  writesAccess: true
  identities: [services/discovery, discovery]
  authorities: [services-ca.crt]
provisioning:
  sessions: true
  writesAccess: false
  identities: [services/provisioning]
  authorities: [services-ca.crt, ca.crt]
certificate-authority:
  sessions: false
  writesAccess: false
  identities: [services/certificate-authority]
  authorities: [services-ca.crt]
topic-generator:
  sessions: false
  writesAccess: false
  identities: [services/topic-generator]
  authorities: [services-ca.crt]
federation:
  sessions: false
  writesAccess: false
  identities: [services/federation, federation]
  authorities: [services-ca.crt, ca.crt]
{{- end -}}

{{/* How many there may be at once. */}}
{{- define "mqtt2go.replicas" -}}
{{- if .autoscaling.enabled -}}{{ .autoscaling.maxReplicas }}{{- else -}}{{ .replicas }}{{- end -}}
{{- end -}}

{{/* The port that gateways are told. */}}
{{- define "mqtt2go.doorPort" -}}
{{- with .Values.services.federation.door -}}
{{- ternary .nodePort .port (eq .service.type "NodePort") | int -}}
{{- end -}}
{{- end -}}

{{/* host:port that gateways are told. */}}
{{- define "mqtt2go.doorAddress" -}}
{{- $host := default .Values.publicHost .Values.services.federation.door.host -}}
{{- include "mqtt2go.authority" (dict "host" $host "port" (include "mqtt2go.doorPort" .)) -}}
{{- end -}}

{{/* (root, component, values, traits) */}}
{{- define "mqtt2go.servicePod" -}}
{{- $root := .root -}}
{{- $fullname := include "mqtt2go.fullname" .root -}}
metadata:
  {{- include "mqtt2go.podMetadata" (merge (dict "annotations" (dict "checksum/brokers" (include "mqtt2go.brokersFile" .root | sha256sum))) .) | nindent 2 }}
spec:
  {{- include "mqtt2go.podHead" (merge (dict "user" 1000 "grace" 60 "scheduling" .values.scheduling) .) | nindent 2 }}
  containers:
    - name: {{ .component }}
      {{- include "mqtt2go.image" (dict "root" .root "program" .component "image" .values.image) | nindent 6 }}
      env:
        {{- include "mqtt2go.commonEnv" .root | nindent 8 }}
        {{- include "mqtt2go.databaseEnv" .root | nindent 8 }}
        - name: MQTT2GO_KEY_FILE
          value: /etc/mqtt2go/key/key
        - name: MQTT2GO_TLS_DIR
          value: /etc/mqtt2go/tls
        - name: MQTT2GO_BROKERS
          value: /etc/mqtt2go/brokers/brokers.json
        - name: MQTT2GO_DISCOVERY_URL
          value: https://{{ $fullname }}-discovery:8443
        - name: MQTT2GO_BIND
          value: {{ .root.Values.bind | quote }}
        - name: MQTT2GO_DISCOVERY_PORT
          value: '8443'
        - name: MQTT2GO_HEALTH_BIND
          value: {{ .root.Values.bind | quote }}
        - name: MQTT2GO_HEALTH_PORT
          value: '9090'
        - name: MQTT2GO_REPLICA
          valueFrom:
            fieldRef:
              fieldPath: metadata.name
        - name: MQTT2GO_REPLICAS
          value: {{ include "mqtt2go.replicas" .values | quote }}
        {{- if eq .component "federation" }}
        - name: MQTT2GO_FEDERATION_PORT
          value: '8890'
        - name: MQTT2GO_FEDERATION_URL
          value: https://{{ include "mqtt2go.doorAddress" .root }}
        {{- end }}
        {{- include "mqtt2go.extraEnv" .values.env | indent 8 }}
      {{- include "mqtt2go.containerSecurity" . | nindent 6 }}
      ports:
        - name: metrics
          containerPort: 9090
          protocol: TCP
        {{- if eq .component "discovery" }}
        - name: rest
          containerPort: 8443
          protocol: TCP
        {{- end }}
        {{- if eq .component "federation" }}
        - name: door
          containerPort: 8890
          protocol: TCP
        {{- end }}
      {{- include "mqtt2go.healthProbes" "metrics" | nindent 6 }}
      resources:
        {{- toYaml .values.resources | nindent 8 }}
      volumeMounts:
        - name: tls
          mountPath: /etc/mqtt2go/tls
          readOnly: true
        - name: key
          mountPath: /etc/mqtt2go/key
          readOnly: true
        - name: brokers
          mountPath: /etc/mqtt2go/brokers
          readOnly: true
        - name: tmp
          mountPath: /tmp
        {{- if .traits.writesAccess }}
        # The broker does not see it: what runs beside the broker reads the database itself.
        - name: access
          mountPath: /var/lib/mqtt2go/activation
        {{- end }}
        {{- with include "mqtt2go.databaseMount" .root }}
        {{- . | nindent 8 }}
        {{- end }}
  volumes:
    - name: tls
      secret:
        secretName: {{ include "mqtt2go.deploymentSecret" (dict "root" .root "folder" (printf "service-%s" .component)) }}
        defaultMode: 0440
        items:
          {{- range .traits.authorities }}
          - { key: {{ . }}, path: {{ . }} }
          {{- end }}
          {{- range .traits.identities }}
          {{- $path := . }}
          {{- range list "crt" "key" }}
          - { key: {{ $path | replace "/" "__" }}.{{ . }}, path: {{ $path }}.{{ . }} }
          {{- end }}
          {{- end }}
    - name: key
      secret:
        secretName: {{ include "mqtt2go.keySecret" .root }}
        defaultMode: 0440
        items:
          - key: {{ include "mqtt2go.keyEntry" .root | quote }}
            path: key
    - name: brokers
      configMap:
        name: {{ $fullname }}-brokers
    - name: tmp
      emptyDir:
        sizeLimit: 64Mi
    {{- if .traits.writesAccess }}
    - name: access
      emptyDir:
        sizeLimit: 64Mi
    {{- end }}
    {{- with include "mqtt2go.databaseVolume" .root }}
    {{- . | nindent 4 }}
    {{- end }}
{{- end -}}
