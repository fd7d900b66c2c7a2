{{/*
bbmd.wait is an init container that holds a pod back until the database is where the release needs it. It asks no API: no
Role, no token. In another chart, with bbmd in its dependencies:

  initContainers:
    {{- include "bbmd.wait" (dict "image" "shop-migrations:1.2.3" "secret" "bbmd-wait") | nindent 8 }}

  image       required; bbmd with the migrations of the release
  secret      of the role that only reads; default bbmd-wait
  key         of the secret; default DATABASE_URL
  migrations  where the image has them; default /migrations, "" for none (then say `for`)
  timeout     default 10m; progressDeadlineSeconds has to be longer
  for         list; default [], which is the schema
  name        of the container; default wait-for-schema
  pullPolicy  default IfNotPresent
  env         list, more environment
  resources   default requests of 10m and 32Mi, and a limit of 128Mi
*/}}
{{- define "bbmd.wait" -}}
- name: {{ .name | default "wait-for-schema" }}
  image: {{ required "bbmd.wait: say which image, that of the release's migrations" .image | quote }}
  imagePullPolicy: {{ .pullPolicy | default "IfNotPresent" }}
  args:
    - wait
    - --timeout={{ .timeout | default "10m" }}
    {{- range .for }}
    - --for={{ . }}
    {{- end }}
  env:
    - name: DATABASE_URL
      valueFrom: {secretKeyRef: {name: {{ .secret | default "bbmd-wait" }}, key: {{ .key | default "DATABASE_URL" }}}}
    {{- with (hasKey . "migrations" | ternary .migrations "/migrations") }}
    - {name: BBMD_DATABASES__DEFAULT__SCHEMA__MIGRATIONS, value: {{ . | quote }}}
    {{- end }}
    {{- with .env }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  terminationMessagePolicy: FallbackToLogsOnError
  resources:
    {{- toYaml (.resources | default (dict "requests" (dict "cpu" "10m" "memory" "32Mi") "limits" (dict "memory" "128Mi"))) | nindent 4 }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    seccompProfile: {type: RuntimeDefault}
    {{- include "bbmd.containerSecurity" . | nindent 4 }}
{{- end }}

{{/* bbmd.waitOf is bbmd.wait with the values of this chart: for templates of this chart, and of a parent that has its values at hand. */}}
{{- define "bbmd.waitOf" -}}
{{- $w := .Values.wait }}
{{- include "bbmd.wait" (dict "image" (include "bbmd.image" .) "pullPolicy" .Values.image.pullPolicy "secret" $w.secret "key" $w.key "migrations" .Values.migrations "timeout" $w.timeout "for" $w.for "resources" $w.resources) }}
{{- end }}
