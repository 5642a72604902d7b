{{- define "warpwatch.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "warpwatch.fullname" -}}
{{- $name := include "warpwatch.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* What never changes in the life of a release: a DaemonSet's selector cannot. */}}
{{- define "warpwatch.selector" -}}
app.kubernetes.io/name: {{ include "warpwatch.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "warpwatch.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "warpwatch.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "warpwatch.image" -}}
{{- with .Values.image }}
{{- if .digest }}
{{- printf "%s@%s" .repository .digest }}
{{- else }}
{{- printf "%s:%s" .repository (default $.Chart.AppVersion .tag) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "warpwatch.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "warpwatch.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* The agent listens where its configuration says; everything else follows. */}}
{{- define "warpwatch.port" -}}
{{- .Values.config.listen | splitList ":" | last }}
{{- end }}

{{/* "true" where the agent asks the API server for pods; else empty. */}}
{{- define "warpwatch.searchesPods" -}}
{{- $discovery := .Values.config.discovery }}
{{- if kindIs "map" $discovery }}
{{- if ne (get $discovery "kubernetes" | toString) "false" }}true{{ end }}
{{- end }}
{{- end }}

{{/* The drift process is an application of its own: the agent's selector must not find its pods. */}}
{{- define "warpwatch.drift.fullname" -}}
{{- printf "%s-drift" (include "warpwatch.fullname" . | trunc 57 | trimSuffix "-") }}
{{- end }}

{{- define "warpwatch.drift.selector" -}}
app.kubernetes.io/name: {{ printf "%s-drift" (include "warpwatch.name" . | trunc 57 | trimSuffix "-") }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "warpwatch.drift.labels" -}}
{{ include "warpwatch.labels" . | replace (include "warpwatch.selector" .) (include "warpwatch.drift.selector" .) }}
{{- end }}

{{- define "warpwatch.drift.image" -}}
{{- include "warpwatch.image" (dict "Values" (dict "image" .Values.drift.image) "Chart" .Chart) }}
{{- end }}

{{- define "warpwatch.drift.port" -}}
{{- .Values.drift.config.drift.listen | splitList ":" | last }}
{{- end }}
