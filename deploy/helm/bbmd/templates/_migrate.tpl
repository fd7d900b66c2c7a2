{{/* What is done by the Job: everything of it that Kubernetes does not let anybody change afterwards. */}}
{{- define "bbmd.migrate.spec" -}}
{{- with .Values.migrate -}}
backoffLimit: {{ .backoffLimit }}
podReplacementPolicy: Failed # never two at a time; they would only wait for each other
podFailurePolicy:
  rules:
    # A node that is drained is nobody's fault.
    - action: Ignore
      onPodConditions:
        - {type: DisruptionTarget, status: "True"}
    # What trying again does not mend: the configuration, a migration that failed, somebody has to decide.
    - action: FailJob
      onExitCodes: {containerName: migrate, operator: In, values: [2, 65, 73]}
template:
  metadata:
    labels:
      {{- include "bbmd.selector" $ | nindent 6 }}
      app.kubernetes.io/component: migrate
      {{- with .podLabels }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    annotations:
      cluster-autoscaler.kubernetes.io/safe-to-evict: "false"
      karpenter.sh/do-not-disrupt: "true"
      checksum/config: {{ $.Values.config | toJson | sha256sum }}
      {{- with .podAnnotations }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
  spec:
    restartPolicy: Never
    automountServiceAccountToken: false
    enableServiceLinks: false
    terminationGracePeriodSeconds: {{ .terminationGracePeriodSeconds }} # what is under way is rolled back, and recorded as interrupted
    {{- with $.Values.imagePullSecrets }}
    imagePullSecrets: {{- toYaml . | nindent 6 }}
    {{- end }}
    securityContext: {{- include "bbmd.podSecurity" $ | nindent 6 }}
    containers:
      - name: migrate
        image: {{ include "bbmd.image" $ | quote }}
        imagePullPolicy: {{ $.Values.image.pullPolicy }}
        args:
          - migrate
          - --accept-newer # after a roll-back there is nothing to do
          {{- range .databases }}
          - {{ . | quote }}
          {{- else }}
          - --all
          {{- end }}
          - --config=/etc/bbmd/bbmd.yaml
          {{- range .waitFor }}
          - --wait-for={{ . }}
          {{- end }}
          {{- with .timeout }}
          - --timeout={{ . }}
          {{- end }}
        env:
          {{- include "bbmd.env" $ | nindent 10 }}
          {{- with $.Values.migrations }}
          - {name: BBMD_DATABASES__DEFAULT__SCHEMA__MIGRATIONS, value: {{ . | quote }}}
          {{- end }}
        {{- with $.Values.envFrom }}
        envFrom: {{- toYaml . | nindent 10 }}
        {{- end }}
        terminationMessagePolicy: FallbackToLogsOnError
        resources: {{- toYaml .resources | nindent 10 }}
        securityContext: {{- include "bbmd.containerSecurity" $ | nindent 10 }}
        volumeMounts: {{- include "bbmd.mounts" $ | nindent 10 }}
    volumes: {{- include "bbmd.volumes" (list $ (.hook | ternary "-migrate" "")) | nindent 6 }}
    {{- include "bbmd.scheduling" . | nindent 4 }}
{{- end }}
{{- end }}
