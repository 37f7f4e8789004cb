{{- define "mqtt2go.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Short enough for names of pods, which are labels too: <fullname>-certificate-authority-<hash>-<hash>. */}}
{{- define "mqtt2go.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 30 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "mqtt2go.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 30 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 30 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Of all pods of the release, and nothing that changes with an upgrade. */}}
{{- define "mqtt2go.instanceLabels" -}}
app.kubernetes.io/name: {{ include "mqtt2go.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* (root, component) */}}
{{- define "mqtt2go.selectorLabels" -}}
{{ include "mqtt2go.instanceLabels" .root }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* (root, component) */}}
{{- define "mqtt2go.labels" -}}
{{ include "mqtt2go.selectorLabels" . }}
app.kubernetes.io/part-of: mqtt2go
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* (root, program, image): one of the project's programs. */}}
{{- define "mqtt2go.image" -}}
{{- $common := .root.Values.image -}}
{{- $own := default dict .image -}}
{{- $registry := default $common.registry $own.registry -}}
{{- $repository := default (printf "%s/%s" $common.repository .program) $own.repository -}}
{{- $tag := default (default .root.Chart.AppVersion $common.tag) $own.tag -}}
image: {{ include "mqtt2go.imageName" (dict "registry" $registry "repository" $repository "tag" $tag) | quote }}
imagePullPolicy: {{ default $common.pullPolicy $own.pullPolicy }}
{{- end -}}

{{/* An image of others, all of whose parts are in the values. */}}
{{- define "mqtt2go.foreignImage" -}}
image: {{ include "mqtt2go.imageName" . | quote }}
imagePullPolicy: {{ .pullPolicy }}
{{- end -}}

{{/* A tag may be a digest: sha256:... */}}
{{- define "mqtt2go.imageName" -}}
{{- $separator := ternary "@" ":" (hasPrefix "sha256:" .tag) -}}
{{- if .registry -}}{{ .registry }}/{{- end -}}{{ .repository }}{{ $separator }}{{ .tag }}
{{- end -}}

{{- define "mqtt2go.keySecret" -}}
{{- default (printf "%s-encryption-key" (include "mqtt2go.fullname" .)) .Values.encryptionKey.existingSecret -}}
{{- end -}}

{{/* The `initialise` Job puts the key under `key` into a Secret that it makes itself. */}}
{{- define "mqtt2go.keyEntry" -}}
{{- ternary .Values.encryptionKey.entry "key" (ne .Values.encryptionKey.existingSecret "") -}}
{{- end -}}

{{- define "mqtt2go.controllersSecret" -}}
{{- $tls := .Values.tls.controllers -}}
{{- if $tls.certManager.enabled -}}
{{- printf "%s-controllers-tls" (include "mqtt2go.fullname" .) -}}
{{- else -}}
{{- $tls.existingSecret -}}
{{- end -}}
{{- end -}}

{{/* A Secret that the `initialise` Job writes: (root, folder), such as service-discovery or broker-home-0. */}}
{{- define "mqtt2go.deploymentSecret" -}}
{{- printf "%s-%s" (include "mqtt2go.fullname" .root) .folder -}}
{{- end -}}

{{- define "mqtt2go.postgresqlSecret" -}}
{{- default (printf "%s-postgresql" (include "mqtt2go.fullname" .)) .Values.postgresql.existingSecret -}}
{{- end -}}
