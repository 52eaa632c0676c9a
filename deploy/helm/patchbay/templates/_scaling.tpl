{{/* root, component, pool, name, kind, scaling: what scales a workload. KEDA makes its own HPA, so it is one or the other. */}}
{{- define "patchbay.scaling" -}}
{{- $scaling := .scaling }}
{{- $depth := $scaling.queueDepth }}
{{- if and $scaling.enabled (or $scaling.cpu.enabled $depth.enabled) }}
{{- if gt (int $scaling.minReplicas) (int $scaling.maxReplicas) }}
{{- fail (printf "patchbay: %s: autoscaling.minReplicas is above maxReplicas" .name) }}
{{- end }}
---
{{- if and $depth.enabled (eq $depth.via "keda") }}
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: {{ .name | quote }}
  labels: {{- include "patchbay.labels" . | nindent 4 }}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: {{ .kind }}, name: {{ .name | quote }}}
  minReplicaCount: {{ $scaling.minReplicas | int }}
  maxReplicaCount: {{ $scaling.maxReplicas | int }}
  triggers:
    - type: prometheus
      metricType: AverageValue
      metadata:
        serverAddress: {{ .root.Values.keda.prometheusUrl | quote }}
        query: sum(patchbay_router_queue_depth{namespace="{{ .root.Release.Namespace }}",pod=~"{{ include "patchbay.fullname" .root }}-router-.*"})
        threshold: {{ $depth.target | quote }}
    {{- if $scaling.cpu.enabled }}
    - type: cpu
      metricType: Utilization
      metadata: {value: {{ $scaling.cpu.target | quote }}}
    {{- end }}
{{- else }}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ .name | quote }}
  labels: {{- include "patchbay.labels" . | nindent 4 }}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: {{ .kind }}, name: {{ .name | quote }}}
  minReplicas: {{ $scaling.minReplicas | int }}
  maxReplicas: {{ $scaling.maxReplicas | int }}
  behavior:
    # Streams last for minutes, and a replica takes minutes to come back.
    scaleDown: {stabilizationWindowSeconds: 600}
  metrics:
    {{- if $scaling.cpu.enabled }}
    - type: Resource
      resource:
        name: cpu
        target: {type: Utilization, averageUtilization: {{ $scaling.cpu.target | int }}}
    {{- end }}
    {{- if and $depth.enabled (eq .kind "Deployment") }}
    - type: Pods
      pods:
        metric: {name: patchbay_router_queue_depth}
        target: {type: AverageValue, averageValue: {{ $depth.target | quote }}}
    {{- else if $depth.enabled }}
    # The queue is the routers', the work the replicas': so much of it for each of these.
    - type: External
      external:
        metric:
          name: patchbay_router_queue_depth
          selector: {matchLabels: {namespace: {{ .root.Release.Namespace | quote }}}}
        target: {type: AverageValue, averageValue: {{ $depth.target | quote }}}
    {{- end }}
{{- end }}
{{- end }}
{{- end }}
