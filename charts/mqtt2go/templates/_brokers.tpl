{{/* Ports that the brokers listen on in their pods, as their generated configuration has them. */}}
{{- define "mqtt2go.containerPort" -}}
{{- get (dict "bus" 8886 "home" 8887 "activation" 8888 "devices" 8883 "controllers" 8889 "webSocket" 8884 "activationDevices" 8885) . -}}
{{- end -}}

{{/* (root, broker, listener, shard): what clients of a listener connect to. */}}
{{- define "mqtt2go.listenerHost" -}}
{{- $broker := get .root.Values.brokers .broker -}}
{{- $listener := get $broker.listeners .listener -}}
{{- $host := default (default .root.Values.publicHost $broker.host) $listener.host -}}
{{- $host | replace "{shard}" (toString .shard) -}}
{{- end -}}

{{/* The same: the port that clients are told. */}}
{{- define "mqtt2go.listenerPort" -}}
{{- $broker := get .root.Values.brokers .broker -}}
{{- $listener := get $broker.listeners .listener -}}
{{- $type := default $broker.service.type $listener.service.type -}}
{{- if and (eq $type "NodePort") $listener.nodePort -}}
{{- add (int $listener.nodePort) (int .shard) -}}
{{- else -}}
{{- int $listener.port -}}
{{- end -}}
{{- end -}}

{{/* host:port in a URL; an IPv6 address in brackets. */}}
{{- define "mqtt2go.authority" -}}
{{- if contains ":" .host -}}[{{ .host }}]{{- else -}}{{ .host }}{{- end -}}:{{ .port }}
{{- end -}}

{{/* The file that MQTT2GO_BROKERS names. */}}
{{- define "mqtt2go.brokersFile" -}}
{{- $root := . -}}
{{- $fullname := include "mqtt2go.fullname" . -}}
{{- $home := list -}}
{{- range $shard := until (int .Values.brokers.home.shards) -}}
{{- $at := dict "root" $root "broker" "home" "shard" $shard -}}
{{- $devices := merge (dict "listener" "devices") $at -}}
{{- $controllers := merge (dict "listener" "controllers") $at -}}
{{- $webSocket := merge (dict "listener" "webSocket") $at -}}
{{- $authority := dict -}}
{{- range $name, $listener := dict "controllers" $controllers "webSocket" $webSocket -}}
{{- $_ := set $authority $name (include "mqtt2go.authority" (dict "host" (include "mqtt2go.listenerHost" $listener) "port" (include "mqtt2go.listenerPort" $listener))) -}}
{{- end -}}
{{- $broker := dict
  "name" (printf "home-%d" $shard)
  "kind" "mosquitto"
  "url" (printf "mqtts://%s-home-%d:%s" $fullname $shard (include "mqtt2go.containerPort" "home"))
  "host" (include "mqtt2go.listenerHost" $devices)
  "port" (include "mqtt2go.listenerPort" $devices | int)
  "controllerUrl" (printf "mqtts://%s" $authority.controllers)
  "controllerWebSocketUrl" (printf "wss://%s" $authority.webSocket)
-}}
{{- range $root.Values.brokers.home.gatewayShards -}}
{{- if eq (int .) (int $shard) -}}
{{- $_ := set $broker "gateways" true -}}
{{- end -}}
{{- end -}}
{{- $home = append $home $broker -}}
{{- end -}}
{{- $activation := dict "root" . "broker" "activation" "listener" "devices" "shard" 0 -}}
{{- $file := dict
  "bus" (dict "kind" "mosquitto" "url" (printf "mqtts://%s-bus:%s" $fullname (include "mqtt2go.containerPort" "bus")))
  "activation" (dict
    "kind" "mosquitto"
    "url" (printf "mqtts://%s-activation:%s" $fullname (include "mqtt2go.containerPort" "activation"))
    "accessDir" "/var/lib/mqtt2go/activation"
    "host" (include "mqtt2go.listenerHost" $activation)
    "port" (include "mqtt2go.listenerPort" $activation | int))
  "home" $home
-}}
{{- mustToPrettyJson $file -}}
{{- end -}}

{{/* (root, component, broker): one broker's pod, whichever of several it is. */}}
{{- define "mqtt2go.brokerSelector" -}}
{{ include "mqtt2go.selectorLabels" . }}
mqtt2go.io/broker: {{ .broker }}
{{- end -}}

{{/* A Service of clients: (root, component, broker, shard, name, service, ports: list of (name, port, nodePort)). */}}
{{- define "mqtt2go.publicService" -}}
{{- $shard := toString .shard -}}
{{- $service := .service -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "mqtt2go.labels" . | nindent 4 }}
  {{- with $service.annotations }}
  annotations:
    {{- range $key, $value := . }}
    {{ $key }}: {{ $value | replace "{shard}" $shard | quote }}
    {{- end }}
  {{- end }}
