{{/* The configurations, as JSON: what the values say, and over it what the chart knows. No secret is in them. */}}

{{- define "patchbay.secretsDir" -}}/etc/patchbay/secrets{{- end }}

{{/* The router's secrets: where each is, by the file that it becomes. */}}
{{- define "patchbay.routerSecrets" -}}
{{- $found := dict -}}
{{- $told := .Values.secrets -}}
{{- range $file, $one := dict "admin-token" $told.adminToken "metrics-token" $told.metricsToken "replica-token" $told.replicaToken "redis-url" $told.redisUrl "guard-key" $told.guardKey -}}
{{- if $one.name }}{{ $_ := set $found $file $one }}{{ end -}}
{{- end -}}
{{- if .Values.registry.enabled }}{{ $_ := set $found "registry-url" $told.registryUrl }}{{ end -}}
{{- range $index, $one := $told.apiKeys }}{{ $_ := set $found (printf "api-key-%d" $index) $one }}{{ end -}}
{{- range $user, $one := $told.adminTokens }}{{ $_ := set $found (printf "user-%s" $user) (pick $one "name" "key") }}{{ end -}}
{{- range $file, $one := $told.extra }}{{ $_ := set $found $file $one }}{{ end -}}
{{ $found | toJson }}
{{- end }}

{{- define "patchbay.artifacts" -}}
{{- $artifacts := dict "url" .Values.artifacts.url -}}
{{- with .Values.artifacts.options }}{{ $_ := set $artifacts "options" . }}{{ end -}}
{{ $artifacts | toJson }}
{{- end }}

{{- define "patchbay.routerConfig" -}}
{{- $dir := include "patchbay.secretsDir" . -}}
{{- $secrets := include "patchbay.routerSecrets" . | fromJson -}}
{{- $pools := include "patchbay.pools" . | fromJson -}}
{{- $token := dict "file" (print $dir "/replica-token") -}}
{{- $replicas := list -}}
{{- $reserved := list -}}
{{- range $name, $pool := $pools -}}
{{- $host := printf "%s.%s.svc" (include "patchbay.poolname" (dict "root" $ "pool" $name)) $.Release.Namespace -}}
{{- $replicas = append $replicas (dict "url" (printf "dns+http://%s:9001" $host) "pool" $name "token" $token) -}}
{{- if $pool.reserved }}{{ $reserved = append $reserved $name }}{{ end -}}
{{- end -}}
{{- $config := deepCopy .Values.router.config -}}
{{- $canary := dict "reserved_pools" $reserved "kubernetes_events" .Values.router.canaryEvents -}}
{{- $_ := set $config "canary" (mergeOverwrite ($config.canary | default dict) $canary) -}}
{{- $_ := set $config "replicas" $replicas -}}
{{- $_ := set $config "host" "0.0.0.0" -}}
{{- $_ := set $config "admin_host" "0.0.0.0" -}}
{{- $_ := set $config "port" 8080 -}}
{{- $_ := set $config "admin_port" 8081 -}}
{{- $_ := set $config "drain_timeout_s" .Values.router.drainSeconds -}}
{{- $_ := set $config "max_rank" (dig "config" "lora" "max_rank" 16 .Values.poolDefaults) -}}
{{- $_ := set $config "admin_token" (dict "file" (print $dir "/admin-token")) -}}
{{- $admins := list -}}
{{- if hasKey $secrets "metrics-token" -}}
{{- $admins = append $admins (dict "name" "metrics" "role" "viewer" "token" (dict "file" (print $dir "/metrics-token"))) -}}
{{- end -}}
{{- range $user, $one := .Values.secrets.adminTokens -}}
{{- $admins = append $admins (dict "name" $user "role" $one.role "token" (dict "file" (printf "%s/user-%s" $dir $user))) -}}
{{- end -}}
{{- if $admins }}{{ $_ := set $config "admin_tokens" $admins }}{{ end -}}
{{- $keys := list -}}
{{- range $index, $_ := .Values.secrets.apiKeys }}{{ $keys = append $keys (dict "file" (printf "%s/api-key-%d" $dir $index)) }}{{ end -}}
{{- if $keys }}{{ $_ := set $config "api_keys" $keys }}{{ end -}}
{{- if hasKey $secrets "guard-key" }}{{ $_ := set $config "guard_key" (dict "file" (print $dir "/guard-key")) }}{{ end -}}
{{- if hasKey $secrets "redis-url" -}}
{{- $_ := set $config "counters" (mergeOverwrite ($config.counters | default dict) (dict "redis" (dict "file" (print $dir "/redis-url")))) -}}
{{- end -}}
{{- if .Values.registry.enabled -}}
{{- $registry := dict "url" (dict "file" (print $dir "/registry-url")) "keep_warm_s" .Values.registry.keepWarmSeconds -}}
{{- $_ := set $registry "artifacts" (include "patchbay.artifacts" . | fromJson) -}}
{{- $_ := set $config "registry" $registry -}}
{{- with .Values.adapters }}{{ $_ := set $config "adapters" . }}{{ end -}}
{{- with .Values.canaries }}{{ $_ := set $config "canaries" . }}{{ end -}}
{{- end -}}
{{ $config | toJson }}
{{- end }}

{{/* root, pool: its name, said: what it says */}}
{{- define "patchbay.serverConfig" -}}
{{- $config := deepCopy .said.config -}}
{{- $engine := $config.engine | default dict -}}
{{- if not (hasKey $engine "tensor_parallel_size") -}}
{{- $engine = set $engine "tensor_parallel_size" (eq .said.device "gpu" | ternary .said.tensorParallelSize 1) -}}
{{- end -}}
{{- $_ := set $config "engine" $engine -}}
{{- $_ := set $config "name" .pool -}}
{{- $_ := set $config "host" "0.0.0.0" -}}
{{- $_ := set $config "port" 9001 -}}
{{- $_ := set $config "token" (dict "file" (print (include "patchbay.secretsDir" .root) "/replica-token")) -}}
{{- $_ := set $config "artifacts" (include "patchbay.artifacts" .root | fromJson) -}}
{{- $_ := set $config "cache_dir" "/var/cache/adapters" -}}
{{- $_ := set $config "drain_timeout_s" .said.drainSeconds -}}
{{ $config | toJson }}
{{- end }}
