{{/* Combinations of values that can't work. */}}
{{- define "durable-streams.rules" -}}
{{- if and (eq .Values.store "file") (gt (int .Values.replicas) 1) -}}
{{- fail "replicas: a file store has one server at a time. Set replicas to 1, or store to redis" -}}
{{- end -}}
{{- if and (eq .Values.store "redis") (not .Values.redis.url) (not .Values.redis.existingSecret) -}}
{{- fail "redis: set redis.url or redis.existingSecret" -}}
{{- end -}}
{{- if and .Values.auth.enabled (not .Values.auth.existingSecret) (not .Values.auth.tokens) -}}
{{- fail "auth: set auth.existingSecret or auth.tokens, or auth.enabled to false" -}}
{{- end -}}
{{- if and .Values.podMonitor.enabled (not .Values.auth.enabled) -}}
{{- fail "podMonitor: without access control only the pod itself reaches the metrics. Set auth.enabled to true" -}}
{{- end -}}
{{- end -}}
