{{/* The keys of `web` that follow from existing Secrets; what the configuration says itself wins. */}}
{{- define "warpwatch.web" -}}
{{- $web := dict }}
{{- with .Values.web.tls }}
{{- if .secretName }}
{{- $_ := set $web "cert_file" "/etc/warpwatch/web/tls/tls.crt" }}
{{- $_ := set $web "key_file" "/etc/warpwatch/web/tls/tls.key" }}
{{- if .clientCertificates }}
{{- $_ := set $web "client_ca_file" "/etc/warpwatch/web/tls/ca.crt" }}
{{- end }}
{{- else if .clientCertificates }}
{{- fail "web.tls.clientCertificates needs web.tls.secretName" }}
{{- end }}
{{- end }}
{{- with .Values.web.credentials }}
{{- if .secretName }}
{{- if not (or .tokenKey .usersKey) }}
{{- fail "web.credentials.secretName needs tokenKey or usersKey: the key of the Secret that holds them" }}
{{- end }}
{{- with .tokenKey }}
{{- $_ := set $web "bearer_token_file" (printf "/etc/warpwatch/web/credentials/%s" .) }}
{{- end }}
{{- with .usersKey }}
{{- $_ := set $web "basic_auth_users_file" (printf "/etc/warpwatch/web/credentials/%s" .) }}
{{- end }}
{{- end }}
{{- end }}
{{- toYaml $web }}
{{- end }}

{{/* A process' configuration as its file holds it: (dict "root" $ "config" .Values.config). */}}
{{- define "warpwatch.config" -}}
{{- $web := mergeOverwrite (include "warpwatch.web" .root | fromYaml) (deepCopy (default dict .config.web)) }}
{{- $rest := omit .config "web" }}
{{- toYaml (ternary (merge (dict "web" $web) $rest) $rest (not (empty $web))) }}
{{- end }}

{{/* "true" where a process speaks HTTPS; else empty. */}}
{{- define "warpwatch.https" -}}
{{- dig "web" "cert_file" "" (include "warpwatch.config" . | fromYaml) | empty | ternary "" "true" }}
{{- end }}

{{- define "warpwatch.web.mounts" -}}
{{- with .Values.web.tls.secretName }}
- name: web-tls
  mountPath: /etc/warpwatch/web/tls
  readOnly: true
{{- end }}
{{- with .Values.web.credentials.secretName }}
- name: web-credentials
  mountPath: /etc/warpwatch/web/credentials
  readOnly: true
{{- end }}
{{- end }}

{{- define "warpwatch.web.volumes" -}}
{{- with .Values.web.tls.secretName }}
- name: web-tls
  secret:
    secretName: {{ . }}
{{- end }}
{{- with .Values.web.credentials.secretName }}
- name: web-credentials
  secret:
    secretName: {{ . }}
{{- end }}
{{- end }}

{{/* How a PodMonitor gets in: as `podMonitor` says, else as follows from `web`. */}}
{{- define "warpwatch.web.scrape" -}}
{{- $web := .root.Values.web }}
{{- $monitor := .root.Values.podMonitor }}
{{- if include "warpwatch.https" . }}
scheme: https
{{- if $monitor.tlsConfig }}
tlsConfig:
  {{- toYaml $monitor.tlsConfig | nindent 2 }}
{{- else if $web.tls.secretName }}
{{- if $web.tls.clientCertificates }}
{{- fail "web.tls.clientCertificates with podMonitor.enabled needs podMonitor.tlsConfig: ca, serverName, and Prometheus' own cert and keySecret" }}
{{- end }}
{{- if not $web.tls.serverName }}
{{- fail "web.tls.secretName with podMonitor.enabled needs web.tls.serverName, a name in that certificate: Prometheus scrapes pods by address" }}
{{- end }}
tlsConfig:
  serverName: {{ $web.tls.serverName | quote }}
  ca:
    secret:
      name: {{ $web.tls.secretName }}
      key: ca.crt
{{- end }}
{{- end }}
{{- if $monitor.basicAuth }}
basicAuth:
  {{- toYaml $monitor.basicAuth | nindent 2 }}
{{- else if $monitor.authorization }}
authorization:
  {{- toYaml $monitor.authorization | nindent 2 }}
{{- else if $web.credentials.secretName }}
{{- if not $web.credentials.tokenKey }}
{{- fail "web.credentials without tokenKey and with podMonitor.enabled needs podMonitor.basicAuth: the Secret keys of Prometheus' name and password" }}
{{- end }}
authorization:
  type: Bearer
  credentials:
    name: {{ $web.credentials.secretName }}
    key: {{ $web.credentials.tokenKey }}
{{- end }}
{{- end }}
