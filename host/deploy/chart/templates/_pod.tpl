{{/* The pod of both kinds of store. */}}
{{- define "durable-streams.pod" -}}
{{- include "durable-streams.rules" . -}}
{{- $file := eq .Values.store "file" -}}
{{- $auth := .Values.auth -}}
{{- $probes := ternary "admin" "http" $auth.enabled -}}
metadata:
  labels:
    {{- include "durable-streams.labels" . | nindent 4 }}
  annotations:
    {{- if and $auth.enabled (not .Values.podMonitor.enabled) }}
    prometheus.io/scrape: "true"
    prometheus.io/port: "4438"
    {{- end }}
    {{- if and $auth.enabled (not $auth.existingSecret) }}
    # New tokens start the pods again.
    checksum/tokens: {{ toJson $auth.tokens | sha256sum }}
    {{- end }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  {{- with .Values.image.pullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile:
      type: RuntimeDefault
  containers:
    - name: durable-streams
      image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args:
        - serve
        - --store
        {{- if $file }}
        - file:/var/lib/durable-streams/store
        - --durability
        - {{ .Values.volume.durability }}
        {{- else if .Values.redis.existingSecret }}
        - $(REDIS_URL)
        {{- else }}
        - {{ .Values.redis.url | quote }}
        {{- end }}
        - --listen
        - {{ printf "%s:4437" .Values.listen | quote }}
        - --admin
        # Without access control the server accepts only a loopback address.
        - {{ ternary (printf "%s:4438" .Values.listen) "127.0.0.1:4438" $auth.enabled | quote }}
        {{- range .Values.flags }}
        - {{ . | quote }}
        {{- end }}
      env:
        {{- if $auth.enabled }}
        - name: DS_AUTH_TOKENS
          valueFrom:
            secretKeyRef:
              name: {{ $auth.existingSecret | default (include "durable-streams.name" .) }}
              key: {{ ternary $auth.key "auth_tokens" (ne $auth.existingSecret "") }}
        {{- end }}
        {{- if and (not $file) .Values.redis.existingSecret }}
        - name: REDIS_URL
          valueFrom:
            secretKeyRef:
              name: {{ .Values.redis.existingSecret }}
              key: {{ .Values.redis.key }}
        {{- end }}
        {{- range $name, $value := .Values.variables }}
        - name: {{ printf "DS_%s" (upper $name) }}
          {{- /* Helm reads numbers as floats, which print large ones as 1e+06. */}}
          value: {{ ternary (printf "%.0f" (float64 $value)) (toString $value) (kindIs "float64" $value) | quote }}
        {{- end }}
      ports:
        - name: http
          containerPort: 4437
        - name: admin
          containerPort: 4438
      startupProbe:
        httpGet:
          path: /health
          port: {{ $probes }}
        periodSeconds: 2
        failureThreshold: 300
      readinessProbe:
        httpGet:
          path: /readyz
          port: {{ $probes }}
        periodSeconds: 5
        timeoutSeconds: 3
      livenessProbe:
        httpGet:
          {{- if $file }}
          # After a failed sync, /readyz is 503 until a restart.
          path: /readyz
          {{- else }}
          # A restart does not bring back a Redis that is away.
          path: /health
          {{- end }}
          port: {{ $probes }}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: {{ ternary 12 6 $file }}
      {{- if not $file }}
      lifecycle:
        preStop:
          # Balancers leave this pod out before it stops to listen.
          sleep:
            seconds: 5
      {{- end }}
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
      {{- if $file }}
      volumeMounts:
        - name: store
          mountPath: /var/lib/durable-streams
      {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
