{{- define "sidekey.fullname" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- /* Labels that never change, of a component. Call with (list $ "gateway"). */ -}}
{{- define "sidekey.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ $root.Chart.Name }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "sidekey.labels" -}}
{{- $root := index . 0 -}}
{{ include "sidekey.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ $root.Chart.Name }}-{{ $root.Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "sidekey.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "sidekey.webhook.configuration" -}}
{{ .Values.webhook.configurationName | default (printf "%s-webhook" (include "sidekey.fullname" .)) }}
{{- end }}

{{- define "sidekey.gateway.tlsSecret" -}}
{{ .Values.gateway.tls.secretName | default (printf "%s-gateway-tls" (include "sidekey.fullname" .)) }}
{{- end }}

{{- define "sidekey.store.tlsSecret" -}}
{{ .Values.store.tls.secretName | default (printf "%s-store-tls" (include "sidekey.fullname" .)) }}
{{- end }}

{{- define "sidekey.gateway.secretName" -}}
{{- with .Values.gateway.secrets -}}
{{ if .externalSecret }}{{ include "sidekey.fullname" $ }}-gateway{{ else }}{{ .secretName }}{{ end }}
{{- end -}}
{{- end }}

{{- define "sidekey.store.isUsed" -}}
{{ if and .Values.gateway.enabled .Values.store.enabled }}true{{ end }}
{{- end }}

{{- /* What Pod Security `restricted` asks of a container. The uid is the image's, and in OpenShift one of the namespace's range. */ -}}
{{- define "sidekey.containerSecurity" -}}
readOnlyRootFilesystem: true
allowPrivilegeEscalation: false
capabilities: { drop: [ALL] }
{{- end }}

{{- define "sidekey.podSecurity" -}}
runAsNonRoot: true
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- /* Placement of Pods: zones first, then nodes, each counting the Pods of its own rollout. Call with (list $ "gateway"). */ -}}
{{- define "sidekey.spread" -}}
{{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
- topologyKey: {{ $key }}
  maxSkew: 1
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "sidekey.selector" $ | nindent 6 }}
  matchLabelKeys: [pod-template-hash]
{{- end }}
{{- end }}

{{- define "sidekey.placement" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}
