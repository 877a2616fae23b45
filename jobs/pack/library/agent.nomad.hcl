# GPU agent on every node
# Runs stoker agent as a system job: it reads the GPUs of its node and serves
# the readings to stoker and to Prometheus.
#
# A node whose meta stoker_sim names a folder gets an agent for the simulated
# GPUs in that folder; on any other node the agent reads the hardware.

variable "binary" {
  type        = string
  default     = "stoker"
  description = "the stoker program on the node: a path, or a name on Nomad's PATH"
  validation {
    condition     = var.binary != ""
    error_message = "Name the stoker program."
  }
}

variable "interval" {
  type        = string
  default     = "1s"
  description = "time between two readings, 100ms at least"
  validation {
    condition     = can(timeadd("2000-01-01T00:00:00Z", var.interval))
    error_message = "Give a time with its unit, such as 1s or 500ms."
  }
}

variable "driver" {
  type        = string
  default     = "raw_exec"
  description = "raw_exec, which sees all GPUs of the node and its processes, or docker"
  validation {
    condition     = contains(["raw_exec", "docker"], var.driver)
    error_message = "Use raw_exec or docker."
  }
}

variable "token_file" {
  type        = string
  default     = ""
  description = "file on the node with the bearer token that readers must send; without it and client_ca the agent serves loopback only"
}

variable "tls_cert" {
  type        = string
  default     = ""
  description = "file on the node with the certificate to serve TLS with"
}

variable "tls_key" {
  type        = string
  default     = ""
  description = "file on the node with the certificate's key"
}

variable "client_ca" {
  type        = string
  default     = ""
  description = "file on the node with the authority that must have signed readers' certificates; needs tls_cert and tls_key"
}

variable "open_metrics" {
  type        = bool
  default     = false
  description = "serve the Prometheus pages to everyone, without token and certificate"
}

variable "user" {
  type        = string
  default     = ""
  description = "user, or UID:GID, that the agent goes on as once it listens; it must be able to read the files above"
}

variable "read_environ" {
  type        = bool
  default     = false
  description = "with user: keep the right to read other users' environments and files, which joins containers to their tasks without the engine"
}

variable "remember" {
  type        = string
  default     = ""
  description = "file on the node in which to keep which GPUs it has: one that is missing after a restart has failed"
}

variable "image" {
  type        = string
  default     = "stoker:local"
  description = "container image with the stoker program; docker only"
}

variable "node_pool" {
  type        = string
  default     = "all"
  description = "node pool whose nodes get an agent"
}

locals {
  agent = concat(
    ["agent", "--listen", "$${NOMAD_ADDR_http}", "--interval", var.interval,
    "--node", "$${node.unique.id}", "--node-name", "$${node.unique.name}"],
    var.token_file == "" ? [] : ["--token-file", var.token_file],
    var.tls_cert == "" ? [] : ["--tls-cert", var.tls_cert, "--tls-key", var.tls_key],
    var.client_ca == "" ? [] : ["--client-ca", var.client_ca],
    var.open_metrics ? ["--open-metrics"] : [],
    var.user == "" ? [] : ["--user", var.user],
    var.read_environ ? ["--read-environ"] : [],
    var.remember == "" ? [] : ["--remember", var.remember],
  )
  # In a container the files lie where they lie on the node. Their folders are
  # mounted, since a file that is replaced would stay the old one.
  files   = compact([var.token_file, var.tls_cert, var.tls_key, var.client_ca])
  folders = distinct([for f in local.files : join("/", slice(split("/", f), 0, length(split("/", f)) - 1))])
  keeps   = [for f in compact([var.remember]) : join("/", slice(split("/", f), 0, length(split("/", f)) - 1))]
  mounts  = concat([for d in local.folders : "${d}:${d}:ro"], [for d in local.keeps : "${d}:${d}"])
}

job "stoker-agent" {
  type      = "system"
  node_pool = var.node_pool
  priority  = 80

  # One group a kind of node, of which each node fits one.
  dynamic "group" {
    for_each = { agent = "is_not_set", agent-sim = "is_set" }
    labels   = [group.key]
    content {
      constraint {
        attribute = "$${meta.stoker_sim}"
        operator  = group.value
      }

      network {
        port "http" {}
      }

      service {
        name     = "stoker-agent"
        provider = "nomad"
        port     = "http"
        # By this tag stoker knows that it must use TLS.
        tags = var.tls_cert == "" ? [] : ["tls"]
        # No check_restart: an agent that hangs in the driver cannot be started
        # again before its node is.
        check {
          type            = "http"
          protocol        = var.tls_cert == "" ? "http" : "https"
          tls_skip_verify = true # it comes from the node itself, by address
          path            = "/healthz"
          interval = "10s"
          timeout  = "2s"
        }
      }

      # An agent that fails is started again for as long as the node is there.
      restart {
        attempts = 5
        interval = "1m"
        delay    = "5s"
        mode     = "delay"
      }

      task "agent" {
        driver       = var.driver
        kill_timeout = "5s"

        dynamic "config" {
          for_each = var.driver == "docker" ? [] : [1]
          content {
            command = var.binary
            args = concat(
              local.agent,
              group.key == "agent-sim" ? ["--sim", "$${meta.stoker_sim}"] : [],
            )
          }
        }

        dynamic "config" {
          for_each = var.driver == "docker" ? [1] : []
          content {
            image        = var.image
            command      = var.binary
            network_mode = "host"
            pid_mode     = "host"
            runtime      = group.key == "agent-sim" ? "runc" : "nvidia"
            volumes      = concat(local.mounts, group.key == "agent-sim" ? ["$${meta.stoker_sim}:$${meta.stoker_sim}"] : [])
            args = concat(
              local.agent,
              group.key == "agent-sim" ? ["--sim", "$${meta.stoker_sim}"] : [],
            )
          }
        }

        env {
          # Only the docker driver's nvidia runtime looks at it.
          NVIDIA_VISIBLE_DEVICES = "all"
        }

        resources {
          cpu    = 50
          memory = 96
        }
      }
    }
  }
}