spec:
  type: {{ $service.type }}
  {{- if and (ne $service.type "ClusterIP") $service.externalTrafficPolicy }}
  externalTrafficPolicy: {{ $service.externalTrafficPolicy }}
  {{- end }}
  {{- if and (eq $service.type "LoadBalancer") $service.loadBalancerSourceRanges }}
  loadBalancerSourceRanges:
    {{- toYaml $service.loadBalancerSourceRanges | nindent 4 }}
  {{- end }}
  selector:
    {{- if .broker }}
    {{- include "mqtt2go.brokerSelector" . | nindent 4 }}
    {{- else }}
    {{- include "mqtt2go.selectorLabels" . | nindent 4 }}
    {{- end }}
  ports:
    {{- range .ports }}
    - name: {{ .name }}
      port: {{ .port }}
      targetPort: {{ .name }}
      protocol: TCP
      {{- if and .nodePort (ne $service.type "ClusterIP") }}
      nodePort: {{ .nodePort }}
      {{- end }}
    {{- end }}
{{- end -}}

{{/*
The Services of one broker's clients: (root, component, broker, shard, name, values). Listeners without a Service of their
own share one.
*/}}
{{- define "mqtt2go.publicServices" -}}
{{- $at := . -}}
{{- $shared := list -}}
{{- range $name, $listener := .values.listeners -}}
{{- $portName := $name | lower -}}
{{- $nodePort := "" -}}
{{- if $listener.nodePort -}}
{{- $nodePort = add (int $listener.nodePort) (int $at.shard) -}}
{{- end -}}
{{- $port := dict "name" $portName "port" (int $listener.port) "nodePort" $nodePort -}}
{{- if $listener.service -}}
{{- $own := merge (deepCopy $listener.service) (dict "type" $at.values.service.type) -}}
{{- $parts := dict "name" (printf "%s-%s" $at.name $portName) "service" $own "ports" (list $port) }}
---
{{ include "mqtt2go.publicService" (merge $parts $at) }}
{{- else -}}
{{- $shared = append $shared $port -}}
{{- end -}}
{{- end -}}
{{- if $shared -}}
{{- $parts := dict "name" (printf "%s-public" .name) "service" .values.service "ports" $shared }}
---
{{ include "mqtt2go.publicService" (merge $parts .) }}
{{- end -}}
{{- end -}}

{{/* Of the program that puts a broker's files together: (root, broker). */}}
{{- define "mqtt2go.brokerEnv" -}}
{{- include "mqtt2go.commonEnv" .root }}
- name: MQTT2GO_BROKER
  value: {{ .broker }}
- name: MQTT2GO_BROKER_SOURCE_DIR
  value: /etc/mqtt2go/broker
- name: MQTT2GO_BROKER_DIR
  value: /mosquitto/config
{{- if .withAccess }}
{{ include "mqtt2go.databaseEnv" .root }}
- name: MQTT2GO_BROKERS
  value: /etc/mqtt2go/brokers/brokers.json
- name: MQTT2GO_ACCESS_INTERVAL_SECONDS
  value: {{ .root.Values.brokers.access.intervalSeconds | quote }}
{{- end }}
{{- end -}}

{{- define "mqtt2go.brokerMounts" -}}
- name: tmp
  mountPath: /tmp
{{- if .withAccess }}
- name: brokers
  mountPath: /etc/mqtt2go/brokers
  readOnly: true
{{- with include "mqtt2go.databaseMount" .root }}
{{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{/* (root, broker): its part of the brokers file. */}}
{{- define "mqtt2go.brokerNames" -}}
{{- $file := include "mqtt2go.brokersFile" .root | fromJson -}}
{{- $name := .broker -}}
{{- if hasKey $file $name -}}
{{- get $file $name | mustToJson -}}
{{- else -}}
{{- range $file.home -}}
{{- if eq .name $name -}}{{- mustToJson . -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- .root.Values.publicHost -}}
{{- end -}}

{{/*
A broker: (root, component, broker: home-0 | activation | bus, name, values, ports: list of (name, port), withAccess,
controllersSecret). Its files come from its Secret into memory, where the access that is made from the database is put
beside them; the broker can only read them.
*/}}
{{- define "mqtt2go.broker" -}}
{{- $root := .root -}}
{{- $fullname := include "mqtt2go.fullname" .root -}}
{{- $brokers := .root.Values.brokers -}}
{{/* What its certificate names: with other names it starts again with another one; another shard is nothing to it. */ -}}
{{- $names := include "mqtt2go.brokerNames" . | sha256sum -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "mqtt2go.labels" . | nindent 4 }}
spec:
  type: ClusterIP
  selector:
    {{- include "mqtt2go.brokerSelector" . | nindent 4 }}
  ports:
    - name: services
      port: {{ (first .ports).port }}
      targetPort: services
      protocol: TCP
---
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "mqtt2go.labels" . | nindent 4 }}
    mqtt2go.io/broker: {{ .broker }}
