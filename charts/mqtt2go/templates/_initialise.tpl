{{/* Names of the folders of a deployment's Secrets: what `initialise` writes. */}}
{{- define "mqtt2go.secretNames" -}}
{{- $root := . -}}
{{- range $service, $values := .Values.services }}
- {{ include "mqtt2go.deploymentSecret" (dict "root" $root "folder" (printf "service-%s" $service)) }}
{{- end }}
- {{ include "mqtt2go.deploymentSecret" (dict "root" . "folder" "operator") }}
- {{ include "mqtt2go.deploymentSecret" (dict "root" . "folder" "broker-bus") }}
- {{ include "mqtt2go.deploymentSecret" (dict "root" . "folder" "broker-activation") }}
{{- range $shard := until (int .Values.brokers.home.shards) }}
- {{ include "mqtt2go.deploymentSecret" (dict "root" $root "folder" (printf "broker-home-%d" $shard)) }}
{{- end }}
{{- if not .Values.encryptionKey.existingSecret }}
- {{ include "mqtt2go.keySecret" . }}
{{- end }}
{{- end -}}

{{/*
The Job with what it needs: (root, name, hook: hooks, or empty). As hooks, all are made before anything else of the release,
and removed when they have succeeded.
*/}}
{{- define "mqtt2go.initialise" -}}
{{- $parts := dict "root" .root "component" "initialise" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "mqtt2go.initialiseMetadata" (merge (dict "weight" "-20") .) | nindent 2 }}
automountServiceAccountToken: false
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  {{- include "mqtt2go.initialiseMetadata" (merge (dict "weight" "-20") .) | nindent 2 }}
rules:
  - apiGroups: ['']
    resources: [secrets]
    verbs: [get, update]
    resourceNames:
      {{- include "mqtt2go.secretNames" .root | trim | nindent 6 }}
  # Kubernetes cannot tie the making of objects to their names.
  - apiGroups: ['']
    resources: [secrets]
    verbs: [create]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  {{- include "mqtt2go.initialiseMetadata" (merge (dict "weight" "-15") .) | nindent 2 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ .name }}
subjects:
  - kind: ServiceAccount
    name: {{ .name }}
    namespace: {{ .root.Release.Namespace }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  {{- include "mqtt2go.initialiseMetadata" (merge (dict "weight" "-20") .) | nindent 2 }}
data:
  brokers.json: |
    {{- include "mqtt2go.brokersFile" .root | nindent 4 }}
---
apiVersion: batch/v1
kind: Job
metadata:
  {{- include "mqtt2go.initialiseMetadata" (merge (dict "weight" "0") .) | nindent 2 }}
spec:
  backoffLimit: {{ .root.Values.initialise.backoffLimit }}
  activeDeadlineSeconds: {{ .root.Values.initialise.timeoutSeconds }}
  template:
    metadata:
      {{- include "mqtt2go.podMetadata" $parts | nindent 6 }}
    spec:
      restartPolicy: OnFailure
      {{- include "mqtt2go.podHead" (merge (dict "user" 1000 "grace" 30 "scheduling" .root.Values.initialise.scheduling "serviceAccount" .name) $parts) | nindent 6 }}
      containers:
        - name: initialise
          {{- include "mqtt2go.image" (dict "root" .root "program" "initialise" "image" .root.Values.initialise.image) | nindent 10 }}
          env:
            {{- include "mqtt2go.commonEnv" .root | nindent 12 }}
            {{- include "mqtt2go.databaseEnv" .root | nindent 12 }}
            {{- if .root.Values.encryptionKey.existingSecret }}
            - name: MQTT2GO_KEY_FILE
              value: /etc/mqtt2go/key/key
            {{- else }}
            - name: MQTT2GO_KUBERNETES_KEY_SECRET
              value: {{ include "mqtt2go.keySecret" .root }}
            {{- end }}
            - name: MQTT2GO_KUBERNETES_SECRETS
              value: {{ include "mqtt2go.fullname" .root }}
            - name: MQTT2GO_BROKERS
              value: /etc/mqtt2go/brokers/brokers.json
            - name: MQTT2GO_DISCOVERY_URL
              value: https://{{ include "mqtt2go.fullname" .root }}-discovery:8443
            - name: MQTT2GO_FEDERATION_URL
              value: https://{{ include "mqtt2go.doorAddress" .root }}
            - name: MQTT2GO_DEPLOYMENT_DIR
              value: /deployment
          {{- include "mqtt2go.containerSecurity" . | nindent 10 }}
          resources:
            {{- toYaml .root.Values.initialise.resources | nindent 12 }}
          volumeMounts:
            - name: deployment
              mountPath: /deployment
            - name: brokers
              mountPath: /etc/mqtt2go/brokers
              readOnly: true
            - name: token
              mountPath: /var/run/secrets/kubernetes.io/serviceaccount
              readOnly: true
            - name: tmp
              mountPath: /tmp
            {{- if .root.Values.encryptionKey.existingSecret }}
            - name: key
              mountPath: /etc/mqtt2go/key
              readOnly: true
            {{- end }}
            {{- with include "mqtt2go.databaseMount" .root }}
            {{- . | nindent 12 }}
            {{- end }}
      volumes:
        - name: deployment
          emptyDir:
            medium: Memory
            sizeLimit: 128Mi
        - name: brokers
          configMap:
            name: {{ .name }}
        # What automountServiceAccountToken would mount, for this container alone and for no longer than the Job may take.
        - name: token
          projected:
            defaultMode: 0440
            sources:
              - serviceAccountToken:
                  path: token
                  expirationSeconds: {{ max 600 (int .root.Values.initialise.timeoutSeconds) }}
              - configMap:
                  name: kube-root-ca.crt
                  items:
                    - { key: ca.crt, path: ca.crt }
              - downwardAPI:
                  items:
                    - path: namespace
                      fieldRef:
                        fieldPath: metadata.namespace
        - name: tmp
          emptyDir:
            sizeLimit: 64Mi
        {{- if .root.Values.encryptionKey.existingSecret }}
        - name: key
          secret:
            secretName: {{ .root.Values.encryptionKey.existingSecret }}
            defaultMode: 0440
            items:
              - key: {{ .root.Values.encryptionKey.entry | quote }}
                path: key
        {{- end }}
        {{- with include "mqtt2go.databaseVolume" .root }}
        {{- . | nindent 8 }}
        {{- end }}
{{- end -}}

{{/* (root, name, hook, weight) */}}
{{- define "mqtt2go.initialiseMetadata" -}}
name: {{ .name }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "mqtt2go.labels" (dict "root" .root "component" "initialise") | nindent 2 }}
{{- if .hook }}
annotations:
  helm.sh/hook: {{ .hook }}
  helm.sh/hook-weight: {{ default "0" .weight | quote }}
  helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}
{{- end -}}
