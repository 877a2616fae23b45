# Serve the digit classifier
# Serves a sealed version of stoker's reference model over the Open Inference
# Protocol. The model is opened with a key from Vault into memory only, and only
# if it is the artifact that the digest names.
#
# As a process (exec, raw_exec) stoker opens the model into the server task's
# secrets folder and starts the server. In containers a prestart task opens it
# into its own, from which the server binds the model alone, read-only.

variable "job_id" {
  type        = string
  default     = "digits"
  description = "ID of the job; Vault roles are bound to it"
}

variable "model" {
  type        = string
  default     = "digits"
  description = "name of the registered model"
}

variable "version" {
  type        = string
  default     = "1"
  description = "version of the registered model"
}

variable "digest" {
  type        = string
  description = "digest of the sealed model, as the registry has it"
  validation {
    condition     = var.digest != ""
    error_message = "Give the digest of the sealed model; without it an exchanged model would open."
  }
}

variable "replicas" {
  type        = number
  default     = 1
  description = "servers to run"
  validation {
    condition     = var.replicas >= 0 && floor(var.replicas) == var.replicas
    error_message = "Use a whole number from 0 on."
  }
}

variable "gpus" {
  type        = number
  default     = 1
  description = "GPUs each server holds; 0 serves without one"
  validation {
    condition     = var.gpus >= 0 && floor(var.gpus) == var.gpus
    error_message = "Use a whole number from 0 on."
  }
}

variable "gpu_model" {
  type        = string
  default     = ""
  description = "exact model of the GPUs, for example NVIDIA H100 80GB HBM3; empty takes any"
}

variable "delay" {
  type        = string
  default     = "0s"
  description = "service time to add to each request, to show a slow model"
  validation {
    condition     = can(timeadd("2000-01-01T00:00:00Z", var.delay))
    error_message = "Give a time with its unit, such as 50ms or 0s."
  }
}

variable "model_mb" {
  type        = number
  default     = 16
  description = "memory for the opened model in MB: its size and 5 % more"
  validation {
    condition     = var.model_mb >= 1 && floor(var.model_mb) == var.model_mb
    error_message = "Use a whole number of MB from 1 on."
  }
}

variable "vault_addr" {
  type        = string
  description = "address of Vault as tasks reach it, for example https://vault.example.net:8200"
  validation {
    condition     = substr(var.vault_addr, 0, 4) == "http"
    error_message = "Give a URL that begins with http:// or https://."
  }
}

variable "open_role" {
  type        = string
  default     = "open-models"
  description = "Vault role of the task that opens the model"
}

variable "driver" {
  type        = string
  default     = "docker"
  description = "docker, exec or raw_exec"
  validation {
    condition     = contains(["docker", "exec", "raw_exec"], var.driver)
    error_message = "Use docker, exec or raw_exec."
  }
}

variable "image" {
  type        = string
  default     = "stoker:local"
  description = "container image with both programs; docker only"
}

variable "stoker_binary" {
  type        = string
  default     = "stoker"
  description = "the stoker program: a path, or a name on the task's PATH"
}

variable "workload_binary" {
  type        = string
  default     = "workload"
  description = "the reference workload: a path, or a name on the task's PATH"
}

variable "wipe_driver" {
  type        = string
  default     = ""
  description = "driver exec: raw_exec to remove what a killed server left; an exec task cannot"
  validation {
    condition     = contains(["", "raw_exec"], var.wipe_driver)
    error_message = "Use raw_exec, or leave it empty."
  }
}

variable "wipe_binary" {
  type        = string
  default     = "stoker"
  description = "driver exec: the stoker program as raw_exec finds it on the node"
}

locals {
  urn = "urn:stoker:model:${var.model}:${var.version}"
  # raw_exec cannot mount volumes: such a node says in its meta where they are.
  models  = var.driver == "raw_exec" ? "$${meta.stoker_models}" : "/models"
  mounted = var.driver == "raw_exec" ? [] : [1]
  # One list has one element, the other none.
  container = var.driver == "docker" ? [1] : []
  process   = var.driver == "docker" ? [] : [1]

  open = [
    "open", local.urn, "--digest", var.digest, "--models", local.models,
    "--into", "$${NOMAD_SECRETS_DIR}/model",
  ]
  serve = [
    "serve", "--name", var.model, "--version", var.version,
    "--listen", "$${NOMAD_ADDR_http}", "--delay", var.delay, "--model",
  ]
}