spec:
  serviceName: {{ .name }}
  replicas: 1
  updateStrategy:
    type: {{ $brokers.updateStrategy }}
  selector:
    matchLabels:
      {{- include "mqtt2go.brokerSelector" . | nindent 6 }}
  template:
    metadata:
      {{- include "mqtt2go.podMetadata" (merge (dict "annotations" (dict "checksum/names" $names)) .) | nindent 6 }}
        mqtt2go.io/broker: {{ .broker }}
    spec:
      {{- include "mqtt2go.podHead" (merge (dict "user" 1883 "grace" 60 "scheduling" .values.scheduling) .) | nindent 6 }}
      initContainers:
        - name: files
          {{- include "mqtt2go.image" (dict "root" .root "program" "initialise" "image" .root.Values.initialise.image) | nindent 10 }}
          args: [broker]
          workingDir: /
          env:
            {{- include "mqtt2go.brokerEnv" . | nindent 12 }}
            {{- if .controllersSecret }}
            - name: MQTT2GO_CONTROLLERS_TLS_DIR
              value: /etc/mqtt2go/controllers
            {{- end }}
          {{- include "mqtt2go.containerSecurity" . | nindent 10 }}
          resources:
            {{- toYaml $brokers.access.resources | nindent 12 }}
          volumeMounts:
            - name: config
              mountPath: /mosquitto/config
            - name: source
              mountPath: /etc/mqtt2go/broker
              readOnly: true
            {{- include "mqtt2go.brokerMounts" . | nindent 12 }}
            {{- if .controllersSecret }}
            - name: controllers-tls
              mountPath: /etc/mqtt2go/controllers
              readOnly: true
            {{- end }}
      containers:
        - name: mosquitto
          {{- include "mqtt2go.foreignImage" $brokers.image | nindent 10 }}
          command: [/usr/sbin/mosquitto, -c, /mosquitto/config/mosquitto.conf]
          {{- include "mqtt2go.containerSecurity" . | nindent 10 }}
          ports:
            {{- range .ports }}
            - name: {{ .name }}
              containerPort: {{ .port }}
              protocol: TCP
            {{- end }}
          startupProbe:
            tcpSocket: { port: services }
            periodSeconds: 1
            failureThreshold: 60
          livenessProbe:
            tcpSocket: { port: services }
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 3
          readinessProbe:
            tcpSocket: { port: services }
            periodSeconds: 5
            timeoutSeconds: 5
            failureThreshold: 2
          resources:
            {{- toYaml .values.resources | nindent 12 }}
          volumeMounts:
            - name: config
              mountPath: /mosquitto/config
              readOnly: true
            - name: data
              mountPath: /mosquitto/data
        {{- if .withAccess }}
        - name: access
          {{- include "mqtt2go.image" (dict "root" .root "program" "initialise" "image" .root.Values.initialise.image) | nindent 10 }}
          args: [broker, --watch]
          workingDir: /
          env:
            {{- include "mqtt2go.brokerEnv" . | nindent 12 }}
            - name: MQTT2GO_HEALTH_BIND
              value: {{ .root.Values.bind | quote }}
            - name: MQTT2GO_HEALTH_PORT
              value: '9090'
          {{- include "mqtt2go.containerSecurity" . | nindent 10 }}
          ports:
            - name: health
              containerPort: 9090
              protocol: TCP
          {{- include "mqtt2go.livenessProbes" "health" | nindent 10 }}
          resources:
            {{- toYaml $brokers.access.resources | nindent 12 }}
          volumeMounts:
            # Not the keys beside it.
            - name: config
              mountPath: /mosquitto/config/access
              subPath: access
            {{- include "mqtt2go.brokerMounts" . | nindent 12 }}
        {{- end }}
      volumes:
        - name: config
          emptyDir:
            medium: Memory
            sizeLimit: 128Mi
        - name: tmp
          emptyDir:
            sizeLimit: 16Mi
        - name: source
          secret:
            secretName: {{ include "mqtt2go.deploymentSecret" (dict "root" .root "folder" (printf "broker-%s" .broker)) }}
            defaultMode: 0440
        {{- with .controllersSecret }}
        - name: controllers-tls
          secret:
            secretName: {{ . }}
            defaultMode: 0440
        {{- end }}
        {{- if .withAccess }}
        - name: brokers
          configMap:
            name: {{ $fullname }}-brokers
        {{- with include "mqtt2go.databaseVolume" $root }}
        {{- . | nindent 8 }}
        {{- end }}
        {{- end }}
        {{- if not .values.storage }}
        - name: data
          emptyDir:
            sizeLimit: 64Mi
        {{- end }}
  {{- if .values.storage }}
  volumeClaimTemplates:
    - metadata:
        name: data
        labels:
          {{- include "mqtt2go.brokerSelector" . | nindent 10 }}
      spec:
        accessModes: [ReadWriteOnce]
        {{- with include "mqtt2go.storageClass" .values.storage.storageClass }}
        {{- . | nindent 8 }}
        {{- end }}
        resources:
          requests:
            storage: {{ .values.storage.size }}
  {{- end }}
{{- end -}}

{{/* (gateway, listener) */}}
{{- define "mqtt2go.gatewayPort" -}}
{{- if and (eq .gateway.service.type "NodePort") .listener.nodePort -}}
{{- int .listener.nodePort -}}
{{- else -}}
{{- int .listener.port -}}
{{- end -}}
{{- end -}}
