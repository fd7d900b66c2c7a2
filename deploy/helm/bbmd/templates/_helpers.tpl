{{/* The chart's name, as a label. */}}
{{- define "bbmd.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* The name of everything: short enough for what is added. */}}
{{- define "bbmd.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "bbmd.name" .) .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "bbmd.name" .) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "bbmd.labels" -}}
{{ include "bbmd.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "bbmd.selector" -}}
app.kubernetes.io/name: {{ include "bbmd.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "bbmd.image" -}}
{{- with .Values.image }}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{- define "bbmd.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}{{ .Values.serviceAccount.name | default (include "bbmd.fullname" .) }}{{ else }}{{ .Values.serviceAccount.name | default "default" }}{{ end }}
{{- end }}

{{/* Of every pod. */}}
{{- define "bbmd.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* Of every container: the restricted profile, whatever the pod says. */}}
{{- define "bbmd.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* What the daemon and the Job have in common: the connection string and the environment. */}}
{{- define "bbmd.env" -}}
{{- if .Values.database.file }}
- {name: BBMD_DATABASES__DEFAULT__URL_FILE, value: /run/secrets/bbmd/url}
{{- else if .Values.database.secret }}
- name: DATABASE_URL
  valueFrom: {secretKeyRef: {name: {{ .Values.database.secret }}, key: {{ .Values.database.key }}}}
{{- end }}
{{- with .Values.env }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* What the dashboard needs: the file is read whenever somebody shows a token. */}}
{{- define "bbmd.dashboard" -}}
{{- $name := include "bbmd.fullname" . -}}
{{- with .Values.dashboard -}}
- {name: BBMD_DASHBOARD__LISTEN, value: ":8081"}
- {name: BBMD_DASHBOARD__TOKEN_FILE, value: /run/secrets/bbmd-dashboard/token}
- name: BBMD_DASHBOARD__HOSTS
  value: {{ concat (list $name (printf "%s.%s" $name $.Release.Namespace) (printf "%s.%s.svc" $name $.Release.Namespace)) .hosts | join "," | quote }}
- {name: BBMD_DASHBOARD__PUBLIC_READ, value: {{ .publicRead | quote }}}
{{- end }}
{{- end }}

{{- define "bbmd.mounts" -}}
- {name: config, mountPath: /etc/bbmd, readOnly: true} # the directory: a subPath would never be updated
- {name: tmp, mountPath: /tmp}
{{- if .Values.database.file }}
- {name: url, mountPath: /run/secrets/bbmd, readOnly: true}
{{- end }}
{{- end }}

{{/* A list: the root, and what is appended to the name of the ConfigMap. */}}
{{- define "bbmd.volumes" -}}
{{- $suffix := index . 1 }}
{{- with index . 0 -}}
- name: config
  configMap: {name: {{ include "bbmd.fullname" . }}{{ $suffix }}}
- name: tmp
  emptyDir: {}
{{- if .Values.database.file }}
- name: url
  secret: {secretName: {{ .Values.database.secret }}, items: [{key: {{ .Values.database.key }}, path: url}]}
{{- end }}
{{- end }}
{{- end }}

{{/* Where pods run, from the values of the daemon or the Job. */}}
{{- define "bbmd.scheduling" -}}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}
