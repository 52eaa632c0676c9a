{{/* Names and labels. A StatefulSet's name has at most 52 characters: its pods' labels carry a hash after it. */}}

{{- define "patchbay.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := .Values.fullnameOverride | default (contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name)) -}}
{{- $full | trunc 26 | trimSuffix "-" -}}
{{- end }}

{{- define "patchbay.poolname" -}}
{{ include "patchbay.fullname" .root }}-pool-{{ .pool }}
{{- end }}

{{/* What selectors go by, which must never change. */}}
{{- define "patchbay.selector" -}}
app.kubernetes.io/name: patchbay
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- with .pool }}
patchbay/pool: {{ . | quote }}
{{- end }}
{{- end }}

{{/* extra: labels besides, which cannot take the place of ours */}}
{{- define "patchbay.labels" -}}
{{- $ours := include "patchbay.selector" . | fromYaml -}}
{{- $_ := set $ours "app.kubernetes.io/part-of" "patchbay" -}}
{{- $_ := set $ours "app.kubernetes.io/version" .root.Chart.AppVersion -}}
{{- $_ := set $ours "app.kubernetes.io/managed-by" .root.Release.Service -}}
{{- $_ := set $ours "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version) -}}
{{ mergeOverwrite (dict) (.extra | default dict) .root.Values.commonLabels $ours | toYaml }}
{{- end }}

{{/* A pod's labels: without versions, since each change of one would start all pods anew. */}}
{{- define "patchbay.podLabels" -}}
{{- $ours := include "patchbay.selector" . | fromYaml -}}
{{- $_ := set $ours "app.kubernetes.io/part-of" "patchbay" -}}
{{ mergeOverwrite (dict) .where.podLabels .root.Values.commonLabels $ours | toYaml }}
{{- end }}

{{/* image, suffix: of the default tag, root */}}
{{- define "patchbay.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ .image.tag | default (print .root.Chart.AppVersion .suffix) }}
{{- end -}}
{{- end }}

{{- define "patchbay.account" -}}
{{- $account := index .root.Values.serviceAccounts .whose -}}
{{- if $account.create -}}
{{ $account.name | default (printf "%s-%s" (include "patchbay.fullname" .root) (eq .whose "router" | ternary "router" "replicas")) }}
{{- else -}}
{{ $account.name | default "default" }}
{{- end -}}
{{- end }}

{{/* The pools that there are, each with what it says over poolDefaults: a mapping, as JSON. */}}
{{- define "patchbay.pools" -}}
{{- $found := dict -}}
{{- $open := 0 -}}
{{- range $name, $said := .Values.pools -}}
{{- $pool := mergeOverwrite (deepCopy $.Values.poolDefaults) (deepCopy ($said | default dict)) -}}
{{- if $pool.enabled -}}
{{- $_ := set $found $name $pool -}}
{{- if not $pool.reserved }}{{ $open = add1 $open }}{{ end -}}
{{- end -}}
{{- end -}}
{{- if not $open }}{{ fail "patchbay: enable a pool that is not reserved: nobody would be answered" }}{{ end -}}
{{ $found | toJson }}
{{- end }}
