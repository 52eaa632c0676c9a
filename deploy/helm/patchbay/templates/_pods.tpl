{{/* What pods of all kinds have in common. */}}

{{- define "patchbay.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "patchbay.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* where, root, component, pool: which nodes a pod goes to */}}
{{- define "patchbay.placement" -}}
{{- with .where.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .where.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .where.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .where.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- if or .where.topologySpread.zones .where.topologySpread.nodes }}
topologySpreadConstraints:
{{- if .where.topologySpread.zones }}
  - maxSkew: 1
    topologyKey: topology.kubernetes.io/zone
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "patchbay.selector" . | nindent 8 }}
{{- end }}
{{- if .where.topologySpread.nodes }}
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "patchbay.selector" . | nindent 8 }}
{{- end }}
{{- end }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* root: credentials of the artifact store */}}
{{- define "patchbay.storeEnv" -}}
{{- with .Values.artifacts.existingSecret }}
envFrom:
  - secretRef: {name: {{ . | quote }}}
{{- end }}
{{- end }}

{{/* cache, name: a volume, unless the pool's claims make it */}}
{{- define "patchbay.cacheVolume" -}}
{{- if eq .cache.kind "emptyDir" }}
- name: {{ .name | quote }}
  emptyDir: {sizeLimit: {{ .cache.size | quote }}}
{{- else if eq .cache.kind "shared" }}
- name: {{ .name | quote }}
  persistentVolumeClaim:
    claimName: {{ required "patchbay: a shared cache needs existingClaim" .cache.existingClaim | quote }}
{{- end }}
{{- end }}

{{- define "patchbay.cacheClaim" -}}
{{- if eq .cache.kind "claim" }}
- metadata:
    name: {{ .name | quote }}
  spec:
    accessModes: [ReadWriteOnce]
    {{- with .cache.storageClass }}
    storageClassName: {{ . | quote }}
    {{- end }}
    resources: {requests: {storage: {{ .cache.size | quote }}}}
{{- end }}
{{- end }}
