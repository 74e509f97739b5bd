{{- /* Where each of the volumes below is mounted. Folders, never `subPath`: only these change in place, and Sidekey takes a change
       up without a restart. */ -}}
{{- define "sidekey.gateway.mountPath" -}}
{{- get (dict
      "config" "/etc/sidekey"
      "secrets" "/run/secrets/sidekey"
      "tls" "/run/sidekey/tls"
      "store" "/run/secrets/sidekey-store"
      "store-ca" "/run/sidekey/store-ca") . -}}
{{- end }}

{{- define "sidekey.gateway.volumeMounts" -}}
{{- range include "sidekey.gateway.volumes" . | fromYamlArray }}
- { name: {{ .name }}, mountPath: {{ include "sidekey.gateway.mountPath" .name }}, readOnly: true }
{{- end }}
{{- with .Values.gateway.volumeMounts }}{{ toYaml . | nindent 0 }}{{ end }}
{{- end }}

{{- define "sidekey.gateway.volumes" -}}
- name: config
  configMap: { name: {{ include "sidekey.fullname" . }}-gateway }
{{- if .Values.gateway.secrets.secretProviderClass }}
- name: secrets
  csi:
    driver: secrets-store.csi.k8s.io
    readOnly: true
    volumeAttributes: { secretProviderClass: {{ .Values.gateway.secrets.secretProviderClass }} }
{{- else if include "sidekey.gateway.secretName" . }}
- name: secrets
  secret: { secretName: {{ include "sidekey.gateway.secretName" . }} }
{{- end }}
{{- if not .Values.gateway.tls.plaintext }}
- name: tls
  secret: { secretName: {{ include "sidekey.gateway.tlsSecret" . }} }
{{- end }}
{{- if .Values.store.enabled }}
- name: store
  secret:
    secretName: {{ .Values.store.secretName }}
    items:
      - { key: password, path: password }
      - { key: fleet-key, path: fleet-key }
- name: store-ca
  secret:
    secretName: {{ include "sidekey.store.tlsSecret" . }}
    items:
      - { key: ca.crt, path: ca.crt }
{{- end }}
{{- end }}
