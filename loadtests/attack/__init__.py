"""The attack on a Patchbay of its own: hostile requests, adapters and archives beside bystanders who must not
notice."""