job "digits" {
  id   = var.job_id
  name = var.job_id
  type = "service"

  meta = {
    "stoker.kind"    = "inference"
    "stoker.model"   = var.model
    "stoker.version" = var.version
  }

  update {
    max_parallel      = 1
    canary            = 0
    min_healthy_time  = "2s"
    healthy_deadline  = "2m"
    progress_deadline = "5m"
  }

  group "server" {
    count = var.replicas

    dynamic "constraint" {
      for_each = var.driver == "raw_exec" ? [1] : []
      content {
        attribute = "$${meta.stoker_models}"
        operator  = "is_set"
      }
    }

    network {
      port "http" {}
    }

    service {
      name     = var.job_id
      provider = "nomad"
      port     = "http"
      tags     = ["stoker.metrics=/metrics"]
      check {
        type     = "http"
        path     = "/v2/health/ready"
        interval = "2s"
        timeout  = "1s"
      }
    }

    dynamic "volume" {
      for_each = local.mounted
      labels   = ["models"]
      content {
        type      = "host"
        source    = "models"
        read_only = true
      }
    }

    restart {
      attempts = 3
      interval = "5m"
      delay    = "5s"
      mode     = "fail"
    }

    dynamic "task" {
      for_each = local.container
      labels   = ["open"]
      content {
        driver = "docker"
        lifecycle {
          hook    = "prestart"
          sidecar = false
        }
        config {
          image        = var.image
          network_mode = "host"
          command      = var.stoker_binary
          args         = local.open
        }
        volume_mount {
          volume      = "models"
          destination = "/models"
          read_only   = true
        }
        vault {
          role        = var.open_role
          env         = false
          change_mode = "noop"
        }
        env {
          VAULT_ADDR = var.vault_addr
        }
        resources {
          cpu     = 100
          memory  = 256
          secrets = var.model_mb
        }
      }
    }

    task "server" {
      driver       = var.driver
      kill_signal  = "SIGTERM"
      kill_timeout = "15s"

      dynamic "config" {
        for_each = local.container
        content {
          image        = var.image
          network_mode = "host"
          command      = var.workload_binary
          args         = concat(local.serve, ["/model"])
          # The model alone: beside it lie the opener's tokens.
          volumes = ["../open/secrets/model:/model:ro"]
        }
      }
      dynamic "config" {
        for_each = local.process
        content {
          command = var.stoker_binary
          args    = concat(local.open, ["--", var.workload_binary], local.serve, ["$${NOMAD_SECRETS_DIR}/model"])
        }
      }

      dynamic "volume_mount" {
        for_each = var.driver == "exec" ? [1] : []
        content {
          volume      = "models"
          destination = "/models"
          read_only   = true
        }
      }

      dynamic "vault" {
        for_each = local.process
        content {
          role        = var.open_role
          env         = false
          change_mode = "noop"
        }
      }

      env = var.driver == "docker" ? {} : { VAULT_ADDR = var.vault_addr }

      resources {
        cpu = 100
        # The opened model is charged to whoever wrote it and outlives it, so
        # room for it is kept here as well.
        memory  = 256 + var.model_mb
        secrets = var.driver == "docker" ? 1 : var.model_mb

        dynamic "device" {
          for_each = var.gpus > 0 ? [var.gpus] : []
          labels   = [var.gpu_model == "" ? "nvidia/gpu" : "nvidia/gpu/${var.gpu_model}"]
          content {
            count = device.value
          }
        }
      }
    }

    # A secrets folder stays mounted until the allocation is collected, so what
    # a killed server left is removed here. An exec task sees no folder but its
    # own: there stoker open removes the model when the server ends, and where
    # raw_exec is allowed a task of that driver looks after it.
    dynamic "task" {
      for_each = var.driver == "exec" && var.wipe_driver == "" ? [] : [1]
      labels   = ["wipe"]
      content {
        driver = var.driver == "exec" ? var.wipe_driver : var.driver
        lifecycle {
          hook    = "poststop"
          sidecar = false
        }
        dynamic "config" {
          for_each = local.container
          content {
            image        = var.image
            network_mode = "none"
            command      = var.stoker_binary
            args         = ["wipe", "/model"]
            volumes      = ["../open/secrets/model:/model"]
          }
        }
        dynamic "config" {
          for_each = local.process
          content {
            command = var.driver == "exec" ? var.wipe_binary : var.stoker_binary
            args    = ["wipe", "$${NOMAD_ALLOC_DIR}/../server/secrets/model"]
          }
        }
        resources {
          cpu    = 50
          memory = 64
        }
      }
    }
  }
}
