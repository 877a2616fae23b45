# Serve a chat model with vLLM
# One server for each replica, each on its own GPUs, behind the gateway. Metrics
# are found by the service tag stoker.metrics.
#
# The model is read from the host volume "models"; nothing is downloaded.

variable "model" {
  type        = string
  description = "folder of the model under the volume models"
}

variable "replicas" {
  type        = number
  default     = 1
  description = "servers to run"
  validation {
    condition     = var.replicas >= 1 && var.replicas <= 8
    error_message = "Use 1 to 8."
  }
}

variable "gpus" {
  type        = number
  default     = 1
  description = "GPUs of each server; the model is split over them"
}

variable "prefix_cache" {
  type        = bool
  default     = true
  description = "keep the KV cache of common beginnings of prompts"
}

variable "hf_token" {
  type        = string
  default     = ""
  description = "token for gated tokenizers"
}

variable "max_len" {
  type        = number
  default     = 8192
  description = "longest prompt and answer together, in tokens; the KV cache of a server must hold at least one such sequence, or it refuses to start"
}

variable "args" {
  type        = list(string)
  default     = ["--disable-log-requests"]
  description = "more arguments for the server"
}

variable "vault_addr" {
  type        = string
  default     = ""
  description = "address of Vault as tasks reach it"
  validation {
    condition     = var.vault_addr != ""
    error_message = "Give a URL that begins with http:// or https://."
  }
}

job "chat" {
  group "server" {
    task "vllm" {
      driver = "docker"
    }
  }
}
